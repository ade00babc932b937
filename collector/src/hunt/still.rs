//! While a run goes on: threads whose stack is cut are asked, as is the memory of counters; what stands still is judged
//! stuck or idle.

use super::lane::Lane;
use super::watch::{Watch, Watched};
use crate::evidence::stall::JudgedStall;
use crate::evidence::truncated_stacks;
use crate::listen::{ConnId, Event, Listener, What};
use crate::symbolize::Sources;
use crate::text::message::Say as _;
use crate::text::note::Note;

/// Takes what was said; threads whose stack is cut in a first look are asked at once.
pub(super) fn hear(lane: &Lane, listener: &Listener, watch: &mut Watch, event: Event) {
    if let What::FirstLook(dump) = &event.what {
        // What cannot be asked any more stays cut, and the stack says so.
        let _ = truncated_stacks::ask(&listener.asker(), event.conn, dump, &sources(lane, event.peer.pid));
    }
    let dsos = matches!(event.what, What::Dsos(_)).then_some(event.conn);
    watch.take(event);
    if let Some(conn) = dsos {
        ask_counters(lane, listener, watch, conn);
    }
}

/// Asks a process that has just told of its DSOs for the memory of its counters, once.
fn ask_counters(lane: &Lane, listener: &Listener, watch: &mut Watch, conn: ConnId) {
    let process = watch.process(conn).filter(|p| p.memory_asked.is_none() && lane.counters.is_some());
    let ours = process.and_then(Watched::allocator).filter(|dso| lane.is_of(dso));
    if let Some(dso) = ours {
        let ask = |ranges: Vec<_>| listener.asker().ask_memory(conn, &ranges).map_err(|e| e.said());
        let asked = lane.counter_ranges(dso).and_then(ask);
        watch.memory_asked(conn, asked);
    }
}

/// Looks whether a process in which nothing has moved for so long is stuck. None if it is; else a line about it.
pub(super) fn idle(lane: &Lane, process: &Watched) -> Option<Note> {
    let dump = &process.stall.as_ref()?.dump;
    let stands = JudgedStall::of(dump, &sources(lane, process.pid), &process.history);
    (!stands.stuck).then(|| stands.note(dump))
}

/// Where names come from before there is a bundle.
fn sources(lane: &Lane, pid: u32) -> Sources {
    Sources { copies: lane.files(), live_pid: Some(pid), same_boot: true, ..Sources::default() }
}
