//! Shrinks a command that hangs. Asks [`crate::analysis::shrink`] for the next run, makes the run as a hunt
//! does, and adds it to the journal.
//!
//! - [`settings`]: the settings of a shrink, as a file in OUT
//! - [`journal`]: the runs that were made
//! - `evidence`: the files of the runs, and which of them stay

use std::path::Path;
use std::time::{Duration, Instant};

use hangscope_protocol::duration::Limit;

use crate::analysis::shrink::{self, Acceptance, Ask, End, Phase, Rejection, Shape, State, Task, Trial};
use crate::analysis::{Class, RunFacts, RunOutcome, Stir};
use crate::console::cancel::Cancel;
use crate::console::exit::{Ended, Status};
use crate::files::journal::{BadJournal, Journal};
use crate::files::pin::{self, PinError};
use crate::hunt::lane::Lane;
use crate::hunt::{self, Config, Screen};
use crate::launch::program;
use crate::report::shrink::{Inputs, ShrinkFile, error_note};
use crate::text::message::{Say as _, Text, say};
use crate::text::progress::JobLine;

mod evidence;
mod journal;
pub(crate) mod settings;

use evidence::Evidence;
use journal::next_run;
pub(crate) use settings::Settings;

/// How much of a line of the benchmark is kept in a note, characters.
const MOST_CHARACTERS: usize = 200;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) settings: Settings,
    /// How the runs are made. It has the command and the deadline of the original.
    pub(crate) config: Config,
    /// The user gave the seed of the [`StirPlan`](crate::analysis::StirPlan). Otherwise a resumed
    /// shrink keeps its own seed.
    pub(crate) given_seed: bool,
    /// No run starts after this time.
    pub(crate) max_time: Limit,
    /// The words of a command that catches a hang again. The deadline follows them.
    pub(crate) catch: Vec<String>,
}

/// Shrinks the command, from the state of the journal in OUT, and writes the reports.
///
/// # Errors
/// Anything that stops the shrink, as one line with the documented exit status.
pub(crate) fn shrink(job: &Job, screen: &mut Screen, cancel: &Cancel) -> anyhow::Result<ShrinkFile> {
    let started = Instant::now();
    let shape = job.settings.shape().map_err(usage)?;
    let task = job.settings.task(&shape);
    let (config, lane, mut journal) = begin(job, screen, cancel)?;
    let mut evidence = Evidence::of(&lane, journal.entries());
    let mut state = shrink::look(&task, journal.entries());
    let mut announced = None;
    let end = loop {
        evidence.keep(&shrink::kept(&task, &state, journal.entries()))?;
        let ask = match &state.next {
            Err(end) => break *end,
            Ok(_) if cancel.is_set() => break End::Interrupted,
            Ok(_) if job.max_time.time().is_some_and(|most| started.elapsed() >= most) => {
                break End::OutOfTime;
            }
            Ok(ask) => ask.clone(),
        };
        let line = shape.line(&ask.values);
        let what = (ask.phase, ask.strategy, line.clone());
        if announced.as_ref() != Some(&what) {
            screen.say(&announce(&task, &state, &ask, &line));
            announced = Some(what);
        }
        let number = next_run(&journal);
        evidence.clear(number)?;
        let config = for_run(&config, &shape, &ask);
        screen.step(&line, number);
        let facts = hunt::Job {
            config: &config,
            lane: &lane,
            number,
            stir: stir(&config, &ask, number),
            preferred_sites: &config.preferred_sites,
            screen,
            cancel,
            requests: None,
            over: None,
            keep: false,
            hellos: None,
        }
        .run(None)?;
        if facts.outcome == RunOutcome::Interrupted {
            evidence.clear(number)?;
            break End::Interrupted;
        }
        if facts.integrity().is_changed() {
            let (word, note) = (facts.integrity(), facts.note.unwrap_or_default());
            let note = note.en();
            let what =
                format!("shrink: the pinned DSO was {word} in run {number} ({note}): what ran is not known");
            return Err(Ended::new(Status::DsoNotIntact, what).into());
        }
        let trial = trial(&facts, &ask, &lane);
        journal.push(trial.clone())?;
        evidence.made(number);
        state = shrink::look(&task, journal.entries());
        tell(screen, &state, &trial);
    };
    screen.finish();
    if end == End::Refused {
        let last = journal.entries().last().map(error_note).unwrap_or_default();
        let last = last.en();
        let what = format!("shrink: the command fails by itself: {last}; see {}", config.out.display());
        return Err(Ended::new(Status::Failed, what).into());
    }
    let go_on = ["hangscope", "shrink", "--resume", &config.out.display().to_string()].map(str::to_owned);
    let file = ShrinkFile::of(&Inputs {
        name: &config.name,
        shape: &shape,
        task: &task,
        journal: journal.entries(),
        state: &state,
        evidence: evidence.there(),
        end,
        rate: job.settings.rate,
        confidence: job.settings.confidence,
        catch: &job.catch,
        go_on: &go_on,
    });
    file.write(&config.out)?;
    Ok(file)
}

/// The documented exit status.
pub(crate) fn status(file: &ShrinkFile) -> Status {
    match file.end {
        End::Interrupted => Status::Failed,
        _ if file.class.is_some() || !file.other_classes.is_empty() => Status::Hang,
        _ => Status::NoHang,
    }
}

/// Pins the DSO, verifies the preload and opens the journal. A resumed shrink must have the same settings and
/// DSO, and is not verified again.
fn begin(job: &Job, screen: &Screen, cancel: &Cancel) -> anyhow::Result<(Config, Lane, Journal<Trial>)> {
    let mut config = job.config.clone();
    program::find(&config.command[0]).map_err(usage)?;
    let (out, name) = (config.out.clone(), config.name.clone());
    if out.join("runs.tsv").exists() {
        return Err(usage(format!("{} holds a hunt (runs.tsv): give another --out", out.display())));
    }
    let before = Settings::load(&out).map_err(usage)?;
    if before.as_ref().is_some_and(|before| !job.settings.same(before, job.given_seed)) {
        let file = out.join(settings::FILE);
        return Err(usage(format!(
            "{} is of another shrink: give another --out, or go on with it with --resume {}",
            file.display(),
            out.display()
        )));
    }
    if let Some(before) = &before {
        // The DSO that the shrink pinned when it began. The user may have built another one since.
        config.stir = before.stir;
        config.so = out.join(format!("{name}_{}.so", &before.sha1.get(..8).unwrap_or_default()));
    }
    let sums = format!("{name}_so.sha1");
    let pinned = pin::pin_as(&config.so, &out, &name, &sums).map_err(pin_error)?;
    let journal = open(&out)?;
    match &before {
        Some(before) if before.sha1 == pinned.sha1 => {}
        Some(before) => {
            let (so, was) = (config.so.display(), &before.sha1);
            let what = format!(
                "shrink: {so} has other bytes than were pinned (SHA-1 {was}): begin anew with another --out"
            );
            return Err(Ended::new(Status::DsoNotIntact, what).into());
        }
        None => {
            let settings = Settings { sha1: pinned.sha1.clone(), ..job.settings.clone() };
            settings.write(&out)?;
        }
    }
    for note in &config.notes {
        screen.say(&say!(JobLine::Note { note }));
    }
    if journal.entries().is_empty() {
        hunt::verify_preload(&config, &pinned, &out, screen, cancel)?;
    } else {
        screen.say(&say!(JobLine::GoingOn { run: journal.entries().len(), out: out.display() }));
    }
    let lane = Lane::arm(&config, &pinned, 0)?;
    Ok((config, lane, journal))
}

fn open(out: &Path) -> anyhow::Result<Journal<Trial>> {
    journal::open(out).map_err(|bad| match bad {
        BadJournal::Write(e) => e.into(),
        bad => usage(bad),
    })
}

/// The configuration of one run.
fn for_run(config: &Config, shape: &Shape, ask: &Ask) -> Config {
    let hang_after = ask.hang_after_s.map_or(Limit::Off, |s| Limit::After(Duration::from_secs_f64(s)));
    Config { command: shape.command(&ask.values), hang_after, ..config.clone() }.with_tick()
}

/// How a run is disturbed.
fn stir(config: &Config, ask: &Ask, number: u32) -> Option<Stir> {
    let plan = config.stir?;
    Some(plan.of_run(ask.strategy.or(plan.choice.strategy())?, number))
}

/// A run as a line of the journal.
fn trial(facts: &RunFacts, ask: &Ask, lane: &Lane) -> Trial {
    let hang = facts.hang.as_ref();
    let words =
        (facts.outcome == RunOutcome::Failed).then(|| first_words(&lane.outputs(facts.run)[1])).flatten();
    Trial {
        run: facts.run,
        values: ask.values.clone(),
        outcome: facts.outcome,
        class: hang.and_then(|hang| hang.finding.as_ref()).map(|finding| finding.class),
        seconds: facts.seconds,
        hang_after_s: ask.hang_after_s,
        rc: facts.rc,
        note: words.map(Text::Same).or_else(|| facts.note.clone()),
        snapshot: hang.map(|hang| hang.snapshot.clone()),
        strategy: ask.strategy,
        chooses: ask.phase == Phase::Choose,
    }
}

/// The first line of the benchmark on stderr.
fn first_words(err: &Path) -> Option<String> {
    let text = std::fs::read(err).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(MOST_CHARACTERS).collect())
}

fn announce(task: &Task, state: &State, ask: &Ask, command: &str) -> Text {
    let line = match ask.phase {
        Phase::Choose => match ask.strategy {
            Some(strategy) => say!(JobLine::Choose { strategy, command }),
            None => say!(JobLine::DoesItHang { command }),
        },
        Phase::Reference => match ask.strategy {
            Some(strategy) => say!(JobLine::DoesItHangUnder { strategy, command }),
            None => say!(JobLine::DoesItHang { command }),
        },
        Phase::Search => {
            let known = state.candidates.iter().position(|candidate| candidate.values == ask.values);
            say!(JobLine::Try { number: known.unwrap_or(state.candidates.len()), command })
        }
        Phase::Confirm => say!(JobLine::Confirm { runs: task.confirm, command }),
    };
    let deadline = ask.hang_after_s.map(|seconds| say!(JobLine::Deadline { seconds }).said());
    beside([Some(line.said()), deadline])
}

/// Parts of a line, two spaces between them.
fn beside<const N: usize>(parts: [Option<Text>; N]) -> Text {
    Text::of(|lang| parts.iter().flatten().map(|part| part.text(lang)).collect::<Vec<_>>().join("  "))
}

/// Prints how a run ended, and what it decided.
fn tell(screen: &Screen, state: &State, trial: &Trial) {
    let how = match (trial.outcome, trial.class) {
        (RunOutcome::Ok, _) => JobLine::Ok {},
        (RunOutcome::Hung, Some(class)) if Some(class) != state.class && state.class.is_some() => {
            say!(JobLine::OtherHang { class, snapshot: trial.snapshot.as_deref().unwrap_or_default() })
        }
        (RunOutcome::Hung, class) => say!(JobLine::HangOf { class: class.unwrap_or(Class::Unknown) }),
        (RunOutcome::Slow, _) => JobLine::Slow {},
        (RunOutcome::Crashed, _) => say!(JobLine::CrashedWhy { why: error_note(trial) }),
        (RunOutcome::Failed, _) => say!(JobLine::Refused { why: error_note(trial) }),
        (RunOutcome::Interrupted, _) => JobLine::Interrupted {},
    };
    let judged = state.judged(&trial.values);
    let counts = judged.map(|judged| {
        let counts = if judged.fresh.of > 0 { judged.fresh } else { judged.test };
        say!(JobLine::HungOf { hung: counts.hung, of: counts.of }).said()
    });
    let seconds = format!("{:.2}", trial.seconds);
    let run = say!(JobLine::RunOfTrial { number: trial.run, how, seconds }).said();
    screen.say(&beside([Some(run), counts]));
    let decided = match judged.map(|judged| (judged.acceptance, judged.fresh.of)) {
        Some((Acceptance::Accepted, 0)) => JobLine::Accepted {},
        Some((Acceptance::Rejected(Rejection::Below), _)) => JobLine::TooSeldom {},
        Some((Acceptance::Rejected(Rejection::Undecided), _)) => JobLine::Undecided {},
        Some((Acceptance::Rejected(Rejection::NotConfirmed), _)) => JobLine::NotConfirmed {},
        Some((Acceptance::Rejected(Rejection::Refused | Rejection::Crashed), _)) => JobLine::Rejected {},
        Some((Acceptance::Open | Acceptance::Accepted, _)) | None => return,
    };
    screen.say(&decided);
}

fn pin_error(error: PinError) -> anyhow::Error {
    match error {
        PinError::Unreadable { .. }
        | PinError::NotADso { .. }
        | PinError::Name(_)
        | PinError::Elsewhere { .. }
        | PinError::OtherCompanion { .. } => usage(error),
        PinError::Changing { .. } | PinError::Write(_) => anyhow::Error::new(error).context("shrink"),
    }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("shrink: {what}")).into()
}
