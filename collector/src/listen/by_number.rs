//! Maps by numbers that we give ourselves: nobody can choose them so that they collide.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type ByNumber<K, V> = HashMap<K, V, BuildHasherDefault<OneNumber>>;

/// Takes one number of 64 bits.
#[derive(Debug, Default)]
pub(crate) struct OneNumber(u64);

impl Hasher for OneNumber {
    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: neighbours go far apart.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
