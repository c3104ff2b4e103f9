//! Equal randomness: a tape that plays the same draws to two runs that differ in one patient.

use std::cell::{Cell, RefCell};

use fedtwin_privacy::accountant::NoiseBits;
use fedtwin_privacy::noise::{NoiseError, NoiseSource};
use fedtwin_privacy::random::{NoRandomness, RandomSource};

/// Noise that is drawn once and played again after each [`rewind`](Self::rewind).
pub struct NoiseTape<'a> {
    source: &'a dyn NoiseSource,
    drawn: RefCell<Vec<(NoiseBits, Vec<i64>)>>,
    next: Cell<usize>,
}

impl<'a> NoiseTape<'a> {
    /// Starts an empty tape over a source.
    pub fn new(source: &'a dyn NoiseSource) -> Self {
        Self { source, drawn: RefCell::default(), next: Cell::new(0) }
    }

    /// Plays what was drawn from the beginning.
    pub fn rewind(&self) {
        self.next.set(0);
    }
}

impl NoiseSource for NoiseTape<'_> {
    /// Draws anew where the tape holds noise of another strength or length: then the two runs differ in
    /// public values, and equal randomness means nothing.
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        let at = self.next.replace(self.next.get() + 1);
        let mut drawn = self.drawn.borrow_mut();
        match drawn.get(at) {
            Some((bits, noise)) if *bits == m && noise.len() == values.len() => values.copy_from_slice(noise),
            Some(_) | None => {
                self.source.fill(m, values)?;
                drawn.truncate(at);
                drawn.push((m, values.to_vec()));
            }
        }
        Ok(())
    }
}

/// Random bytes that are drawn once and played again after each [`rewind`](Self::rewind).
pub struct RandomTape<'a> {
    source: &'a mut dyn RandomSource,
    drawn: Vec<u8>,
    next: usize,
}

impl<'a> RandomTape<'a> {
    /// Starts an empty tape over a source.
    pub fn new(source: &'a mut dyn RandomSource) -> Self {
        Self { source, drawn: Vec::new(), next: 0 }
    }

    /// Plays what was drawn from the beginning.
    pub fn rewind(&mut self) {
        self.next = 0;
    }
}

impl RandomSource for RandomTape<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let end = self.next + bytes.len();
        if self.drawn.len() < end {
            let missing = self.drawn.len();
            self.drawn.resize(end, 0);
            self.source.fill(&mut self.drawn[missing..])?;
        }
        bytes.copy_from_slice(&self.drawn[self.next..end]);
        self.next = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fedtwin_privacy::noise::FastNoise;
    use fedtwin_privacy::random::SecureRandom;

    use super::*;

    #[test]
    fn a_tape_plays_the_same_draws_again() {
        let m = NoiseBits::try_from(20).unwrap();
        let tape = NoiseTape::new(&FastNoise);
        let draw = |len: usize| {
            let mut values = vec![0; len];
            tape.fill(m, &mut values).unwrap();
            values
        };
        let first = (draw(3), draw(5));
        tape.rewind();
        assert_eq!((draw(3), draw(5)), first);
        assert_ne!(draw(5), first.1);

        let mut source = SecureRandom::new();
        let mut tape = RandomTape::new(&mut source);
        let first: Vec<_> = (0..40).map(|_| tape.below(1 << 30).unwrap()).collect();
        tape.rewind();
        let again: Vec<_> = (0..50).map(|_| tape.below(1 << 30).unwrap()).collect();
        assert_eq!(again[..40], first);
    }
}
