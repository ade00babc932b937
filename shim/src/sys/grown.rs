//! A table that grows with the number of threads: a part in the arena, and a mapping of its own once that is
//! too small. So the shim's address space stays small where there are few threads.

use core::ops::{Deref, DerefMut};

use super::memory::{map, unmap};

/// Entries that are there from the start.
pub(crate) const FIRST: usize = 1024;

/// All zero is a valid value: [`FIRST`] entries of zero.
pub(crate) struct Grown<T> {
    first: [T; FIRST],
    /// The mapping, null without one. Never smaller than `first`.
    more: *mut T,
    /// Entries of `more`.
    len: usize,
}

// SAFETY: it owns what `more` points to, as a Vec does.
unsafe impl<T: Send> Send for Grown<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Grown<T> {}

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
        let (old, old_len) = (self.more, self.len);
        (self.more, self.len) = (memory, len);
        if !old.is_null() {
            unmap(old.cast(), old_len * size_of::<T>());
        }
    }
}

impl<T> Deref for Grown<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if self.more.is_null() {
            return &self.first;
        }
        // SAFETY: `hold` mapped so many entries, zeroed, and only this table knows them. Zero is valid for
        // what is in the arena.
        unsafe { core::slice::from_raw_parts(self.more, self.len) }
    }
}

impl<T> DerefMut for Grown<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.more.is_null() {
            return &mut self.first;
        }
        // SAFETY: as above, and borrowed for writing.
        unsafe { core::slice::from_raw_parts_mut(self.more, self.len) }
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
}
