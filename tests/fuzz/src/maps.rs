//! `/proc/PID/maps`, and the other files of `/proc` that are read as text.

use hangscope_reader::status::Status;
use hangscope_reader::{maps, task};

pub fn any(bytes: &[u8]) {
    let whole = maps::whole_lines(bytes);
    assert!(whole <= bytes.len());
    for mapping in maps::mappings(bytes) {
        assert!(mapping.start < mapping.end && mapping.path.len() < whole);
    }
    let _ = task::Stat::parse(bytes);
    let _ = task::Syscall::parse(bytes);
    let status = Status(bytes);
    let _ = (status.blocked_signals(), status.pending_signals());
}
