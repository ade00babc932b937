//! The state of a job. The job writes to it, and readers copy it. The lock is held for a few instructions a
//! write, and for one pointer a process a read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::model::{Counts, Ended, Job, Kind, Mark, OneProcess, Process, Run, SCHEMA, Status};
use super::room::{Place, State};
use crate::analysis::stats::{self, Rate};
use crate::analysis::{RunFacts, RunOutcome};
use crate::listen::Traffic;

/// Most processes in one answer.
const MOST_PROCESSES: usize = 10_000;

/// The state of a job. All copies are the same board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    state: Arc<Mutex<State>>,
    traffic: Arc<Traffic>,
    began: Instant,
    started: SystemTime,
}

/// Which process is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The last one with this process id.
    Pid(u32),
    /// [`Process::key`].
    Key(u64),
}

impl Board {
    pub(crate) fn new(kind: Kind) -> Board {
        Board {
            state: Arc::new(Mutex::new(State { kind, ..State::default() })),
            traffic: Arc::default(),
            began: Instant::now(),
            started: SystemTime::now(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a listener counts what it receives.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Names the job. `out` is its folder.
    pub(crate) fn name(&self, kind: Kind, name: &str, out: &Path) {
        let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
        let mut state = self.state();
        (state.kind, state.name, state.out) = (kind, name.to_owned(), out);
    }

    pub(super) fn out(&self) -> PathBuf {
        self.state().out.clone()
    }

    /// The number of runs that are planned.
    pub(crate) fn plan(&self, runs: u32) {
        self.state().planned = Some(runs);
    }

    /// A run begins.
    pub(crate) fn begin_run(&self, name: &str) {
        self.state().running.push((name.to_owned(), Instant::now(), false));
    }

    /// No run is under way.
    pub(crate) fn no_run(&self) {
        self.state().running.clear();
    }

    /// A run hangs, and its evidence is written.
    pub(crate) fn capturing(&self, name: &str) {
        let mut state = self.state();
        state.running.iter_mut().filter(|run| run.0 == name).for_each(|run| run.2 = true);
    }

    /// A run has ended. `name` is that of [`Board::begin_run`].
    pub(crate) fn end_run(&self, name: &str, facts: &RunFacts) {
        let mut state = self.state();
        match state.running.len() {
            // A job may have names of its own.
            1 => state.running.clear(),
            _ => state.running.retain(|run| run.0 != name),
        }
        state.tally.run(outcome(facts.outcome));
        if facts.outcome != RunOutcome::Interrupted {
            state.made += 1;
            state.hung += u32::from(facts.outcome == RunOutcome::Hung);
        }
        let made = state.made;
        state.planned = state.planned.map(|planned| planned.max(made));
    }

    /// Counts a hang of a run.
    pub(crate) fn hang(&self, allocator: &str, label: &str, class: &str) {
        self.state().tally.hang(allocator, label, class);
    }

    /// What the job does now.
    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        let (places, counts) = (state.places.values().cloned().collect::<Vec<_>>(), state.tally.counts());
        let job = self.job(&state);
        drop(state);
        let left_out = places.len().saturating_sub(MOST_PROCESSES) as u64;
        let processes = places.iter().take(MOST_PROCESSES).map(|place| place.process()).collect();
        Status { schema: SCHEMA.to_owned(), job, counts: self.with_traffic(counts), processes, left_out }
    }

    /// The job and its totals, without its processes.
    pub(super) fn totals(&self) -> (Job, Counts) {
        let state = self.state();
        let (job, counts) = (self.job(&state), state.tally.counts());
        drop(state);
        (job, self.with_traffic(counts))
    }

    fn with_traffic(&self, counts: Counts) -> Counts {
        Counts { received_bytes: self.traffic.bytes(), dropped_frames: self.traffic.dropped(), ..counts }
    }

    /// The job without its processes.
    pub(super) fn job_now(&self) -> Job {
        self.job(&self.state())
    }

    fn job(&self, state: &State) -> Job {
        let rate = Rate::exact(state.hung, state.made, stats::CONFIDENCE);
        let run = |(name, since, capturing): &(String, Instant, bool)| Run {
            name: name.clone(),
            age_s: since.elapsed().as_secs_f64(),
            capturing: *capturing,
        };
        Job {
            kind: state.kind,
            name: state.name.clone(),
            out: state.out.display().to_string(),
            pid: std::process::id(),
            started: humantime::format_rfc3339_millis(self.started).to_string(),
            age_s: self.began.elapsed().as_secs_f64(),
            planned: state.planned,
            made: state.made,
            hung: state.hung,
            low: rate.low,
            high: rate.high,
            running: state.running.iter().map(run).collect(),
        }
    }

    fn place(&self, which: Which) -> Option<Arc<Place>> {
        let state = self.state();
        match which {
            Which::Key(key) => state.places.get(&key).cloned(),
            Which::Pid(pid) => state.places.values().rev().find(|place| place.view.pid == pid).cloned(),
        }
    }

    /// One process with its last dump.
    pub(crate) fn process(&self, which: Which) -> OneProcess {
        let place = self.place(which);
        OneProcess {
            schema: SCHEMA.to_owned(),
            process: place.as_ref().map(|place| place.process()),
            dump: place.and_then(|place| place.dump.as_deref().cloned()),
        }
    }

    /// The id of a process that runs, and the socket that its shim talks to.
    pub(super) fn socket_of(&self, which: Which) -> Option<(u32, PathBuf)> {
        let place = self.place(which).filter(|place| place.view.ended.is_none())?;
        Some((place.view.pid, place.socket.clone()))
    }

    /// Shows a mark beside its process. None: the job knows no such process.
    pub(super) fn mark(&self, which: Which, text: &str) -> Option<Mark> {
        let place = self.place(which)?;
        let Process { pid, run, label, key, .. } = &place.view;
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let (text, label) = (text.to_owned(), label.clone());
        let mark = Mark { time, pid: *pid, run: run.clone(), label, text };
        let key = *key;
        drop(place);
        self.state().change(key, |place| place.marked(mark.clone()));
        Some(mark)
    }
}

impl Board {
    /// Tells more about the end of a process than was known when it was noted.
    pub(super) fn ended_how(&self, key: u64, ended: Ended) {
        self.state().change(key, |place| place.view.ended = Some(ended));
    }
}

/// A fixed word, as `runs.jsonl` has it.
fn outcome(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Ok => "ok",
        RunOutcome::Hung => "hung",
        RunOutcome::Slow => "slow",
        RunOutcome::Crashed => "crashed",
        RunOutcome::Failed => "failed",
        RunOutcome::Interrupted => "interrupted",
    }
}
