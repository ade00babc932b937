//! What is disturbed when, for how long: numbers from a seed. The same seed makes the same decisions.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u32) -> Random {
        Random(u64::from(seed))
    }

    /// At some place of a sequence.
    pub fn from(state: u64) -> Random {
        Random(mix(state))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From 0 to `n - 1`; 0 if `n` is 0. Not exactly uniform, by less than `n` in 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw().checked_rem(n).unwrap_or(0)
    }

    /// Whether an event of one in `n` takes place.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// From `least` to `least * 2^octaves`, each octave as likely as any other: short times are not lost
    /// among long ones.
    pub fn spread(&mut self, least: u64, octaves: u64) -> u64 {
        let base = least << self.below(octaves);
        base + self.below(base)
    }
}

/// The increment: odd, and as good as irrational.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_and_ranges() {
        // The first outputs for seed 1234567, as in the reference implementation's tests.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.draw(), 6_457_827_717_110_365_317);
        assert_eq!(random.draw(), 3_203_168_211_198_807_973);
        assert_eq!(Random::new(7).below(0), 0);
        let mut octaves = [0; 3];
        for _ in 0..3000 {
            let time = random.spread(10, 3);
            assert!((10..80).contains(&time));
            octaves[(time / 10).ilog2() as usize] += 1;
        }
        assert!(octaves.iter().all(|n| (850..1150).contains(n)), "{octaves:?}");
    }
}
