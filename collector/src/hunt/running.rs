//! A run under way: its processes, what their shims said, and what the collector asks them.

use std::time::{Duration, Instant};

use crossbeam_channel::{at, select};
use hangscope_protocol::record::{AskRecord, ask_what};

use super::config::Config;
use super::lane::Lane;
use super::screen::Screen;
use super::watch::{Watch, Watched, request};
use crate::console::cancel::Cancel;
use crate::console::usr1::Requests;
use crate::evidence::stall::JudgedStall;
use crate::evidence::truncated_stacks;
use crate::launch::bench::Bench;
use crate::listen::{ConnId, Event, Listener, What};
use crate::symbolize::Sources;
use crate::text::message::{Say as _, Text};
use crate::text::note::Note;

/// At most this many stalls that are no hang get a note.
const MOST_IDLE_NOTES: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) config: &'a Config,
    pub(crate) lane: &'a Lane,
    /// From 1, in its lane.
    pub(crate) number: u32,
    pub(crate) screen: &'a Screen,
    pub(crate) cancel: &'a Cancel,
    /// Where a person may ask for a dump. With it, Ctrl-C captures the run before it stops it.
    pub(crate) requests: Option<&'a Requests>,
}

/// Requests of people for dumps of a run.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Who waits for an answer, and for the dumps of which processes.
    pub(super) askers: Vec<(ConnId, Vec<ConnId>)>,
    /// Number of dumps that were kept.
    pub(super) kept: u32,
}

/// A run whose first process was started.
#[derive(Debug)]
pub(super) struct Running<'a> {
    pub(super) job: Job<'a>,
    pub(super) bench: Bench,
    pub(super) listener: Listener,
    pub(super) watch: Watch,
    /// Sentences for the report.
    pub(super) notes: Vec<Text>,
    pub(super) wanted: Wanted,
}

impl<'a> Running<'a> {
    pub(super) fn new(job: Job<'a>, bench: Bench, listener: Listener) -> Running<'a> {
        let watch = Watch::new(bench.started(), job.config.hang_after);
        Running { job, bench, listener, watch, notes: vec![], wanted: Wanted::default() }
    }

    /// Takes a message of a shim. Asks the process for what is missing: threads whose stack is incomplete in
    /// a first look, and the memory of its counters.
    pub(super) fn hear(&mut self, event: Event) {
        if let What::Wanted { pid } = event.what {
            return self.want(pid, Some(event.conn));
        }
        if let What::FirstLook(dump) = &event.what {
            // If the request fails, the stack stays incomplete, and says so.
            let _ = truncated_stacks::ask(
                &self.listener.asker(),
                event.conn,
                dump,
                &self.sources(event.peer.pid),
            );
        }
        let dsos = matches!(event.what, What::Dsos(_)).then_some(event.conn);
        self.watch.take(event);
        if let Some(conn) = dsos {
            self.ask_counters(conn);
        }
    }

    /// Asks a process that has just named its DSOs for the memory of its counters, once.
    fn ask_counters(&mut self, conn: ConnId) {
        let lane = self.job.lane;
        let process =
            self.watch.process(conn).filter(|p| p.memory_asked.is_none() && lane.counters.is_some());
        let ours = process.and_then(Watched::allocator).filter(|dso| lane.is_of(dso));
        if let Some(dso) = ours {
            let ask = |ranges: Vec<_>| self.listener.asker().ask_memory(conn, &ranges).map_err(|e| e.said());
            let asked = lane.counter_ranges(dso).and_then(ask);
            self.watch.memory_asked(conn, asked);
        }
    }

    /// Asks a process for a dump.
    pub(super) fn ask_dump(&mut self, conn: ConnId) {
        self.send_ask(conn, request::HANG, Duration::ZERO);
        self.watch.asked(conn, Instant::now());
    }

    /// `second_look`: how long after the first look; zero: as long as usual.
    pub(super) fn send_ask(&self, conn: ConnId, request: u32, second_look: Duration) {
        let arg0 = second_look.as_nanos() as u64;
        let ask = AskRecord { what: ask_what::DUMP, request, arg0, arg1: 0, reserved: 0 };
        // An error needs no answer here: everybody waits for a dump only for a limited time.
        let _ = self.listener.ask(conn, &ask, &[]);
    }

    /// Asks all processes for a dump with an early second look, and waits until all are there, at most for
    /// this time. Ctrl-C does not end the wait: it is what made the call.
    pub(super) fn dump_now(&mut self, second_look: Duration, limit: Duration) {
        let until = Instant::now() + limit;
        for conn in self.watch.live() {
            self.send_ask(conn, request::HANG, second_look);
        }
        while self.watch.lacks_dump() {
            select! {
                recv(at(until)) -> _ => break,
                recv(self.bench.ended()) -> _ => break,
                recv(self.listener.events()) -> event => match event {
                    Ok(event) => self.hear(event),
                    Err(_) => break,
                },
            }
        }
        self.listener.events().try_iter().for_each(|event| self.watch.take(event));
        self.watch.keep_stalls();
    }

    /// Decides whether a process that made a dump because nothing moved is stuck.
    pub(super) fn judge_stall(&mut self, conn: ConnId) {
        let idle = self.watch.process(conn).and_then(|process| self.idle(process));
        self.watch.judged(conn, idle.is_none());
        let few = self.notes.len() < MOST_IDLE_NOTES;
        self.notes.extend(idle.filter(|_| few).map(|note| note.said()));
    }

    /// Notes on processes that stood still when they ended, before their stall was judged.
    pub(super) fn note_stalls_at_end(&mut self) {
        let idle = self.watch.processes().filter_map(|process| self.idle(process));
        let idle: Vec<Text> = idle.take(MOST_IDLE_NOTES).map(|note| note.said()).collect();
        self.notes.extend(idle);
    }

    /// A note if the process stands still but is not stuck; `None` if it is stuck, or made no dump for a
    /// stall.
    fn idle(&self, process: &Watched) -> Option<Note> {
        let dump = &process.stall.as_ref()?.dump;
        let judged = JudgedStall::of(dump, &self.sources(process.pid), &process.history);
        (!judged.stuck).then(|| judged.note(dump))
    }

    /// Where names come from before there is a bundle.
    pub(super) fn sources(&self, pid: u32) -> Sources {
        let copies = self.job.lane.files();
        Sources { copies, live_pid: Some(pid), same_boot: true, ..Sources::default() }
    }

    /// Waits for the dumps that have begun in other processes of the run.
    pub(super) fn gather(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.watch.dump_is_under_way() {
            select! {
                recv(self.job.cancel.channel()) -> _ => return,
                recv(at(until)) -> _ => return,
                recv(self.listener.events()) -> event => match event {
                    Ok(event) => self.hear(event),
                    Err(_) => return,
                },
            }
        }
        // Messages that have arrived already.
        self.listener.events().try_iter().for_each(|event| self.watch.take(event));
    }
}
