//! A table that grows with the number of threads: a part in the arena, and a mapping of its own once that is
//! too small. So the shim's address space stays small where there are few threads.
//!
//! Only the watchdog uses a table. But a thread of the host may fork at any instruction of the watchdog, and
//! the child's watchdog goes on with the copy. So the address of a larger mapping is stored before its
//! length, and the smaller mapping goes away only after both: the length that a child finds is never beyond
//! what is mapped.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::memory::{map, unmap};

/// Entries that are there from the start.
pub(crate) const FIRST: usize = 1024;

/// All zero is a valid value: [`FIRST`] entries of zero.
pub(crate) struct Grown<T> {
    first: [T; FIRST],
    /// The mapping, null without one. Never smaller than `first`.
    more: AtomicPtr<T>,
    /// Entries of `more`. In a forked child it may be an earlier length than that of `more`, also 0.
    entries: AtomicUsize,
}

impl<T: Copy> Grown<T> {
    /// Makes room for at least `wanted` entries, and for more later. The entries so far stay. If there can be
    /// no mapping (RLIMIT_AS, locked memory), the room stays as it is.
    pub(crate) fn hold(&mut self, wanted: usize) {
        if wanted <= self.len().max(FIRST) {
            return;
        }
        let len = wanted.next_power_of_two();
        let Ok(memory) = map(len * size_of::<T>()) else { return };
        let memory = memory.cast::<T>();
        let before: &[T] = self;
        // SAFETY: fresh memory of `len` entries, more than there were, and at another address.
        unsafe { memory.copy_from_nonoverlapping(before.as_ptr(), before.len()) };
        let (old, old_len) = self.mapped();
        self.more.store(memory, Ordering::Release);
        self.entries.store(len, Ordering::Release);
        if !old.is_null() {
            unmap(old.cast(), old_len * size_of::<T>());
        }
    }
}

impl<T> Grown<T> {
    /// The mapping and its length, which is at least [`FIRST`].
    fn mapped(&self) -> (*mut T, usize) {
        (self.more.load(Ordering::Relaxed), self.entries.load(Ordering::Relaxed).max(FIRST))
    }
}

impl<T> Deref for Grown<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let (more, len) = self.mapped();
        if more.is_null() {
            return &self.first;
        }
        // SAFETY: `hold` mapped so many entries or more, zeroed, and only this table knows them. Zero is
        // valid for what is in the arena.
        unsafe { core::slice::from_raw_parts(more, len) }
    }
}

impl<T> DerefMut for Grown<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let (more, len) = self.mapped();
        if more.is_null() {
            return &mut self.first;
        }
        // SAFETY: as above, and borrowed for writing.
        unsafe { core::slice::from_raw_parts_mut(more, len) }
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;

    use super::*;

    #[test]
    fn it_grows_and_keeps_what_it_has() {
        // SAFETY: zero is a valid value of numbers and of a null pointer.
        let mut table: Box<Grown<u32>> = unsafe { Box::new_zeroed().assume_init() };
        assert_eq!(table.len(), FIRST);
        table[FIRST - 1] = 7;
        table.hold(FIRST);
        assert_eq!(table.len(), FIRST);
        table.hold(FIRST + 1);
        assert_eq!((table.len(), table[FIRST - 1], table[2 * FIRST - 1]), (2 * FIRST, 7, 0));
        table[2 * FIRST - 1] = 9;
        table.hold(30 * FIRST);
        assert_eq!((table.len(), table[FIRST - 1], table[2 * FIRST - 1]), (32 * FIRST, 7, 9));
    }

    #[test]
    fn a_copy_that_was_made_while_it_grew_ends_within_what_is_mapped() {
        // SAFETY: as above.
        let mut table: Box<Grown<u32>> = unsafe { Box::new_zeroed().assume_init() };
        table.hold(FIRST + 1);
        table[FIRST - 1] = 7;
        // As a child finds it whose parent forked between the two stores: first growth, and a later one.
        for (earlier, wanted) in [(0, 2 * FIRST), (2 * FIRST, 4 * FIRST)] {
            table.entries.store(earlier, Ordering::Relaxed);
            assert_eq!((table.len(), table[FIRST - 1]), (earlier.max(FIRST), 7));
            table.hold(wanted);
            assert_eq!((table.len(), table[FIRST - 1]), (wanted, 7));
        }
    }
}
