//! The copied bytes of a stack, and why a stack could not be followed to its end.

use super::arch::Arch;
use super::problem::StackProblem;
use crate::text::message::say;

/// Most frames of one stack. Deeper frames are cut.
pub(super) const MOST_FRAMES: usize = 256;

/// Bytes that were copied from a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackBytes<'s> {
    pub(super) start: u64,
    pub(super) bytes: &'s [u8],
}

impl<'s> StackBytes<'s> {
    /// The bytes between two addresses.
    pub(super) fn between(&self, from: u64, to: u64) -> Option<&'s [u8]> {
        let from = usize::try_from(from.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(to.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..to)
    }

    /// A little-endian number of at most 8 bytes.
    pub(super) fn read(&self, address: u64, size: usize) -> Result<u64, Cut> {
        let bytes = address.checked_add(size as u64).and_then(|end| self.between(address, end));
        let bytes = bytes.filter(|b| b.len() <= 8).ok_or(Cut::OutsideCopy(address))?;
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(u64::from_le_bytes(word))
    }

    pub(super) fn read_u64(&self, address: u64) -> Result<u64, Cut> {
        self.read(address, 8)
    }
}

/// Why a stack could not be followed further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The caller is found by the frame pointer, which is not known.
    NeedsFramePointer,
    /// The caller is found by another register (DWARF number), which is not known.
    NeedsRegister(u16),
    /// The address that is needed is not among the copied bytes.
    OutsideCopy(u64),
    /// There are no unwind tables for this code, and the frame pointer is not usable.
    NoTable,
    /// The unwind tables are invalid.
    BadTable,
    /// The return address is not in code.
    NotCode(u64),
    /// The stack pointer did not rise.
    NoProgress,
    /// More than [`MOST_FRAMES`].
    TooDeep,
    /// The time limit was reached.
    OutOfTime,
}

impl Cut {
    pub(super) fn why(self, arch: &Arch) -> StackProblem {
        let hex = |address: u64| format!("{address:#x}");
        match self {
            Cut::NeedsFramePointer => say!(StackProblem::FramePointer { register: arch.fp_name }),
            Cut::NeedsRegister(reg) => say!(StackProblem::Register { register: arch.register_name(reg) }),
            Cut::OutsideCopy(address) => say!(StackProblem::NotCopied { address: hex(address) }),
            Cut::NoTable => StackProblem::NoTable {},
            Cut::BadTable => StackProblem::BadTable {},
            Cut::NotCode(address) => say!(StackProblem::NotCode { address: hex(address) }),
            Cut::NoProgress => StackProblem::NoProgress {},
            Cut::TooDeep => say!(StackProblem::TooDeep { most: MOST_FRAMES }),
            Cut::OutOfTime => StackProblem::OutOfTime {},
        }
    }
}
