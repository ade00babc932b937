//! What one connection may cost.

use std::time::Duration;

/// Bounds on what one connection may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// A hello must come within.
    pub(crate) hello_within: Duration,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Bytes of events of a connection that nobody took yet; one event may always wait.
    pub(crate) waiting_bytes: usize,
    /// Bytes of one dump.
    pub(crate) dump_bytes: usize,
    /// Frames outside a dump in [`ConnectionLimits::window`].
    pub(crate) window_frames: u32,
    /// Dumps in [`ConnectionLimits::window`].
    pub(crate) window_dumps: u32,
    /// Over which the two above count.
    pub(crate) window: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            hello_within: Duration::from_secs(30),
            connections: 4096,
            waiting_bytes: 64 << 20,
            // 8000 threads with small stacks make 62 MB.
            dump_bytes: 512 << 20,
            // A look at 8000 threads is 8 frames, 10 looks a second are asked for in tests: 800 in 10 s.
            window_frames: 20_000,
            window_dumps: 100,
            window: Duration::from_secs(10),
        }
    }
}
