//! Memory of a process, whichever way it is had.

use object::pod::{Pod, from_bytes};

/// Memory that can be read: of this process, of another one, or of a recording.
///
/// An implementation reads by a system call (`process_vm_readv`) or from a file. It never dereferences an
/// address, so a page that is missing is an error and never a fault.
pub trait Memory {
    /// Why memory could not be read: an errno, or nothing.
    type Error;

    /// Reads into `to` from address `at` on, as far as memory can be read. Gives the number of bytes read.
    ///
    /// # Errors
    /// If not even the first byte could be read.
    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Self::Error>;

    /// Reads exactly `N` bytes, or nothing.
    fn array<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.is_read(at, &mut bytes).then_some(bytes)
    }

    /// A 64-bit word, little-endian.
    fn word(&self, at: u64) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A 32-bit word, little-endian.
    fn half(&self, at: u64) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// Whether all of `to` could be filled.
    fn is_read(&self, at: u64, to: &mut [u8]) -> bool {
        matches!(self.read(at, to), Ok(n) if n == to.len())
    }
}

/// Words that a plain structure of at most 64 bytes can be read into: they are aligned for it.
pub(crate) fn structure<T: Pod + Copy>(memory: &impl Memory, at: u64) -> Option<T> {
    let mut words = [0u64; 8];
    let bytes = object::pod::bytes_of_mut(&mut words).get_mut(..size_of::<T>())?;
    if !memory.is_read(at, bytes) {
        return None;
    }
    from_bytes(bytes).ok().map(|(structure, _)| *structure)
}

/// Memory made of pieces, for tests.
#[cfg(test)]
pub(crate) mod pieces {
    use super::Memory;

    #[derive(Default)]
    pub(crate) struct Pieces(pub(crate) Vec<(u64, Vec<u8>)>);

    impl Memory for Pieces {
        type Error = ();

        fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, ()> {
            let (start, bytes) =
                self.0.iter().find(|(s, b)| (*s..s + b.len() as u64).contains(&at)).ok_or(())?;
            let from = &bytes[(at - start) as usize..];
            let n = from.len().min(to.len());
            to[..n].copy_from_slice(&from[..n]);
            Ok(n)
        }
    }

    #[test]
    fn all_or_nothing() {
        let memory = Pieces(vec![(0x1000, vec![1, 2, 3, 4, 5, 6, 7, 8, 9])]);
        assert_eq!(memory.word(0x1000), Some(0x0807_0605_0403_0201));
        assert_eq!(memory.half(0x1005), Some(0x0908_0706));
        assert_eq!((memory.word(0x1002), memory.half(0), memory.word(u64::MAX)), (None, None, None));
        assert_eq!(memory.read(0x1007, &mut [0; 8]), Ok(2));
    }
}
