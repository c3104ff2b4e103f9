//! Samples of a pixel as one intensity: luminance, on black where it is translucent.
//!
//! Weights and order of operations are those of the crate `image` 0.25, which computed this before: intensities are what they
//! were, to the last bit.

/// Returns the intensity of a pixel from its grey level, or its red, green and blue, and its opacity if there is one: 0 to 1,
/// and no number where opacity hides it. No sample is above `most`.
pub(crate) fn intensity(pixel: &[u16], most: u16) -> f32 {
    let most = f32::from(most);
    let (luminance, opacity) = match *pixel {
        [red, green, blue, ref opacity @ ..] => {
            let colours = [red, green, blue].map(|sample| f32::from(sample) * (1.0 / most));
            let weighed = colours.into_iter().zip(WEIGHTS);
            (weighed.fold(0.0, |sum, (colour, weight)| sum + colour * weight), opacity.first())
        }
        [grey, ref opacity @ ..] => (f32::from(grey) / most, opacity.first()),
        [] => (f32::NAN, None),
    };
    match opacity {
        Some(0) => f32::NAN,
        Some(&opacity) => luminance * (f32::from(opacity) / most),
        None => luminance,
    }
}

/// What red, green and blue of Rec. 709 add to the luminance of white (D65), as matrices in single precision have it.
const WEIGHTS: [f32; 3] = [0.212_647_84, 0.715_179_2, 0.072_173_04];

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests the bits of many intensities (FNV-1a).
    fn digest(intensities: impl Iterator<Item = f32>) -> u64 {
        let bytes = intensities.flat_map(|x| x.to_bits().to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Pixels of `N` samples up to `most` from a linear congruential generator (Knuth's constants).
    fn pixels<const N: usize>(most: u16) -> Vec<[u16; N]> {
        let mut state = 1_u64;
        let mut sample = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u16::try_from((state >> 33) % (u64::from(most) + 1)).unwrap()
        };
        (0..100_000).map(|_| [(); N].map(|()| sample())).collect()
    }

    #[test]
    fn intensities_are_those_of_the_crate_image() {
        for (pixel, most, bits) in [
            (&[128][..], 255, 0x3f00_8081),
            (&[1], 65_535, 0x3780_0080),
            (&[7, 1], 255, 0x38e1_c2a5),
            // More than 1, as the weights add up to a little more.
            (&[255, 255, 255], 255, 0x3f80_0001),
            (&[12, 200, 99], 255, 0x3f19_54ec),
            (&[40_000, 3, 65_535], 65_535, 0x3e4e_d87c),
            (&[200, 100, 50, 128], 255, 0x3e6d_295a),
        ] {
            assert_eq!(intensity(pixel, most).to_bits(), bits, "{pixel:?} of {most}");
        }
        assert!(intensity(&[9, 0], 255).is_nan() && intensity(&[9, 9, 9, 0], 255).is_nan(), "hidden");
    }

    /// The digests are of the same pixels' intensities by `DynamicImage::to_luma32f` of `image` 0.25.10, times the opacity.
    #[test]
    fn every_grey_level_and_many_colours_are_those_of_the_crate_image() {
        let grey = |most: u16| digest((0..=most).map(|grey| intensity(&[grey], most)));
        assert_eq!([grey(255), grey(65_535)], [0x8a05_7589_586a_af97, 0xa19f_58f0_b3bf_a6e8]);
        fn drawn<const N: usize>(most: u16) -> u64 {
            digest(pixels::<N>(most).iter().map(|pixel| intensity(pixel, most)))
        }
        let of_bytes = [drawn::<2>(255), drawn::<3>(255), drawn::<4>(255)];
        assert_eq!(of_bytes, [0x8569_5212_2ab9_b094, 0x7e29_f693_0a37_12a4, 0x64e9_c172_ee7d_b091]);
        let of_pairs = [drawn::<2>(65_535), drawn::<3>(65_535), drawn::<4>(65_535)];
        assert_eq!(of_pairs, [0x57e8_5bcb_99f8_af26, 0x8828_6a34_aeb8_44e1, 0xee9e_a054_03ba_8c5c]);
    }
}
