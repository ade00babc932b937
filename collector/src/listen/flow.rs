//! How much may wait to be taken: of one connection, and of all together. Nothing here blocks. A connection
//! with too much is not read, until what waits was taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the whole listener counts, and the connections that may be read again.
#[derive(Debug)]
pub(super) struct Flow {
    /// Limit for all connections, bytes. A connection of which nothing waits may always be read.
    most: usize,
    state: Mutex<State>,
    waker: mio::Waker,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Connections that are not read because all together have too much.
    starved: Vec<u64>,
    /// Connections that may be read again.
    resumed: Vec<u64>,
}

impl Flow {
    pub(super) fn new(most: usize, waker: mio::Waker) -> Flow {
        Flow { most, state: Mutex::default(), waker }
    }

    /// Wakes the event loop.
    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!("the event loop cannot be woken: {error}");
        }
    }

    /// The connections that may be read again since the last call.
    pub(super) fn take_resumed(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().resumed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, bytes: usize, resumed: Option<u64>) {
        let mut state = self.state();
        state.used = state.used.saturating_sub(bytes);
        let mut wake = resumed.is_some();
        state.resumed.extend(resumed);
        if state.used <= self.most / 4 * 3 && !state.starved.is_empty() {
            let starved = std::mem::take(&mut state.starved);
            state.resumed.extend(starved);
            wake = true;
        }
        drop(state);
        if wake {
            self.wake();
        }
    }
}

/// The bytes of a connection's events that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Waiting {
    conn: u64,
    most: usize,
    flow: Arc<Flow>,
    /// The bytes, and whether the connection is not read because of them.
    state: Mutex<(usize, bool)>,
}

impl Waiting {
    pub(super) fn new(conn: u64, most: usize, flow: Arc<Flow>) -> Waiting {
        Waiting { conn, most, flow, state: Mutex::default() }
    }

    /// Counts `bytes` until the result is dropped.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let mut state = self.state();
        state.0 = state.0.saturating_add(bytes);
        drop(state);
        let mut all = self.flow.state();
        all.used = all.used.saturating_add(bytes);
        drop(all);
        Charge { waiting: self.clone(), bytes }
    }

    /// Whether the connection must not be read now. Then [`Flow::take_resumed`] gives it later.
    pub(super) fn must_pause(&self) -> bool {
        let mut state = self.state();
        if state.0 > self.most {
            state.1 = true;
            return true;
        }
        if state.0 == 0 {
            return false;
        }
        let mut all = self.flow.state();
        let starves = all.used > self.flow.most;
        if starves {
            all.starved.push(self.conn);
        }
        starves
    }

    fn state(&self) -> MutexGuard<'_, (usize, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that count in [`Waiting`] until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut state = self.waiting.state();
        state.0 = state.0.saturating_sub(self.bytes);
        let resumed = state.1 && state.0 <= self.waiting.most / 2;
        if resumed {
            state.1 = false;
        }
        drop(state);
        self.waiting.flow.release(self.bytes, resumed.then_some(self.waiting.conn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(most: usize) -> (mio::Poll, Arc<Flow>) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        (poll, Arc::new(Flow::new(most, waker)))
    }

    #[test]
    fn a_connection_with_too_much_waits_until_half_is_taken() {
        let (_poll, flow) = flow(1 << 20);
        let waiting = Arc::new(Waiting::new(7, 100, flow.clone()));
        let (first, second) = (waiting.charge(60), waiting.charge(50));
        assert!(waiting.must_pause());
        drop(second);
        assert_eq!(flow.take_resumed(), [0u64; 0]);
        drop(first);
        assert_eq!(flow.take_resumed(), [7]);
        assert!(!waiting.must_pause());
    }

    #[test]
    fn all_together_have_a_limit_and_a_connection_without_events_is_read_all_the_same() {
        let (_poll, flow) = flow(100);
        let (big, other) =
            (Arc::new(Waiting::new(1, 1000, flow.clone())), Arc::new(Waiting::new(2, 1000, flow.clone())));
        let charge = big.charge(150);
        assert!(big.must_pause());
        assert!(!other.must_pause());
        let more = other.charge(1);
        assert!(other.must_pause());
        drop(charge);
        assert_eq!(flow.take_resumed(), [1, 2]);
        drop(more);
    }
}
