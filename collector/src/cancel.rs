//! Ctrl-C, as a channel: whatever waits for something waits for this as well.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

/// Set once, seen by all copies, for ever.
#[derive(Clone, Debug)]
pub struct Cancel(Receiver<Infallible>);

/// Sets the [`Cancel`] that it was made with when it is dropped.
#[derive(Debug)]
pub struct Canceller(
    #[expect(dead_code, reason = "its drop is what the other side sees")] Sender<Infallible>,
);

/// A [`Cancel`] and what sets it.
pub fn pair() -> (Canceller, Cancel) {
    // Nothing is ever sent: that the sender has gone is the message, and every receiver sees it.
    let (sender, receiver) = crossbeam_channel::bounded(0);
    (Canceller(sender), Cancel(receiver))
}

impl Cancel {
    /// One that is never set.
    pub fn never() -> Cancel {
        Cancel(crossbeam_channel::never())
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits until it is set, at most for `time`; whether it is set.
    pub fn wait(&self, time: Duration) -> bool {
        matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }

    /// For a `select!`: ready (with an error) once it is set.
    pub fn channel(&self) -> &Receiver<Infallible> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_copies_see_it_and_go_on_seeing_it() {
        let (canceller, cancel) = pair();
        let copy = cancel.clone();
        assert!(!cancel.is_set() && !copy.wait(Duration::ZERO));
        drop(canceller);
        assert!(cancel.is_set() && copy.is_set() && copy.wait(Duration::from_secs(3600)) && cancel.is_set());
        assert!(!Cancel::never().is_set());
    }
}
