//! How a run ended: its outcome and exit status.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::config::Config;
use super::hang::{self, Captured};
use super::judge::judge;
use super::running::Running;
use super::watch::Watched;
use crate::analysis::{RunFacts, RunOutcome, integrity};
use crate::files::facts::{self, FileFacts, errno};
use crate::launch::bench::{Ended, TERM_TO_KILL};
use crate::launch::census::Left;
use crate::launch::members::Member;
use crate::launch::program;
use crate::proc::task;
use crate::session::Dso;
use crate::text::message::{Say as _, say};
use crate::text::note::Note;

/// How long to wait for messages that an ended process has already sent, if other processes of the run keep
/// their connections.
const LAST_MESSAGES: Duration = Duration::from_millis(300);
/// The same if no process is left. Every connection must end, as soon as a CPU is free for it.
const LAST_MESSAGES_OF_ALL: Duration = Duration::from_secs(5);
/// How long messages are taken before the first process is reaped. Its other threads may not be out of the
/// kernel by then, and the kernel would wait for them in a loop. Mostly the last message comes within 1 ms.
const BEFORE_REAPED: Duration = Duration::from_millis(5);
/// How long to wait for a hello that was sent just before the run ended.
const LATE_HELLO: Duration = Duration::from_secs(1);

impl Running<'_> {
    /// Takes messages until all connections have ended, or nothing more can be expected; at most for `most`.
    /// `alone`: no process of the run is left.
    fn take_last_messages(&mut self, alone: bool, left: Option<&Left>, most: Duration) {
        let began = Instant::now();
        loop {
            let all_ended = self.watch.hello_seen() && self.watch.all_ended();
            let limit = match all_ended {
                true if self.judged(None, left).proven().is_some() => return,
                // The hello of the last program may be on the way.
                _ if all_ended || !self.watch.hello_seen() => LATE_HELLO,
                _ if alone => LAST_MESSAGES_OF_ALL,
                _ => LAST_MESSAGES,
            };
            match self.listener.events().recv_deadline(began + limit.min(most)) {
                Ok(event) => self.take(event),
                Err(_) => return,
            }
        }
    }

    /// Whether the run has no process any more: neither by descent nor among those that said hello.
    fn nothing_is_left(&self) -> bool {
        let first = self.bench.pid();
        let mut others = self.watch.processes().filter(|process| !process.ended && process.pid != first);
        self.bench.has_no_descendant() && !others.any(|process| task::exists(process.pid))
    }

    /// The number of these processes that are the benchmark's own and not helpers: they said hello, or run
    /// the program of a process that did.
    fn daemons(&self, members: &[Member]) -> u32 {
        let is_own = |member: &&Member| {
            let exe = std::fs::read_link(format!("/proc/{}/exe", member.pid)).ok();
            let runs =
                |process: &Watched| exe.as_ref().is_some_and(|exe| exe == Path::new(&process.identity.exe));
            self.watch.processes().any(|process| process.pid == member.pid || runs(process))
        };
        members.iter().filter(is_own).count() as u32
    }

    /// Fills in the facts of a run whose first process has ended.
    pub(super) fn exited(&mut self, facts: &mut RunFacts) -> anyhow::Result<()> {
        let lane = self.job.lane;
        self.look();
        let first_left = self.census.left();
        self.take_last_messages(false, first_left.as_ref(), BEFORE_REAPED);
        let ended = self.bench.reap().context("hunt: waiting for the run")?;
        let over = self.nothing_is_left();
        let members = if over { Ok(vec![]) } else { self.bench.members() };
        let members = members.unwrap_or_else(|why| {
            self.notes.push(say!(Note::MembersUnknown { why }).said());
            vec![]
        });
        let left = members.len();
        self.take_last_messages(left == 0, first_left.as_ref(), Duration::MAX);
        facts.judged = Some(self.judged(None, first_left.as_ref()));
        let daemons = self.daemons(&members);
        if left > 0 {
            self.bench.stop(TERM_TO_KILL).context("hunt: stopping what the run left behind")?;
            self.notes.push(say!(Note::LeftBehind { count: left }).said());
        }
        if !over {
            self.bench.kill().context("hunt: reaping the run")?;
        }
        set_end(facts, ended);
        let behind = facts.judged.as_ref().is_some_and(|judged| judged.launcher().is_some());
        let died = facts.signal.or_else(|| signal_behind_a_wrapper(self.job.config, behind, ended));
        facts.signal = died;
        facts.outcome = match (died, ended.code) {
            (Some(_), _) => RunOutcome::Crashed,
            (None, Some(0)) if daemons > 0 => RunOutcome::Slow,
            (None, Some(0)) => RunOutcome::Ok,
            _ => RunOutcome::Failed,
        };
        if facts.outcome == RunOutcome::Slow {
            // The benchmark itself was stopped at its work.
            (facts.left_behind, facts.cut_off) = (daemons, true);
        }
        let compared = |now: FileFacts| FileFacts { content_same: lane.same_bytes(&now), ..now };
        let now = facts::now(&lane.dso, None).map(|now| now.map(compared)).map_err(|e| errno(&e));
        let lost = died.is_some_and(integrity::is_of_a_lost_mapping);
        // A program of the run may have preloaded another DSO.
        let end = |dso: &Dso| {
            let own = || facts::now(Path::new(&dso.path), None).map_err(|e| errno(&e));
            integrity::post_mortem(dso, if lane.is_of(dso) { now } else { own() }, lost)
        };
        judge(facts, self.watch.processes(), end, &mut self.notes);
        self.note_stalls_at_end();
        // A dump that nobody asked for: the process was past its deadline, and ended by itself.
        let late = self.watch.processes().any(|p| !p.dumps.is_empty() && !self.watch.is_wrapper(p));
        if late {
            self.notes.push(say!(Note::EndedLate { seconds: format!("{:.1}", facts.seconds) }).said());
            if facts.outcome == RunOutcome::Ok || facts.outcome == RunOutcome::Failed {
                facts.outcome = RunOutcome::Slow;
            }
            facts.hang = Some(hang::keep(&self.job, facts, &self.watch, &mut self.notes)?);
        }
        Ok(())
    }
}

/// Fills in the facts of a run that was captured.
pub(super) fn hung(captured: Captured, facts: &mut RunFacts) {
    set_end(facts, captured.ended);
    facts.pid = Some(captured.pid);
    facts.signal = None;
    facts.seconds = captured.seconds;
    facts.captured_s = Some(captured.captured_s);
    facts.outcome = match captured {
        Captured { interrupted: true, .. } => RunOutcome::Interrupted,
        Captured { slow: true, .. } => RunOutcome::Slow,
        _ => RunOutcome::Hung,
    };
    facts.cut_off = captured.slow && !captured.ended_by_itself;
    facts.integrity_start = captured.integrity_start;
    facts.integrity_end = captured.integrity_end;
    facts.deleted_seen = captured.deleted_seen;
    facts.judged = Some(captured.judged);
    facts.hold_sites = captured.hold_sites;
    facts.hang = Some(captured.hang);
}

pub(super) fn set_end(facts: &mut RunFacts, ended: Ended) {
    facts.signal = ended.signal;
    facts.rc = ended.code.or(ended.signal.map(|s| 128 + s));
}

/// A shell or `timeout` gives 128+n for a child that died by signal n. `behind`: a launcher was seen in front
/// of the program that is judged.
fn signal_behind_a_wrapper(config: &Config, behind: bool, ended: Ended) -> Option<i32> {
    let first = program::benchmark(&config.command) == config.command.first();
    let direct = first && !behind && !program::is_shell_or_script(&config.command);
    let n = ended.code? - 128;
    (!direct && (1..=64).contains(&n)).then_some(n)
}
