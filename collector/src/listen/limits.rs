//! Limits of one connection, and of all together.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Time for the hello to arrive.
    pub(crate) hello_within: Duration,
    /// Connections at one time, of the whole listener.
    pub(crate) connections: usize,
    /// Bytes of events of one connection that nobody has taken yet. One event of any size may always wait.
    pub(crate) waiting_bytes: usize,
    /// The same for all connections together.
    pub(crate) all_waiting_bytes: usize,
    pub(crate) dump_bytes: usize,
    /// Frames outside dumps in one [`ConnectionLimits::window`].
    pub(crate) window_frames: u32,
    /// Dumps in one [`ConnectionLimits::window`].
    pub(crate) window_dumps: u32,
    /// Hellos in one [`ConnectionLimits::window`]: a process says one for each program that it runs.
    pub(crate) window_hellos: u32,
    /// Length of the window for the limits above.
    pub(crate) window: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            hello_within: Duration::from_secs(30),
            connections: 100_000,
            waiting_bytes: 16 << 20,
            all_waiting_bytes: 128 << 20,
            // A dump of 8000 threads with small stacks has 62 MB.
            dump_bytes: 512 << 20,
            // A look at 8000 threads is 8 frames. Tests use 10 looks a second: 800 frames in 10 s.
            window_frames: 20_000,
            window_dumps: 100,
            window_hellos: 20,
            window: Duration::from_secs(10),
        }
    }
}
