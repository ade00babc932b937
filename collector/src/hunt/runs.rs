//! The runs of a hunt: those of the arms, in turns, then those of the counter lane.

use std::collections::BTreeSet;

use super::arms::Arms;
use super::config::{Config, StatsLane};
use super::counters;
use super::crew;
use super::holds::Holds;
use super::hunted::Hunted;
use super::lane::{Lane, RunNames};
use super::original::Original;
use super::part::{self, Earlier, Part};
use super::preflight::{check_dsos, pin_error, usage, verify_preload};
use super::run_files::{self, RunFiles, Taken};
use super::running::Job;
use super::screen::Screen;
use super::strategies;
use crate::analysis::facts::{STATS, SideBySide};
use crate::analysis::{DsoFacts, HuntFacts, Integrity, RunOutcome};
use crate::console::cancel::Cancel;
use crate::console::usr1::Requests;
use crate::files::atomic;
use crate::files::pin::{self, PinError, Pinned};
use crate::launch::program;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;
use crate::text::progress::JobLine;

/// A hunt whose checks have passed.
pub(super) struct Hunt<'a> {
    pub(super) config: &'a Config,
    pub(super) arms: &'a Arms,
    pub(super) original: Original,
    pub(super) files: RunFiles,
    pub(super) screen: &'a Screen,
    pub(super) cancel: &'a Cancel,
    pub(super) requests: &'a Requests,
}

/// # Errors
/// Whatever ends the hunt, as one line, with the documented status ([`crate::console::exit::status_of`]). The
/// processes of the current run are killed then. Files that were written before stay.
pub(crate) fn hunt(
    config: &Config,
    screen: &Screen,
    cancel: &Cancel,
    requests: &Requests,
) -> anyhow::Result<Hunted> {
    program::find(&config.command[0]).map_err(usage)?;
    check_dsos(config)?;
    let (mut part, earlier) = match &config.part {
        Some(own) => Part::begin(config, own).map(|(part, earlier)| (Some(part), earlier))?,
        None if config.out.join("runs.tsv").exists() => {
            return Err(usage(Taken::Earlier(config.out.clone())));
        }
        None => (None, Earlier::default()),
    };
    let original = Original::new(&config.so)
        .map_err(|source| pin_error(PinError::Unreadable { path: config.so.clone(), source }))?;
    let sums = format!("{}_so.sha1", config.name);
    let pinned = pin::pin_as(&config.so, &config.out, &config.name, &sums).map_err(pin_error)?;
    let stats_pinned = config.stats.as_ref().map(|stats| {
        let (name, sums) = (format!("{}_stats", config.name), format!("{}_so_stats.sha1", config.name));
        pin::pin_as(&stats.so, &config.out, &name, &sums).map_err(pin_error)
    });
    let stats_pinned = stats_pinned.transpose()?;
    for note in &config.notes {
        screen.say(&say!(JobLine::Note { note }));
    }
    for line in part::lines(config, &earlier) {
        screen.say(&line);
    }
    let dso = DsoFacts {
        original: pinned.source.display().to_string(),
        path: pinned.path.display().to_string(),
        pinned: true,
        sha1: pinned.sha1.clone(),
        build_id: pinned.build_id().map(str::to_owned),
        original_integrity: Integrity::Intact,
    };
    let mut facts = HuntFacts {
        hang_after_s: config.hang_after.time().map_or(0.0, |t| t.as_secs_f64()),
        planned: config.planned(),
        stop_at_first: config.stops_at_first(),
        seed: (config.arms.len() > 1).then_some(config.seed),
        until: config.limits.until,
        stir: config.stir,
        side_by_side: config.side_by_side(),
        ..HuntFacts::new(&config.name, &config.command, dso)
    };
    if let Some(part) = &mut part {
        part.started(&facts)?;
    }
    let preload = verify_preload(config, &pinned, &config.out, screen, cancel)?;
    let arms = Arms::new(config, &pinned, screen, cancel)?;
    facts.arms = arms.facts(config);
    if let Some(part) = &mut part {
        part.started(&facts)?;
    }
    let files = match earlier.goes_on {
        true => RunFiles::go_on(&config.out, &earlier.runs)?,
        false => RunFiles::begin(&config.out).map_err(|taken| match taken {
            Taken::Earlier(_) => usage(taken),
            Taken::Write(e) => e.into(),
        })?,
    };
    screen.point();
    let mut hunt = Hunt { config, arms: &arms, original, files, screen, cancel, requests };
    hunt.announce(&earlier)?;
    let Earlier { runs: before, stats: stats_before, .. } = earlier;
    let (runs, time_over) = hunt.run_arms(before.into_iter().map(|(run, _)| run).collect())?;
    let interrupted = cancel.is_set();
    facts.dso.original_integrity = hunt.original.integrity();
    let time_over_s = time_over.map(|time| time.as_secs_f64());
    let mut hunted = Hunted {
        facts: HuntFacts { runs, interrupted, time_over_s, ..facts },
        stats: vec![],
        counters: vec![],
        lanes: vec![],
        verify_hang: preload.as_ref().and_then(|preload| preload.hang.clone()),
        preload: preload.map(|preload| preload.line),
        notes: config.notes.clone(),
    };
    if let Some(part) = part {
        part.ended(&hunted.facts)?;
    }
    if config.profile.from.is_some() {
        // A built-in profile names variables that only a build for statistics has.
        hunted.notes.extend(counters::none_in_memory(hunt.arms.lane(0)));
    }
    if let (Some(stats), Some(pinned)) = (&config.stats, stats_pinned.filter(|_| !interrupted)) {
        hunt.run_stats(stats, &pinned, stats_before, &mut hunted)?;
    }
    hunted.lanes = counters::lanes(config, &hunted.facts.runs, &hunted.stats);
    // A hang of the counter lane is a hang of the hunt.
    if hunted.stats.iter().any(|run| run.outcome == RunOutcome::Hung) {
        hunted.facts.runs.extend(hunted.stats.iter().cloned());
    }
    Ok(hunted)
}

impl Hunt<'_> {
    /// A line for the person and for `progress.log`.
    pub(super) fn say(&mut self, mark: &str, line: &JobLine) -> anyhow::Result<()> {
        self.files.progress(&format!("[{mark}] {}", line.en()))?;
        self.screen.say(line);
        Ok(())
    }

    /// The same, with its mark on the screen too.
    pub(super) fn say_with_mark(&mut self, mark: &str, line: &JobLine) -> anyhow::Result<()> {
        let marked = Text::of(|lang| format!("[{mark}] {}", line.text(lang)));
        self.files.progress(marked.en())?;
        self.screen.say(&marked);
        Ok(())
    }

    /// Says what is done to the runs, before the first. Begins the files of the arms.
    fn announce(&mut self, earlier: &Earlier) -> anyhow::Result<()> {
        for line in part::lines(self.config, earlier) {
            self.files.progress(&format!("[SHARD] {}", line.en()))?;
        }
        for note in &self.config.notes {
            self.files.progress(&format!("[NOTE] {}", note.en()))?;
        }
        self.arms.begin_files(self.config, &mut self.files)?;
        if earlier.goes_on {
            self.files.rows_of(&earlier.runs)?;
        }
        if let Some(turns) = self.arms.turns(self.config) {
            self.say("ARMS", &turns)?;
        }
        if let Some(SideBySide { cpus }) = self.config.side_by_side() {
            let sets = cpus.join(" / ");
            self.say("JOBS", &say!(JobLine::SideBySide { jobs: cpus.len(), sets }))?;
        }
        if let Some(line) = strategies::line(self.config) {
            self.say("STIR", &line)?;
            if let Some(line) = self.arms.lane(0).holds().map(Holds::line) {
                self.say("STIR", &line)?;
            }
        }
        Ok(())
    }

    /// The counter lane: runs of the build that counts, whether anything hung or not.
    fn run_stats(
        &mut self,
        stats: &StatsLane,
        pinned: &Pinned,
        before: Vec<part::Line>,
        hunted: &mut Hunted,
    ) -> anyhow::Result<()> {
        // One by one, under the conditions of the other runs.
        let config = &crew::configs(self.config)[0];
        let cancel = self.cancel;
        let lane = Lane::new(config, pinned, STATS, RunNames::stats())?;
        hunted.notes.extend(counters::none_in_memory(&lane));
        let path = config.out.join("stats_runs.jsonl");
        if !before.is_empty() {
            let lines: String = before.iter().map(|(_, line)| line.clone() + "\n").collect();
            atomic::write_text(&path, &lines)?;
        }
        let mut log = atomic::Lines::open(&path)?;
        let mut outputs = vec![];
        for number in config.shard().runs(stats.runs) {
            if cancel.is_set() {
                break;
            }
            if let Some((run, _)) = before.iter().find(|(run, _)| run.run == number) {
                outputs.extend(lane.outputs(number));
                hunted.stats.push(run.clone());
                continue;
            }
            self.files.progress(&format!("[STATS] {number}"))?;
            self.screen.say(&say!(JobLine::StatsRun { number, runs: stats.runs }));
            let requests = Some(self.requests);
            let facts = Job {
                config,
                lane: &lane,
                number,
                stir: None,
                preferred_sites: &BTreeSet::new(),
                screen: self.screen,
                cancel,
                requests,
                over: None,
                keep: false,
                hellos: None,
            }
            .run(None)?;
            if facts.outcome == RunOutcome::Hung {
                self.screen.board().hang(&config.name, STATS, facts.class().as_str());
            }
            log.push_json(&run_files::object(&facts))?;
            outputs.extend(lane.outputs(number));
            if let Some(hang) = &facts.hang {
                let (snapshot, seconds) = (&hang.snapshot, format!("{:.1}", facts.seconds));
                let note = match facts.outcome {
                    RunOutcome::Slow if !facts.cut_off => {
                        say!(Note::StatsLate { run: number, seconds, snapshot })
                    }
                    _ => say!(Note::StatsStuck { run: number, snapshot }),
                };
                hunted.notes.push(note.said());
                let mark = if facts.outcome == RunOutcome::Hung { "HANG" } else { "SLOW" };
                let snapshot = config.out.join(&hang.snapshot);
                self.say_with_mark(
                    mark,
                    &say!(JobLine::StatsStuck { number, snapshot: snapshot.display() }),
                )?;
            }
            hunted.stats.push(facts);
        }
        for counter in &config.profile.counters {
            let found = counters::collect(&config.out, counter, &outputs)?;
            self.screen.say(&say!(JobLine::StatsLines { lines: found.lines, file: found.file }));
            hunted.counters.push(found);
        }
        Ok(())
    }
}
