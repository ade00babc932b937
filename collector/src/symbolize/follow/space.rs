//! The memory that followed code sees: what it wrote itself, the copied bytes of its stack, and lines of the
//! process's memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::value::Value;

/// Bytes of a line. Memory is asked for in lines.
pub(crate) const LINE: usize = 64;

/// Gives a line of memory by its address, a multiple of [`LINE`].
pub(crate) type LineOf<'a> = dyn FnMut(u64) -> Option<[u8; LINE]> + 'a;

/// Lines that were asked for. None: could not be read.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) BTreeMap<u64, Option<[u8; LINE]>>);

impl Lines {
    pub(super) fn byte(&mut self, address: u64, line_of: &mut LineOf<'_>) -> Option<u8> {
        let at = address & !(LINE as u64 - 1);
        let line = self.0.entry(at).or_insert_with(|| line_of(at));
        line.and_then(|line| line.get((address - at) as usize).copied())
    }

    /// A line that is kept only if it is as wanted.
    pub(super) fn matching(
        &mut self,
        at: u64,
        line_of: &mut LineOf<'_>,
        is_wanted: impl FnOnce(&[u8; LINE]) -> bool,
    ) -> bool {
        let line = self.0.get(&at).copied().unwrap_or_else(|| line_of(at));
        let found = line.filter(is_wanted);
        if found.is_some() {
            self.0.insert(at, found);
        }
        found.is_some()
    }
}

/// Memory as one thread sees it.
pub(super) struct Space<'a> {
    /// The copied bytes of the stack, and their address.
    pub(super) stack: (u64, &'a [u8]),
    /// The mapping of the stack.
    pub(super) own: Range<u64>,
    pub(super) lines: &'a mut Lines,
    pub(super) line_of: &'a mut LineOf<'a>,
    pub(super) written: HashMap<u64, Written>,
    /// Something was stored that is not of the thread's own stack.
    pub(super) stores: bool,
    /// An unknown number was stored there, and what was known before was kept.
    pub(super) guesses: bool,
}

/// A byte that followed code wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    byte: Option<u8>,
    depth: u32,
}

/// What a load gave.
pub(super) struct Loaded {
    pub(super) value: Value,
    /// At least one byte is not of the thread's own stack.
    pub(super) outside: bool,
}

impl Space<'_> {
    /// Loads a number of at most 8 bytes. `through` is the address's own depth.
    pub(super) fn load(&mut self, address: u64, size: usize, through: u32) -> Loaded {
        let (mut bits, mut depth, mut outside, mut fresh) = (Some(0u64), 0, false, false);
        for i in 0..size as u64 {
            let at = address.wrapping_add(i);
            outside |= !self.own.contains(&at);
            let byte = if let Some(written) = self.written.get(&at) {
                depth = depth.max(written.depth);
                written.byte
            } else if let Some(byte) = at.checked_sub(self.stack.0).and_then(|i| self.stack.1.get(i as usize))
            {
                Some(*byte)
            } else {
                fresh |= !self.own.contains(&at);
                self.lines.byte(at, self.line_of)
            };
            bits = bits.zip(byte).map(|(bits, byte)| bits | u64::from(byte) << (8 * i));
        }
        // Neither written by the followed code, nor of its stack: one step further along a chain.
        if fresh {
            depth = depth.max(through + 1);
        }
        Loaded { value: Value { bits, depth }, outside }
    }

    /// Stores a number. An unknown number does not go over what is known of the process's memory: a lock that
    /// is tried with an unknown value stays as it is.
    pub(super) fn store(&mut self, address: u64, size: usize, value: Value) {
        self.stores |= !self.own.contains(&address);
        if value.bits.is_none() && !self.own.contains(&address) {
            self.guesses = true;
            return;
        }
        for i in 0..size as u64 {
            let byte = value.bits.map(|bits| (bits >> (8 * i)) as u8);
            let written = Written { byte, depth: value.depth };
            self.written.insert(address.wrapping_add(i), written);
        }
    }
}
