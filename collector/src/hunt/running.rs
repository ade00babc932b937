//! A run under way: its processes, what their shims said, and what the collector asks them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, at, select};
use hangscope_protocol::record::{AskRecord, PEAK_RSS, RangeRecord, ask_what};

use super::config::Config;
use super::lane::Lane;
use super::programs;
use super::screen::Screen;
use super::watch::{Watch, Watched, request};
use crate::analysis::{Judged, Stir, integrity};
use crate::console::cancel::Cancel;
use crate::console::usr1::Requests;
use crate::evidence::stall::JudgedStall;
use crate::evidence::truncated_stacks;
use crate::launch::bench::Bench;
use crate::launch::census::{Census, Disconnected, Left};
use crate::launch::program;
use crate::listen::request::Answer;
use crate::listen::{ConnId, Event, Listener, What};
use crate::live::Rows;
use crate::snap;
use crate::symbolize::Sources;
use crate::text::message::{Say as _, Text};
use crate::text::note::Note;
use crate::verify::{ProcessReport, Programs};

/// At most this many stalls that are no hang get a note.
const MOST_IDLE_NOTES: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) config: &'a Config,
    pub(crate) lane: &'a Lane,
    /// From 1, in its lane.
    pub(crate) number: u32,
    /// How the run is disturbed.
    pub(crate) stir: Option<Stir>,
    /// Offsets in the allocator of instructions at which its threads are held more often.
    pub(crate) preferred_sites: &'a BTreeSet<u32>,
    pub(crate) screen: &'a Screen,
    pub(crate) cancel: &'a Cancel,
    /// Where a person may ask for a dump. With it, Ctrl-C captures the run before it stops it.
    pub(crate) requests: Option<&'a Requests>,
    /// Set when the run is not needed any more: it is ended. If it proves to be stuck, it counts as a hang
    /// all the same.
    pub(crate) over: Option<&'a Cancel>,
    /// A run that hangs is left alive, once it is captured, and outlives this command.
    pub(crate) keep: bool,
    /// Gets the process id of every hello.
    pub(crate) hellos: Option<&'a Sender<u32>>,
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
    pub(super) census: Census,
    /// Sentences for the report.
    pub(super) notes: Vec<Text>,
    pub(super) wanted: Wanted,
    /// The processes, for those who look.
    pub(super) rows: Rows,
}

impl<'a> Running<'a> {
    pub(super) fn new(job: Job<'a>, bench: Bench, listener: Listener) -> Running<'a> {
        let watch = Watch::new(bench.started(), job.config.hang_after);
        let census = Census::new(bench.pid(), &job.lane.wanted.path, bench.started());
        let board = job.screen.board();
        listener.count_in(board.traffic());
        let rows = Rows::new(board, job.lane.run_name(job.number), listener.path());
        Running { job, bench, listener, watch, census, notes: vec![], wanted: Wanted::default(), rows }
    }

    /// Takes a message of a shim. Asks the process for what is missing: threads whose stack is incomplete in
    /// a first look, the peak of its memory, and that of its counters.
    pub(super) fn hear(&mut self, event: Event) {
        if let What::Wanted { pid, .. } = event.what {
            return self.want(pid, Some(event.conn));
        }
        if let What::Stopping { .. } = event.what {
            // A hunt has its own deadline: nobody waits for it.
            return self.listener.asker().answer(event.conn, &Answer::default());
        }
        if let What::FirstLook(dump) = &event.what
            && snap::only_a_signal_reaches(event.peer.pid)
            && let Ok(dump) = dump.read()
        {
            // If the request fails, the stack stays incomplete, and says so.
            let _ = truncated_stacks::ask(
                &self.listener.asker(),
                event.conn,
                &dump.dump,
                &self.sources(event.peer.pid),
            );
        }
        let dsos = matches!(event.what, What::Dsos(_)).then_some(event.conn);
        self.take(event);
        if let Some(conn) = dsos {
            self.ask_memory(conn);
        }
    }

    /// Takes a message, and looks at what becomes of a process whose connection has ended.
    pub(super) fn take(&mut self, event: Event) {
        let (pid, conn) = (event.peer.pid, event.conn);
        let (hello, ended) = (matches!(event.what, What::Hello(_)), matches!(event.what, What::End));
        let dsos = matches!(event.what, What::Dsos(_));
        self.rows.take(&event);
        self.watch.take(event);
        if let Some(process) = self.watch.process(conn).filter(|_| dsos) {
            self.rows.dsos(conn, process.allocator(), integrity::worst(&process.dsos).0);
        }
        if let Some(hellos) = self.job.hellos.filter(|_| hello) {
            // Nobody may listen any more.
            let _ = hellos.send(pid);
        }
        if hello {
            self.census.look_at(pid);
        }
        if ended && let Some(report) = self.watch.process(conn).map(programs::report) {
            self.census.look_at_disconnected(&report.disconnected());
        }
    }

    pub(super) fn look_if_due(&mut self) {
        if self.census.due() <= Instant::now() {
            self.look();
        }
    }

    /// Looks at the processes of the run.
    pub(super) fn look(&mut self) {
        // A connection may end although the program goes on: the process closed it, or the shim left.
        let may_live = |p: &Watched| p.ended_at.is_some_and(|since| self.census.may_live(p.pid, since));
        let ended = self.watch.connections().filter(|(_, process)| may_live(process));
        let (conns, reports): (Vec<ConnId>, Vec<ProcessReport>) =
            ended.map(|(conn, process)| (conn, programs::report(process))).unzip();
        let disconnected: Vec<Disconnected<'_>> = reports.iter().map(ProcessReport::disconnected).collect();
        let told = self.census.look_and_tell(&disconnected);
        for (conn, goes_on) in conns.into_iter().zip(told) {
            goes_on.into_iter().for_each(|goes_on| self.watch.goes_on(conn, goes_on));
        }
        self.watch.set_parents(self.census.alive().map(|seen| seen.ppid).collect());
    }

    /// What the programs of the run have told so far.
    pub(super) fn reports(&self) -> Vec<ProcessReport> {
        self.watch.processes().map(programs::report).collect()
    }

    /// The program that is judged: the one that hangs in process `hung`, else the last of the chain. `left`:
    /// the first process has ended.
    pub(super) fn judged(&self, hung: Option<u32>, left: Option<&Left>) -> Judged {
        let names = self.job.config.only.as_deref().map(program::names);
        let reports = self.reports();
        let (seen, wanted) = (self.census.seen(), &*self.job.lane.wanted);
        let programs = Programs { seen, reports: &reports, wanted, names: names.as_deref() };
        match hung {
            Some(pid) => programs.at_hang(pid),
            None => programs.at_end(self.bench.pid(), left),
        }
    }

    /// Asks a process that has just named its DSOs for the peak of its memory and for its counters, once.
    fn ask_memory(&mut self, conn: ConnId) {
        let lane = self.job.lane;
        let Some(process) = self.watch.process(conn).filter(|p| p.memory_asked.is_none()) else { return };
        let ours = process.allocator().filter(|dso| lane.counters.is_some() && lane.is_of(dso));
        let counters = ours.map_or(Ok(vec![]), |dso| lane.counter_ranges(dso));
        let mut ranges = vec![RangeRecord { address: PEAK_RSS, len: 8, reserved: 0 }];
        ranges.extend(counters.iter().flatten());
        let asked = self.listener.asker().ask_memory(conn, &ranges).map_err(|e| e.said());
        self.watch.memory_asked(conn, counters.and(asked));
    }

    /// The peak of the resident set of a process that has ended, KiB: as its shim left it. None: it was
    /// killed, or ended without running destructors.
    pub(super) fn peak_rss(&self, pid: u32) -> Option<u64> {
        let of_process = self.watch.processes().filter(|process| process.pid == pid);
        of_process.filter_map(Watched::peak_rss).last()
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
        let arrived: Vec<Event> = self.listener.events().try_iter().collect();
        arrived.into_iter().for_each(|event| self.take(event));
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
        Sources {
            copies,
            live_pid: Some(pid),
            same_boot: true,
            kept: self.job.config.kept.clone(),
            ..Sources::default()
        }
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
        let arrived: Vec<Event> = self.listener.events().try_iter().collect();
        arrived.into_iter().for_each(|event| self.take(event));
    }
}
