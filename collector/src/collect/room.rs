//! The memory for dumps that are analysed and for copies of allocators that are read: who finds no room
//! waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Analysing a dump takes about so many times the bytes of its frames.
const TIMES: u64 = 4;

#[derive(Debug)]
pub(super) struct Room {
    most: u64,
    used: Mutex<u64>,
    changed: Condvar,
}

/// Room that is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    pub(super) fn new(most: u64) -> Room {
        Room { most, used: Mutex::new(0), changed: Condvar::new() }
    }

    /// Takes room for a dump of so many bytes, as [`Room::take`].
    pub(super) fn take_for_dump(&self, frames: usize, waits: impl FnOnce()) -> Taken<'_> {
        self.take((frames as u64).saturating_mul(TIMES), waits)
    }

    /// Takes room for so many bytes. Waits for it; `waits` is called first if it must. What is larger than
    /// all there is waits until it is alone. Whoever has room must not take more: two of them would wait for
    /// each other.
    pub(super) fn take(&self, bytes: u64, waits: impl FnOnce()) -> Taken<'_> {
        let full = |used: &mut u64| *used != 0 && used.saturating_add(bytes) > self.most;
        let mut used = self.used();
        if full(&mut used) {
            drop(used);
            waits();
            used = self.used();
        }
        let mut used = self.changed.wait_while(used, full).unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
        Taken { room: self, bytes }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut used = self.room.used();
        *used = used.saturating_sub(self.bytes);
        drop(used);
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_waits_and_what_never_fits_goes_alone() {
        let room = Room::new(100);
        let first = room.take_for_dump(20, || panic!("there is room"));
        let (said, hears) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(room.take_for_dump(1000, || said.send(()).unwrap())));
            hears.recv().unwrap();
            assert!(!waiting.is_finished());
            drop(first);
        });
        assert_eq!(*room.used(), 0);
    }
}
