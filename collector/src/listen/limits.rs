//! Limits of one connection.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Time for the hello to arrive.
    pub(crate) hello_within: Duration,
    /// Connections at one time, of the whole listener.
    pub(crate) connections: usize,
    /// Bytes of events that nobody has taken yet. One event of any size may always wait.
    pub(crate) waiting_bytes: usize,
    pub(crate) dump_bytes: usize,
    /// Frames outside dumps in one [`ConnectionLimits::window`].
    pub(crate) window_frames: u32,
    /// Dumps in one [`ConnectionLimits::window`].
    pub(crate) window_dumps: u32,
    /// Length of the window for the two limits above.
    pub(crate) window: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            hello_within: Duration::from_secs(30),
            connections: 4096,
            waiting_bytes: 64 << 20,
            // A dump of 8000 threads with small stacks has 62 MB.
            dump_bytes: 512 << 20,
            // A look at 8000 threads is 8 frames. Tests use 10 looks a second: 800 frames in 10 s.
            window_frames: 20_000,
            window_dumps: 100,
            window: Duration::from_secs(10),
        }
    }
}
