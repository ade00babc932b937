//! A process on the board, for the part of the job that watches it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hangscope_protocol::record::HeartbeatThread;

use super::board::Board;
use super::model::{Ended, Process, Threads};
use super::room::Place;
use super::view;
use crate::analysis::Integrity;
use crate::analysis::beats::Doing;
use crate::evidence::threads_file::ThreadsFile;
use crate::proc::clock;
use crate::session::{Heartbeat, Identity};
use crate::text::escape;
use crate::text::message::Text;

/// Looks whose resident set is kept.
const HISTORY: usize = 24;
/// Most characters of a command.
const MOST_COMMAND: usize = 400;

/// A process on the board. Its drop ends it there.
#[derive(Debug)]
pub(crate) struct Row {
    board: Board,
    key: u64,
    ended: bool,
}

impl Row {
    /// For a process whose hello has come. `socket` is where its shim talks to.
    pub(crate) fn begin(
        board: &Board,
        pid: u32,
        identity: &Identity,
        run: Option<&str>,
        socket: &Path,
    ) -> Row {
        let command = identity.command.join(" ");
        let command = if command.is_empty() { identity.exe.clone() } else { command };
        let time = |ns: u64| (ns > 0).then(|| Duration::from_nanos(ns).as_secs_f64());
        let view = Process {
            key: 0,
            pid,
            run: run.map(str::to_owned),
            label: view::short(&escape::line(&identity.label)),
            command: escape::line(&command).chars().take(MOST_COMMAND).collect(),
            allocator: None,
            integrity: Integrity::Unknown,
            age_s: 0.0,
            hang_after_s: time(identity.fixed.hang_after_ns),
            stall_s: time(identity.fixed.stall_ns),
            threads: Threads::default(),
            cpu: None,
            rss_kib: 0,
            rss_history: vec![],
            looks: 0,
            still: 0,
            dumping: false,
            dumps: 0,
            hung: false,
            class: None,
            headline: None,
            bundle: None,
            marks: vec![],
            ended: None,
        };
        let place = Place {
            view,
            socket: socket.to_owned(),
            began: clock::began(identity.fixed.init_ns, Instant::now()),
            ended: None,
            look: None,
            dump: None,
            counted: false,
        };
        let key = board.state().add(place);
        Row { board: board.clone(), key, ended: false }
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    fn change(&self, change: impl FnOnce(&mut Process)) {
        self.board.state().change(self.key, |place| change(&mut place.view));
    }

    /// Short name of its allocator, and the integrity of its DSOs.
    pub(crate) fn dsos(&self, allocator: Option<&str>, integrity: Integrity) {
        let allocator = allocator.map(|name| view::short(&escape::line(name)));
        self.change(|process| {
            process.integrity = integrity;
            if allocator.is_some() {
                process.allocator = allocator;
            }
        });
    }

    /// A look of its shim.
    pub(crate) fn beat(&self, beat: &Heartbeat) {
        let (threads, record) = (count(&beat.threads), &beat.record);
        self.board.state().change(self.key, |place| {
            let now = (record.since_init_ns, record.process_cpu_ns);
            let before = place.look.replace(now);
            let passed = before.map_or(0, |before| now.0.saturating_sub(before.0));
            let used = before.map_or(0, |before| now.1.saturating_sub(before.1));
            let process = &mut place.view;
            if passed > 0 {
                process.cpu = Some(used as f64 / passed as f64);
            }
            process.threads = threads;
            process.rss_kib = record.rss_kib;
            process.rss_history.push(record.rss_kib);
            if process.rss_history.len() > HISTORY {
                process.rss_history.remove(0);
            }
            process.looks += 1;
            process.still = record.still;
        });
    }

    /// A dump begins to arrive.
    pub(crate) fn dumping(&self) {
        self.change(|process| {
            process.dumping = true;
            process.dumps += 1;
        });
    }

    /// No dump is under way any more, whatever became of it.
    pub(crate) fn dump_is_over(&self) {
        self.change(|process| process.dumping = false);
    }

    /// A dump was analysed, and its bundle is in `dir`.
    pub(crate) fn dumped(&self, file: &ThreadsFile, dir: &Path) {
        let (dump, finding) = (Arc::new(view::dump(file)), &file.finding);
        self.board.state().keep_dump(self.key, dump);
        self.recalled(finding.class.as_str(), Some(view::headline(finding)), Some(dir));
        self.dump_is_over();
    }

    /// What the last dump showed, and the folder of its bundle.
    pub(crate) fn recalled(&self, class: &str, headline: Option<Text>, dir: Option<&Path>) {
        let dir = dir.map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
        self.change(|process| {
            process.class = Some(class.to_owned());
            process.headline = headline;
            process.bundle = dir.map(|dir| dir.display().to_string());
        });
    }

    /// Counts the process among those that hung, or takes that back.
    pub(crate) fn hung(&self, hung: bool) {
        self.board.state().count(self.key, hung);
    }

    /// Counts a hang in the totals, with its allocator and its label.
    pub(crate) fn count_hang(&self, class: &str) {
        let mut state = self.board.state();
        let Some(place) = state.places.get(&self.key).cloned() else { return };
        let Process { allocator, label, .. } = &place.view;
        state.tally.hang(allocator.as_deref().unwrap_or("unknown"), label, class);
    }

    /// The process has ended. `hung`: it counts among those that hung.
    pub(crate) fn end(mut self, ended: Ended, hung: bool) {
        self.ended = true;
        self.finish(ended, Some(hung));
    }

    fn finish(&self, ended: Ended, hung: Option<bool>) {
        let mut state = self.board.state();
        state.change(self.key, |place| {
            place.ended = Some(Instant::now());
            place.view.ended = Some(ended);
            place.view.dumping = false;
        });
        let hung = hung.or_else(|| state.places.get(&self.key).map(|place| place.view.hung));
        state.count(self.key, hung.unwrap_or(false));
        state.end(self.key);
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if !self.ended {
            self.finish(Ended::default(), None);
        }
    }
}

/// Threads by what they do.
fn count(threads: &[HeartbeatThread]) -> Threads {
    let mut counts = Threads { all: threads.len() as u32, ..Threads::default() };
    for thread in threads {
        *match Doing::of(thread) {
            Doing::Running => &mut counts.running,
            Doing::Futex => &mut counts.futex,
            Doing::Call => &mut counts.sleeping,
            Doing::Disk => &mut counts.disk,
            Doing::Absent | Doing::Stopped | Doing::Unknown => &mut counts.other,
        } += 1;
    }
    counts
}
