//! The field of 256 elements: polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1.
//!
//! No tables and no branches on values, so that neither the cache nor the time tells a secret.

/// Adds two elements, which is also how to subtract.
pub(crate) const fn add(a: u8, b: u8) -> u8 {
    a ^ b
}

/// Multiplies two elements.
pub(crate) const fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut power, mut bit) = (0, a, 0);
    while bit < 8 {
        product ^= power & (b >> bit & 1).wrapping_neg();
        let carry = (power >> 7).wrapping_neg();
        power = power << 1 ^ carry & POLYNOMIAL;
        bit += 1;
    }
    product
}

/// Returns the inverse of an element, as its power 254; zero has none and gives zero.
pub(crate) const fn inverse(a: u8) -> u8 {
    // 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128.
    let (mut square, mut product, mut bit) = (multiply(a, a), 1, 0);
    while bit < 7 {
        product = multiply(product, square);
        square = multiply(square, square);
        bit += 1;
    }
    product
}

/// x^8 + x^4 + x^3 + x^2 + 1 without its first term: that of most sharing schemes and codes, so that there is something to
/// compare with.
const POLYNOMIAL: u8 = 0x1d;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_has_every_element_but_zero_as_a_power() {
        let mut power = 1;
        let mut seen = [false; 256];
        for _ in 0..255 {
            power = multiply(power, 2);
            assert!(!seen[usize::from(power)]);
            seen[usize::from(power)] = true;
        }
        assert_eq!(power, 1);
        assert_eq!(multiply(0x80, 2), POLYNOMIAL);
    }

    #[test]
    fn each_element_but_zero_has_an_inverse() {
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
        assert_eq!(inverse(0), 0);
    }

    #[test]
    fn it_is_a_ring() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), multiply(b, a));
                let c = a.wrapping_mul(29).wrapping_add(b);
                assert_eq!(multiply(a, add(b, c)), add(multiply(a, b), multiply(a, c)));
                assert_eq!(multiply(a, multiply(b, c)), multiply(multiply(a, b), c));
            }
        }
    }
}
