//! What listeners have received, counted over all of their connections.

use std::sync::atomic::{AtomicU64, Ordering};

/// A larger hole in the numbers of messages is none of messages that were dropped.
const MOST_AT_ONCE: u32 = 1 << 16;

#[derive(Debug, Default)]
pub(crate) struct Traffic {
    bytes: AtomicU64,
    dropped: AtomicU64,
}

impl Traffic {
    /// Counts a message of `bytes`, and those that its sender had to drop before it.
    pub(super) fn count(&self, bytes: usize, dropped: u32) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if dropped > 0 && dropped <= MOST_AT_ONCE {
            self.dropped.fetch_add(dropped.into(), Ordering::Relaxed);
        }
    }

    /// Bytes that were received.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Messages that shims could not send, because their socket was full. A shim numbers all of its messages.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
