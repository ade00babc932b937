//! The hunt: runs a benchmark under a pinned allocator until it hangs, and brings back the evidence.
//!
//! - [`config`]: what is hunted, and how
//! - [`program`], [`cpus`]: which word of the command is the benchmark; which processors it may use
//! - [`original`]: what happens to the user's own file meanwhile
//! - [`arm`]: what is done to the DSO of a run, and whose turn it is
//! - [`lane`]: the environment of a run: its socket, its preload, its files
//! - [`mod@bench`]: a run as processes: started, waited for, stopped whole
//! - [`watch`]: what the shims of a run have said, and what follows from it
//! - `still`: what stands still, and stacks that are cut, while a run goes on
//! - [`run`]: one run from its start to its facts; `outcome`: how it ended; `hello`: what is told of the hellos in it
//! - [`hang`], `bundle`: the evidence of a hang, and the folder that it is in
//! - [`counters`], [`memory`]: counters, from lines and from memory; `call`: a hung run is made to print them
//! - [`rows`], [`screen`]: the files and the lines that grow with every run

use std::path::Path;
use std::time::{Duration, Instant};

use crate::analysis::counters::LaneCounters;
use crate::analysis::decision::Progress;
use crate::analysis::{self, Conclusion, DsoFacts, HuntFacts, RunFacts, RunOutcome, Stir};
use crate::console::cancel::Cancel;
use crate::console::exit::{Ended, Status};
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::files::pin;
use crate::files::pin::{PinError, Pinned};
use crate::launch::program;
use crate::report::{self, Extra};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;
use crate::verify;

pub(crate) mod arm;
mod arms;
mod bundle;
pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod hang;
mod hello;
pub(crate) mod lane;
pub(crate) mod memory;
pub(crate) mod original;
mod outcome;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod screen;
mod still;
pub(crate) mod watch;

use arm::Treatment;
pub(crate) use config::{Config, Limits, StatsLane};
pub(crate) use screen::Screen;

use arms::Arms;
use counters::Collected;
use lane::Lane;
use original::Original;
use rows::{Rows, Taken};

/// What a hunt brought back.
#[derive(Debug)]
pub(crate) struct Hunted {
    /// Everything that it saw.
    pub(crate) facts: HuntFacts,
    /// Runs of the counter lane.
    pub(crate) stats: Vec<RunFacts>,
    /// Counter files and how many lines are in each.
    pub(crate) counters: Vec<Collected>,
    /// What the counters come to, a lane each.
    pub(crate) lanes: Vec<LaneCounters>,
    /// The last line of the preload verification.
    pub(crate) preload: Option<String>,
    /// What is worth a line beside that.
    pub(crate) notes: Vec<Text>,
}

impl Hunted {
    /// The documented exit status.
    pub(crate) fn status(&self) -> Status {
        let said = analysis::verdict::exit_code(&self.facts);
        match Status::ALL.iter().find(|status| status.code() == said) {
            // A hunt that was not finished is no clean one.
            Some(Status::NoHang) if self.facts.interrupted => Status::Failed,
            Some(status) => *status,
            None => Status::Failed,
        }
    }

    /// Writes the reports to OUT, and says what was concluded.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(crate) fn report(&self, out: &Path) -> Result<Conclusion, WriteError> {
        let counters = self.counters.iter().map(|c| (c.file.clone(), c.lines as u64)).collect();
        let extra = Extra {
            preload: self.preload.clone(),
            counters,
            lanes: self.lanes.clone(),
            notes: self.notes.clone(),
        };
        report::write_hunt(out, &self.facts, &extra)
    }
}

/// Hunts.
///
/// # Errors
/// Whatever keeps it from going on, as one line, with the documented status ([`crate::console::exit::status_of`]). Processes
/// of the run that was being made are killed, and what was written before stays.
pub(crate) fn hunt(config: &Config, screen: &mut Screen, cancel: &Cancel) -> anyhow::Result<Hunted> {
    program::find(&config.command[0]).map_err(usage)?;
    if config.out.join("runs.tsv").exists() {
        return Err(usage(Taken::Earlier(config.out.clone())));
    }
    // Before anything is written or run: what is wrong with the second is not to be found out after an hour.
    let builds = config.arms.iter().filter_map(|arm| match &arm.treatment {
        Treatment::Build(so) => Some(so),
        Treatment::Pinned | Treatment::Change(_) => None,
    });
    let others = [config.other_so.as_ref(), config.stats.as_ref().map(|stats| &stats.so)];
    for so in std::iter::once(&config.so).chain(builds).chain(others.into_iter().flatten()) {
        let bytes = std::fs::read(so).map_err(|source| PinError::Unreadable { path: so.clone(), source });
        bytes.and_then(|bytes| pin::shared_object(so, &bytes)).map_err(pin_error)?;
    }
    let mut original = Original::new(&config.so)
        .map_err(|source| pin_error(PinError::Unreadable { path: config.so.clone(), source }))?;
    let sums = format!("{}_so.sha1", config.name);
    let pinned = pin::pin_as(&config.so, &config.out, &config.name, &sums).map_err(pin_error)?;
    let stats_pinned = config.stats.as_ref().map(|stats| {
        let (name, sums) = (format!("{}_stats", config.name), format!("{}_so_stats.sha1", config.name));
        pin::pin_as(&stats.so, &config.out, &name, &sums).map_err(pin_error)
    });
    let stats_pinned = stats_pinned.transpose()?;
    for note in &config.notes {
        screen.say(&format!("note: {}", note.en()));
    }
    let preload = verified(config, &pinned, &config.out, screen, cancel)?;
    let arms = Arms::new(config, &pinned, screen, cancel)?;
    let mut rows = Rows::begin(&config.out).map_err(|taken| match taken {
        Taken::Earlier(_) => usage(taken),
        Taken::Write(e) => e.into(),
    })?;
    for note in &config.notes {
        rows.progress(&format!("[NOTE] {}", note.en()))?;
    }

    arms.begin(config, &mut rows, screen)?;
    if let Some(Stir { level, seed }) = config.stir {
        let line =
            format!("scheduling is disturbed: --stir {level} --stir-seed {seed}, one more for each run");
        rows.progress(&format!("[STIR] {line}"))?;
        screen.say(&line);
    }
    let (runs, time_over) = counted(config, &arms, &mut original, screen, cancel, &mut rows)?;
    let interrupted = cancel.is_set();
    let dso = DsoFacts {
        original: pinned.source.display().to_string(),
        path: pinned.path.display().to_string(),
        pinned: true,
        sha1: pinned.sha1.clone(),
        build_id: pinned.build_id().map(str::to_owned),
        original_integrity: original.integrity(),
    };
    let mut hunted = Hunted {
        facts: HuntFacts {
            hang_after_s: config.hang_after.map_or(0.0, |t| t.as_secs_f64()),
            planned: config.planned(),
            runs,
            interrupted,
            stop_at_first: config.stops_at_first(),
            arms: arms.facts(config),
            seed: (config.arms.len() > 1).then_some(config.seed),
            until: config.limits.until,
            time_over_s: time_over.map(|time| time.as_secs_f64()),
            stir: config.stir,
            ..HuntFacts::new(&config.name, &config.command, dso)
        },
        stats: vec![],
        counters: vec![],
        lanes: vec![],
        preload,
        notes: config.notes.clone(),
    };
    if config.profile.from.is_some() {
        // A built-in profile names what only a build for statistics has.
        hunted.notes.extend(counters::none_in_memory(arms.lane(0)));
    }
    if let (Some(stats), Some(pinned)) = (&config.stats, stats_pinned.filter(|_| !interrupted)) {
        stats_lane(config, stats, &pinned, screen, cancel, &mut rows, &mut hunted)?;
    }
    hunted.lanes = counters::lanes(config, &hunted.facts.runs, &hunted.stats);
    Ok(hunted)
}

/// The runs that count: those of the arms, in turns; and the time that the hunt was given, if that was over before it was
/// done.
fn counted(
    config: &Config,
    arms: &Arms,
    original: &mut Original,
    screen: &mut Screen,
    cancel: &Cancel,
    rows: &mut Rows,
) -> anyhow::Result<(Vec<RunFacts>, Option<Duration>)> {
    let mut runs: Vec<RunFacts> = vec![];
    let mut progress = config.limits.until.map(|until| Progress::new(&arms.facts(config), until));
    let (began, mut time_over) = (Instant::now(), None);
    for (arm, number) in arm::rounds(config.arms.len(), config.runs, config.seed) {
        if cancel.is_set() {
            break;
        }
        let name = arms.lane(arm).run_name(number);
        rows.progress(&format!("[RUN] {name}"))?;
        screen.begin(&name);
        let facts = arms.run(config, arm, number, &runs, screen, cancel)?;
        rows.push(&facts)?;
        screen.end(&facts);
        if let Some(changed) = original.look() {
            let so = config.so.display();
            let line = format!(
                "[DSO] {so}: {changed} during run {name}; the runs use the pinned copy and do not feel it"
            );
            rows.progress(&line)?;
            screen.say(&line);
        }
        let hang = facts.hang.as_ref().filter(|_| facts.outcome == RunOutcome::Hung);
        if let Some(hang) = hang {
            let snapshot = config.out.join(&hang.snapshot);
            let line = format!("[HANG] captured at run {name} -> {}", snapshot.display());
            rows.progress(&line)?;
            screen.say(&line);
        }
        let last = facts.outcome == RunOutcome::Interrupted || (hang.is_some() && config.stops_at_first());
        if let Some(progress) = &mut progress {
            progress.push(&facts);
        }
        runs.push(facts);
        if progress.as_ref().is_some_and(Progress::is_decided) {
            stopped(rows, screen, &format!("--until-decided: decided with run {name}"))?;
            break;
        }
        if last {
            break;
        }
        time_over = config.limits.max_time.filter(|most| began.elapsed() >= *most);
        if let Some(most) = time_over {
            let left = if progress.is_some() { ", undecided" } else { "" };
            stopped(rows, screen, &format!("--max-time {} is over{left}", humantime::format_duration(most)))?;
            break;
        }
    }
    Ok((runs, time_over))
}

/// Says why no more runs are made.
fn stopped(rows: &mut Rows, screen: &Screen, why: &str) -> anyhow::Result<()> {
    let line = format!("[STOP] {why}");
    rows.progress(&line)?;
    screen.say(&line);
    Ok(())
}

/// The counter lane: runs with the build that counts, whether anything hung or not.
fn stats_lane(
    config: &Config,
    stats: &StatsLane,
    pinned: &Pinned,
    screen: &mut Screen,
    cancel: &Cancel,
    rows: &mut Rows,
    hunted: &mut Hunted,
) -> anyhow::Result<()> {
    let lane = Lane::new(config, pinned, "stats", "stats_run_", "hang_stats_run_", "slow_stats_run_")?;
    hunted.notes.extend(counters::none_in_memory(&lane));
    let mut log = atomic::Lines::open(&config.out.join("stats_runs.jsonl"))?;
    let mut outputs = vec![];
    for number in 1..=stats.runs {
        if cancel.is_set() {
            break;
        }
        rows.progress(&format!("[STATS] {number}"))?;
        screen.say(&format!("counter lane: run {number}/{}", stats.runs));
        let facts = run::run(config, &lane, number, None, screen, cancel)?;
        log.push_json(&rows::object(&facts))?;
        outputs.extend(lane.outputs(number));
        if let Some(hang) = &facts.hang {
            hunted.notes.push(say!(Note::StatsStuck { run: number, snapshot: &hang.snapshot }).said());
            let line = format!(
                "[{}] stats run {number} -> {}",
                if facts.outcome == RunOutcome::Hung { "HANG" } else { "SLOW" },
                config.out.join(&hang.snapshot).display()
            );
            rows.progress(&line)?;
            screen.say(&line);
        }
        hunted.stats.push(facts);
    }
    for counter in &config.profile.counters {
        let found = counters::collect(&config.out, counter, &outputs)?;
        screen.say(&format!("counter lane: {} lines in {}", found.lines, found.file));
        hunted.counters.push(found);
    }
    Ok(())
}

/// Strict verification of the preload, before any run counts. Its last line; none if it was not wanted.
pub(crate) fn verified(
    config: &Config,
    pinned: &Pinned,
    out: &Path,
    screen: &Screen,
    cancel: &Cancel,
) -> anyhow::Result<Option<String>> {
    if config.verify_runs == 0 {
        return Ok(None);
    }
    screen.say(&format!("verifying the preload, {} runs", config.verify_runs));
    let request = verify::Request {
        command: &config.command,
        so: &pinned.path,
        shim: &config.shim,
        runs: config.verify_runs,
        cpus: config.cpus.as_ref(),
        env: &config.env,
        only: config.only_named.as_deref(),
        out: Some(out),
        times: verify::Times::default(),
    };
    match verify::verify(&request, cancel) {
        Ok(_) => Ok(Some(verify::PASSED.to_owned())),
        Err(error) => Err(Ended::new(error.status(), format!("hunt: {error}")).into()),
    }
}

fn pin_error(error: PinError) -> anyhow::Error {
    match error {
        PinError::Unreadable { .. } | PinError::NotADso { .. } | PinError::Name(_) => usage(error),
        PinError::Changing { .. } | PinError::Write(_) => anyhow::Error::new(error).context("hunt"),
    }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("hunt: {what}")).into()
}
