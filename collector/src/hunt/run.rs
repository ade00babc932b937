//! One run, from its start to its facts.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use crossbeam_channel::{RecvError, at, never, select};
use hangscope_protocol::record::{AskRecord, ask_what};

use super::arm::Change;
use super::config::Config;
use super::hang;
use super::hello;
use super::lane::Lane;
use super::outcome;
use super::screen::Screen;
use super::still;
use super::watch::{Next, Watch};
use crate::analysis::{Integrity, RunFacts, RunOutcome, Stir};
use crate::console::cancel::Cancel;
use crate::files::atomic::WriteError;
use crate::files::facts;
use crate::launch::bench::Bench;
use crate::listen::{ListenError, Listener};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Between TERM and KILL.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Stalls that were none and are told of, each a line.
pub(super) const MOST_STALLS: usize = 3;
/// Output in which `ops/s` is looked for: the last part of a longer one.
const MOST_OUTPUT: u64 = 64 << 20;

/// Why the watching of a run ended.
enum Watching {
    /// Its first process has ended.
    Exited,
    /// It is past its time.
    Hung(hang::Trigger),
    /// Ctrl-C.
    Interrupted,
}

/// Makes a run.
///
/// # Errors
/// What keeps the hunt from going on: a file that cannot be written, a socket that cannot be made. The run's processes
/// are killed then.
pub(crate) fn run(
    config: &Config,
    lane: &Lane,
    number: u32,
    mut change: Option<Change>,
    screen: &Screen,
    cancel: &Cancel,
) -> anyhow::Result<RunFacts> {
    let socket = lane.socket(config, number);
    let listener = Listener::bind(&socket).context("hunt")?;
    let [out, err] = lane.outputs(number);
    let command = lane.command(config, number, listener.path());
    let cpus = config.cpus.as_ref().map(crate::launch::cpus::Cpus::set);
    let mark = format!("HANGSCOPE_SOCKET={}", listener.path().display());
    let mut facts = RunFacts { started: Some(now()), ..RunFacts::new(number, &lane.arm) };
    // Nobody should write to the pinned copy; root can.
    let now_is = facts::now(&lane.dso, None);
    let other_bytes = matches!(now_is, Ok(Some(now)) if lane.same_bytes(&now) == Some(false));
    let mut bench = match Bench::start(command, create(&out)?, create(&err)?, cpus, mark) {
        Ok(bench) => bench,
        Err(e) => {
            facts.note = Some(say!(Note::NotStarted { program: &config.command[0], why: e }).said());
            return Ok(facts);
        }
    };
    facts.pid = Some(bench.pid());
    let mut watch = Watch::new(bench.started(), config.hang_after);
    let mut notes: Vec<Text> = vec![];
    let mut at_hang = None;
    let watching = follow(lane, &bench, &listener, &mut watch, change.as_mut(), screen, cancel, &mut notes)?;
    facts.seconds = bench.started().elapsed().as_secs_f64();
    match watching {
        Watching::Exited => {
            outcome::exited(config, lane, &mut bench, &listener, &mut watch, &mut facts, &mut notes)?
        }
        Watching::Hung(trigger) => {
            screen.capturing(&lane.run_name(number));
            let (bench, listener, watch) = (&mut bench, &listener, &mut watch);
            let hung = hang::HungRun { config, lane, number, bench, listener, watch, cancel };
            let captured = hung
                .capture(trigger)
                .with_context(|| format!("hunt: run {number} hung, but its evidence is not complete"))?;
            at_hang = Some(captured.counters.clone());
            outcome::hung(captured, &mut facts, &mut notes);
        }
        Watching::Interrupted => {
            facts.outcome = RunOutcome::Interrupted;
            let ended = bench.stop(PATIENCE).context("hunt: stopping the run")?;
            outcome::set_end(&mut facts, ended);
        }
    }
    facts.hello_seen = watch.hello_seen();
    facts.stir = watch.processes().find_map(|p| Stir::of(&p.identity));
    if facts.outcome != RunOutcome::Hung {
        facts.ops = ops(config, &out)?.or(ops(config, &err)?);
    }
    if other_bytes {
        facts.integrity_start = Integrity::Overwritten;
        facts.integrity_end = Integrity::Overwritten;
        notes.push(say!(Note::OtherBytes { path: lane.dso.display() }).said());
    }
    if let Some(mut change) = change {
        notes.push(change.told(&mut facts).said());
        if facts.outcome == RunOutcome::Hung {
            change.keep();
        }
    }
    facts.counters = super::counters::of_run(config, lane, &facts, &watch, at_hang)?;
    notes.extend(hello::about(&watch, lane, &err));
    facts.note = Text::joined(&notes);
    Ok(facts)
}

/// Waits for whatever comes first: the end of the run, its hang, Ctrl-C. Makes the change of its DSO on the way.
///
/// # Errors
/// If the change cannot be made.
#[expect(clippy::too_many_arguments, reason = "all that a run waits for, for once")]
fn follow(
    lane: &Lane,
    bench: &Bench,
    listener: &Listener,
    watch: &mut Watch,
    mut change: Option<&mut Change>,
    screen: &Screen,
    cancel: &Cancel,
    notes: &mut Vec<Text>,
) -> anyhow::Result<Watching> {
    loop {
        // Only once the shim has seen the DSO as it was.
        let due = change.as_ref().filter(|_| watch.hello_seen()).and_then(|c| c.due(bench.started()));
        let change_at = match (due, &mut change) {
            (Some(due), Some(change)) if due <= Instant::now() => {
                if bench.ended().try_recv().is_ok() {
                    return Ok(Watching::Exited);
                }
                change.make(bench.started().elapsed()).context("hunt: changing the DSO of a run")?;
                continue;
            }
            (Some(due), _) => at(due),
            (None, _) => never(),
        };
        let wake = match watch.next(Instant::now()) {
            Next::Hung(conn) => return Ok(Watching::Hung(hang::Trigger::Inside(conn))),
            // Its end may not have been said yet.
            Next::Outside(_) if bench.has_ended() => return Ok(Watching::Exited),
            Next::Outside(reason) => return Ok(Watching::Hung(hang::Trigger::Outside(reason))),
            Next::Ask(conn) => {
                let ask = AskRecord { what: ask_what::DUMP, request: 1, arg0: 0, arg1: 0, reserved: 0 };
                // Whether it took it or not: what it says (or does not) within its time decides.
                let _ = listener.ask(conn, &ask, &[]);
                watch.asked(conn, Instant::now());
                continue;
            }
            Next::Judge(conn) => {
                let idle = watch.process(conn).and_then(|process| still::idle(lane, process));
                watch.judged(conn, idle.is_none());
                notes.extend(idle.filter(|_| notes.len() < MOST_STALLS).map(|note| note.said()));
                continue;
            }
            Next::Wait(until) => at(until),
            Next::WaitForEver => never(),
        };
        select! {
            recv(bench.ended()) -> _ => return Ok(Watching::Exited),
            recv(cancel.channel()) -> _ => return Ok(Watching::Interrupted),
            recv(listener.events()) -> event => match event {
                Ok(event) => still::hear(lane, listener, watch, event),
                Err(_) => return Err(listener_ended(listener.failed().recv())),
            },
            recv(listener.failed()) -> why => return Err(listener_ended(why)),
            recv(screen.tick()) -> _ => screen.redraw(),
            recv(wake) -> _ => {}
            recv(change_at) -> _ => {}
        }
    }
}

/// No run can be watched without a listener: what it would look like is a hang, and is none.
fn listener_ended(why: Result<ListenError, RecvError>) -> anyhow::Error {
    why.map_or_else(anyhow::Error::new, anyhow::Error::new).context("hunt: the listener ended")
}

/// Seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

fn create(path: &Path) -> Result<File, WriteError> {
    File::create(path).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// `ops/s` in a run's output.
fn ops(config: &Config, path: &Path) -> anyhow::Result<Option<f64>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(MOST_OUTPUT)))?;
        let mut bytes = vec![];
        file.take(MOST_OUTPUT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("hunt: cannot read {}", path.display()))?;
    Ok(config.profile.ops(&bytes))
}

/// Waits for the dumps that have begun in other processes of the run.
pub(super) fn gather(lane: &Lane, listener: &Listener, watch: &mut Watch, limit: Duration, cancel: &Cancel) {
    let until = Instant::now() + limit;
    while watch.dump_is_under_way() {
        select! {
            recv(cancel.channel()) -> _ => return,
            recv(at(until)) -> _ => return,
            recv(listener.events()) -> event => match event {
                Ok(event) => still::hear(lane, listener, watch, event),
                Err(_) => return,
            },
        }
    }
    // What is there already.
    listener.events().try_iter().for_each(|event| watch.take(event));
}
