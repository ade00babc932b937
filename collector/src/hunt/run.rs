//! One run, from its start to its facts.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use crossbeam_channel::{RecvError, at, never, select};
use hangscope_protocol::variable;

use super::arm::Change;
use super::config::Config;
use super::crash;
use super::hang;
use super::last_words;
use super::notes;
use super::outcome;
use super::running::{Job, Running};
use super::watch::Next;
use crate::analysis::{Integrity, RunFacts, RunOutcome, Stir};
use crate::console::usr1::Requests;
use crate::files::atomic::WriteError;
use crate::files::facts;
use crate::files::folder;
use crate::launch::bench::{AtOurEnd, Bench, TERM_TO_KILL};
use crate::launch::cpus::Cpus;
use crate::listen::{ListenError, Listener};
use crate::live::model::Ended;
use crate::profile::Profile;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// `ops/s` is looked for in the last part of a longer output, bytes.
const MOST_OUTPUT: u64 = 64 << 20;

/// A program that says no hello for so long after its start says none.
const LAUNCHED: Duration = Duration::from_secs(1);

/// A signal that ended a run reaches this process at most so much later, if it was sent to both.
const OWN_SIGNAL: Duration = Duration::from_millis(300);

/// Why the watching of a run ended.
enum Watching {
    /// Its first process has ended.
    Exited,
    /// It is past its deadline, or stuck.
    Hung(hang::Trigger),
    Interrupted,
    /// The hunt needs no more runs.
    NotNeeded,
}

impl Job<'_> {
    /// Makes the run. `change` is made to its DSO on the way.
    ///
    /// # Errors
    /// Whatever ends the hunt: a file that cannot be written, a socket that cannot be made. The processes of
    /// the run are killed then.
    pub(crate) fn run(self, mut change: Option<Change>) -> anyhow::Result<RunFacts> {
        let Job { config, lane, number, stir, .. } = self;
        let listener = Listener::bind(&lane.socket(config, number)).context("hunt")?;
        listener.spool_in(&config.out);
        let [out, err] = lane.outputs(number);
        let plan = lane.plan(config, number, (stir, self.preferred_sites))?;
        let command = lane.command(config, number, (stir, plan.as_ref()), listener.path())?;
        let cpus = config.cpus.as_ref().map(Cpus::set);
        let mark = format!("{}={}", variable::SOCKET, listener.path().display());
        let node = config.part.as_ref().map(|part| part.node.clone());
        let mut facts = RunFacts { started: Some(now()), node, ..RunFacts::new(number, &lane.arm) };
        // The pinned copy is read-only, but root can write to it.
        let now_is = facts::now(&lane.dso, None);
        let other_bytes = matches!(now_is, Ok(Some(now)) if lane.same_bytes(&now) == Some(false));
        let at_our_end = if self.keep { AtOurEnd::GoesOn } else { AtOurEnd::Killed };
        let bench = match Bench::start(command, create(&out)?, create(&err)?, cpus, mark, at_our_end) {
            Ok(bench) => bench,
            Err(e) => {
                facts.note = Some(say!(Note::NotStarted { program: &config.command[0], why: e }).said());
                return Ok(facts);
            }
        };
        facts.pid = Some(bench.pid());
        let mut running = Running::new(self, bench, listener);
        let mut at_hang = None;
        let watching = running.follow(change.as_mut())?;
        facts.seconds = running.bench.started().elapsed().as_secs_f64();
        let not_needed = matches!(watching, Watching::NotNeeded) && !self.cancel.is_set();
        match watching {
            Watching::Exited => {
                running.exited(&mut facts)?;
                if self.was_ended_with_us(&facts) {
                    (facts.outcome, facts.cut_off, facts.left_behind) = (RunOutcome::Interrupted, false, 0);
                }
            }
            Watching::Hung(trigger) => {
                self.screen.capturing(&lane.run_name(number));
                let captured = hang::capture(&mut running, trigger)
                    .with_context(|| format!("hunt: run {number} hung, but its evidence is not complete"))?;
                running.answer_with_hang(
                    captured.pid,
                    &captured.hang.snapshot,
                    captured.hang.finding.as_ref(),
                );
                at_hang = Some(captured.counters.clone());
                running.notes.extend(captured.notes.iter().cloned());
                outcome::hung(captured, &mut facts);
            }
            Watching::Interrupted | Watching::NotNeeded if running.can_be_captured() => {
                self.screen.capturing(&lane.run_name(number));
                let captured =
                    hang::capture(&mut running, hang::Trigger::Interrupted).with_context(|| {
                        format!("hunt: run {number} was interrupted, and its evidence is not complete")
                    })?;
                at_hang = Some(captured.counters.clone());
                running.notes.extend(captured.notes.iter().cloned());
                outcome::hung(captured, &mut facts);
            }
            Watching::Interrupted | Watching::NotNeeded => {
                facts.outcome = RunOutcome::Interrupted;
                let ended = running.bench.stop(TERM_TO_KILL).context("hunt: stopping the run")?;
                outcome::set_end(&mut facts, ended);
            }
        }
        if not_needed && facts.outcome == RunOutcome::Interrupted {
            drop_evidence(config, &mut facts);
            let seconds = format!("{:.1}", facts.seconds);
            running.notes = vec![say!(Note::EndedBesideHang { seconds }).said()];
        }
        facts.max_rss_kib = judged_pid(&facts).and_then(|pid| running.peak_rss(pid));
        let Running { watch, mut notes, rows, .. } = running;
        rows.ran(judged_pid(&facts), ended(&facts));
        facts.hello_seen = watch.hello_seen();
        facts.stir = watch.processes().find_map(|p| Stir::of(&p.identity));
        if let (Some(plan), Some(stir)) = (&plan, stir) {
            // The benchmark can write to every file of its user.
            match plan.counts(stir.strategy) {
                Ok((counts, trouble)) => {
                    facts.preferred_sites.clone_from(self.preferred_sites);
                    facts.holds = Some(counts);
                    notes.extend(trouble.map(|why| say!(Note::NoSites { why }).said()));
                }
                Err(e) => notes.push(say!(Note::NoHoldCounts { why: format!("{e:#}") }).said()),
            }
        }
        if facts.outcome != RunOutcome::Hung {
            facts.ops = ops(&config.profile, &out)?.or(ops(&config.profile, &err)?);
        }
        if matches!(facts.outcome, RunOutcome::Crashed | RunOutcome::Failed) {
            let why = |e| WriteError { path: err.clone(), source: e };
            facts.last_words = last_words::of(&err).map_err(why)?;
            facts.crash = crash::of_run(&watch, lane, number, facts.signal, &mut notes)?;
        }
        if other_bytes {
            facts.integrity_start = Integrity::Overwritten;
            facts.integrity_end = Integrity::Overwritten;
            notes.push(say!(Note::OtherBytes { path: lane.dso.display() }).said());
        }
        if let Some(mut change) = change {
            notes.push(change.record(&mut facts).said());
            if facts.outcome == RunOutcome::Hung {
                change.keep();
            }
        }
        facts.counters = super::counters::of_run(config, lane, &facts, &watch, at_hang)?;
        notes.extend(notes::of(&watch, lane, &err));
        notes.extend(notes::not_proven(&facts));
        facts.note = Text::joined(&notes);
        Ok(facts)
    }
}

impl Job<'_> {
    /// Whether what ends this command has ended the run, too. An engine that ends a job sends its signal to
    /// all processes at once, and the end of the run may be seen first.
    fn was_ended_with_us(&self, facts: &RunFacts) -> bool {
        let of_an_engine = |signal: i32| [libc::SIGTERM, libc::SIGINT, libc::SIGHUP].contains(&signal);
        let by_signal = facts.signal.or_else(|| facts.rc.map(|rc| rc - 128)).is_some_and(of_an_engine);
        self.cancel.is_set() || by_signal && self.cancel.wait(OWN_SIGNAL)
    }
}

impl Running<'_> {
    /// Whether Ctrl-C captures the run: a hunt's, that has got beyond its launchers.
    fn can_be_captured(&self) -> bool {
        let begun = self.watch.hello_seen() || self.bench.started().elapsed() > LAUNCHED;
        self.job.requests.is_some() && begun && !self.bench.has_ended()
    }

    /// Waits until the run ends or hangs, or for Ctrl-C. Makes the change of its DSO on the way.
    ///
    /// # Errors
    /// The change cannot be made, or the listener ended.
    fn follow(&mut self, mut change: Option<&mut Change>) -> anyhow::Result<Watching> {
        let mut looked = false;
        let over = self.job.over.map_or_else(never, |over| over.channel().clone());
        loop {
            // Not before the shim has seen the DSO unchanged.
            let due = change.as_ref().filter(|_| self.watch.hello_seen());
            let due = due.and_then(|change| change.due(self.bench.started()));
            let change_at = match (due, &mut change) {
                (Some(due), Some(change)) if due <= Instant::now() => {
                    if self.bench.ended().try_recv().is_ok() {
                        return Ok(Watching::Exited);
                    }
                    let since = self.bench.started().elapsed();
                    change.make(since).context("hunt: changing the DSO of a run")?;
                    continue;
                }
                (Some(due), _) => at(due),
                (None, _) => never(),
            };
            self.look_if_due();
            let wake = match self.watch.next(Instant::now()) {
                // A launcher may wait for a program without a hello.
                Next::Hung(conn) if !looked && self.watch.only_waits(conn) => {
                    self.look();
                    looked = true;
                    continue;
                }
                Next::Hung(conn) => return Ok(Watching::Hung(hang::Trigger::Inside(conn))),
                // The message of its end may still be on the way.
                Next::Outside(_) if self.bench.has_ended() => return Ok(Watching::Exited),
                Next::Outside(reason) => return Ok(Watching::Hung(hang::Trigger::Outside(reason))),
                Next::Ask(conn) => {
                    self.ask_dump(conn);
                    continue;
                }
                Next::Judge(conn) => {
                    self.judge_stall(conn);
                    continue;
                }
                Next::Wait(until) => at(until),
                Next::WaitForEver => never(),
            };
            self.keep_wanted()?;
            let screen = self.job.screen;
            let requests = self.job.requests.cloned().unwrap_or_else(Requests::never);
            select! {
                recv(requests.channel()) -> _ => self.want(std::process::id(), None),
                recv(self.bench.ended()) -> _ => return Ok(Watching::Exited),
                recv(self.job.cancel.channel()) -> _ => return Ok(Watching::Interrupted),
                recv(over) -> _ => return Ok(Watching::NotNeeded),
                recv(self.listener.events()) -> event => match event {
                    Ok(event) => self.hear(event),
                    Err(_) => return Err(listener_ended(self.listener.failed().recv())),
                },
                recv(self.listener.failed()) -> why => return Err(listener_ended(why)),
                recv(screen.tick()) -> _ => screen.redraw(),
                recv(wake) -> _ => {}
                recv(at(self.census.due())) -> _ => {}
                recv(change_at) -> _ => {}
            }
        }
    }
}

/// Without a listener every run would look like a hang, so the hunt ends.
fn listener_ended(why: Result<ListenError, RecvError>) -> anyhow::Error {
    why.map_or_else(anyhow::Error::new, anyhow::Error::new).context("hunt: the listener ended")
}

/// Removes what was captured of a run that is no hang, and that nobody has asked for.
fn drop_evidence(config: &Config, facts: &mut RunFacts) {
    if let Some(hang) = facts.hang.take() {
        // What is left of it is not named anywhere.
        let _ = std::fs::remove_dir_all(config.out.join(hang.snapshot));
    }
}

/// The program that is judged, as its process.
fn judged_pid(facts: &RunFacts) -> Option<u32> {
    let judged = facts.judged.as_ref().and_then(|judged| judged.program());
    judged.map(|program| program.pid).or(facts.pid)
}

/// How the program ended, for those who look.
fn ended(facts: &RunFacts) -> Ended {
    let stopped = facts.outcome == RunOutcome::Hung || facts.cut_off;
    Ended {
        rc: facts.rc.filter(|_| facts.signal.is_none()),
        signal: facts.signal,
        why: stopped.then(|| "stopped after its capture".to_owned()),
    }
}

/// Seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

fn create(path: &Path) -> Result<File, WriteError> {
    folder::create(path).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// `ops/s` in a run's output.
fn ops(profile: &Profile, path: &Path) -> anyhow::Result<Option<f64>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(MOST_OUTPUT)))?;
        let mut bytes = vec![];
        file.take(MOST_OUTPUT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("hunt: cannot read {}", path.display()))?;
    Ok(profile.ops(&bytes))
}
