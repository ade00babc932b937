//! Random numbers that are the same in every run, so that only thread timing makes two runs differ.

/// `xorshift64*` (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
pub(crate) struct Rng(u64);

impl Rng {
    /// Creates the generator of one worker. Each worker has its own sequence.
    pub(crate) fn new(worker: usize) -> Self {
        // A seed must not be 0. The odd constant (2^64 divided by the golden ratio) spreads the seeds.
        Rng((worker as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Returns a number below `bound`. `bound` is at least 1. Multiplication is faster than a remainder, and
    /// its bias is below 2^-32 for bounds below 2^32.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(bits) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_about_as_often() {
        let mut rng = Rng::new(3);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10)] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
    }
}
