//! While a run goes on: threads whose stack is cut are asked, and what stands still is judged stuck or idle.

use super::lane::Lane;
use super::watch::{Watch, Watched};
use crate::cut;
use crate::listen::{Event, Listener, What};
use crate::note::Note;
use crate::standstill::Standstill;
use crate::symbolize::Sources;

/// Takes what was said; threads whose stack is cut in a first look are asked at once.
pub(super) fn hear(lane: &Lane, listener: &Listener, watch: &mut Watch, event: Event) {
    if let What::FirstLook(dump) = &event.what {
        // What cannot be asked any more stays cut, and the stack says so.
        let _ = cut::ask(&listener.asker(), event.conn, dump, &sources(lane, event.peer.pid));
    }
    watch.take(event);
}

/// Looks whether a process in which nothing has moved for so long is stuck. None if it is; else a line about it.
pub(super) fn idle(lane: &Lane, process: &Watched) -> Option<Note> {
    let dump = &process.stall.as_ref()?.dump;
    let stands = Standstill::of(dump, &sources(lane, process.pid), &process.history);
    (!stands.stuck).then(|| stands.note(dump))
}

/// Where names come from before there is a bundle.
fn sources(lane: &Lane, pid: u32) -> Sources {
    Sources { copies: lane.files(), live_pid: Some(pid), same_boot: true, ..Sources::default() }
}
