//! A hunt that is a shard: its record for `merge`, and how it goes on after a kill.

use std::path::PathBuf;

use super::arm::Treatment;
use super::config::Config;
use super::preflight::{pin_error, usage};
use super::run_files::Taken;
use crate::analysis::shards::PartEnd;
use crate::analysis::{HuntFacts, RunFacts, RunOutcome, Stopped};
use crate::files::atomic::{self, WriteError};
use crate::files::journal::{self, Lock};
use crate::files::pin::{self, PinError};
use crate::report::reread;
use crate::shard::record::BadRecord;
use crate::shard::settings::{DSO, Difference, Settings, difference, hidden};
use crate::shard::{Job, Own, Record};
use crate::text::message::say;
use crate::text::progress::JobLine;

/// A run of an earlier start, and its line in a file.
pub(super) type Line = (RunFacts, String);

/// What earlier starts of the shard have made.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Those that count.
    pub(super) runs: Vec<Line>,
    /// Of the counter lane.
    pub(super) stats: Vec<Line>,
    /// Lines that could not be read. Their runs are made again.
    pub(super) damaged: usize,
    /// There was a start before this one.
    pub(super) goes_on: bool,
}

/// A shard under way. No other process can make its runs meanwhile.
#[derive(Debug)]
pub(super) struct Part {
    folder: PathBuf,
    record: Record,
    _locked: Lock,
}

impl Part {
    /// Begins the shard in OUT, or goes on with it.
    ///
    /// # Errors
    /// OUT has something else, or the same shard with other settings or another DSO. Another process makes its
    /// runs.
    pub(super) fn begin(config: &Config, own: &Own) -> anyhow::Result<(Part, Earlier)> {
        let out = &config.out;
        atomic::make_dir(out)?;
        // Not one of the files with runs: these are replaced when the shard goes on.
        let locked = journal::lock(&out.join("shard.lock"))?.ok_or_else(|| {
            usage(format!(
                "another hangscope makes the runs of shard {} in {}: wait for it, or give another --out",
                own.shard,
                out.display()
            ))
        })?;
        let settings = settings(config)?;
        let planned = config.planned().saturating_mul(config.arms.len() as u32);
        let record = Record::begin(Job::Hunt, (own.shard, own.origin), (planned, config.runs), settings);
        let (record, goes_on) = match Record::read(out) {
            Ok(before) => {
                check_same(config, &before, &record)?;
                (record.after(&before), true)
            }
            Err(BadRecord::Missing) if !out.join("runs.tsv").exists() => (record, false),
            Err(BadRecord::Missing) => return Err(usage(Taken::Earlier(out.clone()))),
            Err(bad) => {
                let out = out.display();
                return Err(usage(format!("{out}: {bad}, so it cannot be gone on with; give another --out")));
            }
        };
        config.remember.series(&record.series());
        let mut earlier = Earlier { goes_on, ..Earlier::default() };
        if goes_on {
            earlier.runs = earlier_runs(config, "runs.jsonl", &mut earlier.damaged)?;
            if config.stats.is_some() {
                earlier.stats = earlier_runs(config, "stats_runs.jsonl", &mut earlier.damaged)?;
            }
        }
        Ok((Part { folder: out.clone(), record, _locked: locked }, earlier))
    }

    /// Writes the record before the first run.
    pub(super) fn started(&mut self, facts: &HuntFacts) -> Result<(), WriteError> {
        self.record.hunt = Some(facts.clone());
        self.record.write(&self.folder)
    }

    /// Writes the record after the last run.
    pub(super) fn ended(mut self, facts: &HuntFacts) -> Result<(), WriteError> {
        let made = facts.runs.iter().filter(|run| run.outcome != RunOutcome::Interrupted);
        let end = match facts.stopped() {
            Stopped::AllMade | Stopped::Decided => PartEnd::AllMade,
            Stopped::FirstHang => PartEnd::FirstHang,
            Stopped::MaxTime => PartEnd::MaxTime,
            Stopped::Interrupted => PartEnd::Interrupted,
        };
        self.record.end(made.count() as u32, end);
        self.record.hunt = Some(facts.clone());
        self.record.write(&self.folder)
    }
}

/// What is said before the first run of a shard.
pub(super) fn lines(config: &Config, earlier: &Earlier) -> Vec<JobLine> {
    let Some(own) = &config.part else { return vec![] };
    let (shard, from) = (own.shard, own.origin);
    let (planned, runs, numbers) = (config.planned(), config.runs, shard.numbers(config.runs));
    let mut lines = vec![say!(JobLine::Shard { shard, from, planned, runs, numbers })];
    if earlier.goes_on {
        lines.push(say!(JobLine::ShardGoesOn { shard, made: earlier.runs.len() }));
    }
    if earlier.damaged > 0 {
        lines.push(say!(JobLine::LinesDamaged { lines: earlier.damaged }));
    }
    lines
}

/// The runs of a file in OUT that count, in its order. A damaged line is left out and counted.
fn earlier_runs(config: &Config, name: &str, damaged: &mut usize) -> anyhow::Result<Vec<Line>> {
    let bytes = journal::whole_lines(&config.out.join(name))?;
    let mut lines: Vec<Line> = vec![];
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let text = std::str::from_utf8(line).ok();
        let run = text.and_then(|text| Some((serde_json::from_str::<RunFacts>(text).ok()?, text.to_owned())));
        let Some((mut run, text)) = run else {
            *damaged += 1;
            continue;
        };
        // A run that was broken off is made again.
        let counts = run.outcome != RunOutcome::Interrupted && config.shard().has(run.run);
        if counts && !lines.iter().any(|(other, _)| (&other.arm, other.run) == (&run.arm, run.run)) {
            reread::find(&config.out, &mut run);
            lines.push((run, text));
        }
    }
    Ok(lines)
}

/// Refuses to go on with other settings, by name.
fn check_same(config: &Config, before: &Record, now: &Record) -> anyhow::Result<()> {
    let out = config.out.display();
    if before.job != Job::Hunt {
        return Err(usage(format!("{out} holds a shard of a matrix: give another --out")));
    }
    if before.shard != now.shard {
        return Err(usage(format!("{out} holds shard {}: give another --out", before.shard)));
    }
    match difference(&before.settings, &now.settings) {
        None => Ok(()),
        Some(Difference { name, first, other }) => Err(usage(format!(
            "shard {} in {out} was begun with another {name}: {} then, {} now; put it back, or give another --out",
            now.shard,
            Difference::show(first),
            Difference::show(other),
        ))),
    }
}

/// What all shards of the hunt have in common, by name. Not the CPUs: they are those of a machine.
///
/// # Errors
/// A DSO cannot be read.
fn settings(config: &Config) -> anyhow::Result<Settings> {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
    let sha1 = |so: &PathBuf| {
        let unreadable = |source| PinError::Unreadable { path: so.clone(), source };
        pin::bytes_of(so).map(|bytes| pin::sha1_hex(&bytes)).map_err(|e| pin_error(unreadable(e)))
    };
    let words = config.command.iter().map(String::as_str);
    set("command", shlex::try_join(words).unwrap_or_else(|_| config.command.join(" ")));
    set("name", config.name.clone());
    set("hangscope", env!("CARGO_PKG_VERSION").to_owned());
    set("runs", config.runs.to_string());
    set("jobs", config.side_by_side.len().max(1).to_string());
    set("hang_after", config.hang_after.to_string());
    set("stall", config.stall.to_string());
    set("max_time", config.limits.max_time.to_string());
    set("on_hang", config.on_hang.as_str().to_owned());
    set("arms", config.arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>().join(" "));
    if config.arms.len() > 1 {
        set("seed", config.seed.to_string());
    }
    if let Some(tick) = config.tick {
        set("tick", format!("{tick:?}"));
    }
    if let Some(plan) = config.stir {
        set("stir", format!("{} seed {}", plan.choice, plan.seed));
    }
    if let Some(only) = &config.only {
        set("only", only.clone());
    }
    for (name, value) in &config.env {
        let shown = config.profile.env.iter().any(|prefix| name.starts_with(prefix.as_str()));
        set(&format!("env {name}"), if shown { value.clone() } else { hidden(value) });
    }
    set(&format!("{DSO}{}", config.name), sha1(&config.so)?);
    for arm in &config.arms {
        if let Treatment::Build(so) = &arm.treatment {
            set(&format!("{DSO}of arm {}", arm.name), sha1(so)?);
        }
    }
    if let Some(so) = &config.other_so {
        set(&format!("{DSO}that replaces"), sha1(so)?);
    }
    if let Some(stats) = &config.stats {
        set(&format!("{DSO}that counts"), sha1(&stats.so)?);
        set("stats_runs", stats.runs.to_string());
    }
    Ok(settings)
}
