//! Finds the commit or the setting that made a program hang. Asks [`crate::analysis::bisect`] for the next step,
//! makes the build and the run, and adds them to the journal.
//!
//! - [`settings`]: the settings of a search, as a file in OUT
//! - [`journal`]: the builds and runs that were made
//! - [`git`]: commits and work trees; `builder`: a build from one of them

use std::collections::BTreeMap;
use std::time::Instant;

use hangscope_protocol::duration::Limit;

use crate::analysis::bisect::{End, Entry, Hang, Make, Over, Signed, State, Trial};
use crate::analysis::signature::Signature;
use crate::analysis::{RunFacts, RunOutcome};
use crate::console::cancel::Cancel;
use crate::console::exit::{Ended, Status};
use crate::files::atomic;
use crate::files::journal::{BadJournal, Journal};
use crate::files::settings::are_same;
use crate::hunt::lane::{Lane, RunNames};
use crate::hunt::{self, Config, Screen};
use crate::launch::program;
use crate::report::bisect::lines::Line;
use crate::report::bisect::{BisectFile, Inputs, Named, percent};
use crate::text::message::{Say as _, Text, say};
use crate::text::progress::JobLine;

mod builder;
pub(crate) mod git;
mod journal;
pub(crate) mod settings;

use builder::Builder;
use git::Repository;
use journal::next_run;
pub(crate) use settings::Settings;

/// The progress line names so many candidates.
const SHOWN: usize = 3;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) settings: Settings,
    /// How the runs are made. Its DSO is set for each build.
    pub(crate) config: Config,
    /// No step starts after this time.
    pub(crate) max_time: Limit,
}

/// Searches on from the state of the journal in OUT, and writes the reports.
///
/// # Errors
/// Anything that stops the search, as one line with the documented exit status.
pub(crate) fn bisect(job: &Job, screen: &mut Screen, cancel: &Cancel) -> anyhow::Result<BisectFile> {
    let started = Instant::now();
    let Job { settings, config, .. } = job;
    let out = &config.out;
    program::find(&config.command[0]).map_err(usage)?;
    let task = settings.task();
    let mut journal = begin(job)?;
    let repository = Repository::of(&settings.repository).map_err(usage)?;
    let builder = Builder { settings, out, repository, cancel };
    builder.clean()?;
    config.notes.iter().for_each(|note| screen.say(&say!(JobLine::Note { note })));
    if journal.entries().is_empty() {
        screen.say(&say!(Line::Begins { builds: task.search.space.builds() }));
    } else {
        screen.say(&say!(JobLine::GoingOn { run: next_run(&journal) - 1, out: out.display() }));
    }
    let mut lanes: BTreeMap<usize, (Config, Lane)> = BTreeMap::new();
    let mut state = task.look(journal.entries());
    let mut announced = None;
    let end = loop {
        let ask = match state.next {
            Err(Over::End(end)) => break end,
            Err(over) => return Err(refused(over, settings, &journal).into()),
            Ok(_) if cancel.is_set() => break End::Interrupted,
            Ok(_) if job.max_time.time().is_some_and(|most| started.elapsed() >= most) => {
                break End::OutOfTime;
            }
            Ok(ask) => ask,
        };
        let label = settings.label(ask.build);
        let Some(make) =
            journal.entries().iter().filter_map(Entry::make).find(|make| make.build == ask.build)
        else {
            let subject = &settings.commit(ask.build).subject;
            screen.say(&say!(Line::Builds { label: &label, subject, runs: ask.runs.max(1) }));
            match builder.make(ask.build)? {
                None => break End::Interrupted,
                Some(make) => {
                    told_of_build(screen, &label, &make);
                    journal.push(Entry::Build(make))?;
                }
            }
            state = task.look(journal.entries());
            continue;
        };
        if !lanes.contains_key(&ask.build) {
            let lane = lane(job, &builder, make)?;
            if next_run(&journal) == 1 && lanes.is_empty() {
                verify(&lane.0, &builder, make, screen, cancel)?;
            }
            lanes.insert(ask.build, lane);
        }
        let (config, lane) = &lanes[&ask.build];
        let number = next_run(&journal);
        // A search that was killed in this run has left its files.
        lane.clear(number)?;
        if announced != Some(ask.build) {
            screen.say(&say!(Line::Runs { label: &label, beliefs: beliefs(settings, &state) }));
            announced = Some(ask.build);
        }
        screen.step(&label, number);
        let stir = config.stir.and_then(|plan| Some(plan.of_run(plan.choice.strategy()?, number)));
        let facts = hunt::Job {
            config,
            lane,
            number,
            stir,
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
            lane.clear(number)?;
            break End::Interrupted;
        }
        if facts.integrity().is_changed() {
            let (word, note) = (facts.integrity(), facts.note.clone().unwrap_or_default());
            let what = format!(
                "bisect: the pinned DSO was {word} in run {number} ({}): what ran is not known",
                note.en()
            );
            return Err(Ended::new(Status::DsoNotIntact, what).into());
        }
        let trial = trial(&facts, ask.build);
        journal.push(Entry::Run(trial.clone()))?;
        if trial.outcome == RunOutcome::Ok {
            lane.clear(number)?;
        }
        state = task.look(journal.entries());
        told_of_run(screen, settings, &state, &trial);
    };
    screen.finish();
    builder.clean()?;
    let file = BisectFile::of(&Inputs {
        name: &config.name,
        names: &|build| named(settings, build),
        flags: &settings
            .flags
            .iter()
            .map(|flag| (flag.name.clone(), flag.values.clone()))
            .collect::<Vec<_>>(),
        task: &task,
        journal: journal.entries(),
        state: &state,
        end,
        go_on: &["hangscope", "bisect", "--resume", &out.display().to_string()].map(str::to_owned),
    });
    file.write(out)?;
    Ok(file)
}

/// The documented exit status.
pub(crate) fn status(file: &BisectFile) -> Status {
    match file.end {
        End::Interrupted => Status::Failed,
        _ if file.hangs > 0 => Status::Hang,
        _ => Status::NoHang,
    }
}

fn named(settings: &Settings, build: usize) -> Named {
    let commit = settings.commit(build);
    Named {
        label: settings.label(build),
        key: settings.key(build),
        hash: commit.hash.clone(),
        subject: commit.subject.clone(),
        date: commit.date.clone(),
        merge: commit.merge,
    }
}

/// Opens the journal. A resumed search must have the same settings.
fn begin(job: &Job) -> anyhow::Result<Journal<Entry>> {
    let (settings, out) = (&job.settings, &job.config.out);
    if out.join("runs.tsv").exists() {
        return Err(usage(format!("{} holds a hunt (runs.tsv): give another --out", out.display())));
    }
    atomic::make_dir(out)?;
    let before = Settings::load(out).map_err(usage)?;
    match before {
        Some(before) if !are_same(settings, &before) => {
            return Err(usage(format!(
                "{} is of another search: give another --out, or go on with it with --resume {}",
                out.join(settings::FILE).display(),
                out.display()
            )));
        }
        Some(_) => {}
        None => settings.write(out)?,
    }
    atomic::make_dir(&out.join("hangs"))?;
    journal::open(out, settings.space().builds()).map_err(|bad| match bad {
        BadJournal::Write(e) => e.into(),
        bad => usage(bad),
    })
}

/// How the runs of a build are made.
fn lane(job: &Job, builder: &Builder<'_>, make: &Make) -> anyhow::Result<(Config, Lane)> {
    let (config, key) = (&job.config, job.settings.key(make.build));
    let sha1 = make.sha1.as_deref().unwrap_or_default();
    let gone = |what: String| Ended::new(Status::DsoNotIntact, format!("bisect: the build {key}: {what}"));
    let pinned = builder.pinned(make.build, sha1).map_err(|e| gone(e.to_string()))?;
    if pinned.sha1 != sha1 {
        return Err(gone(format!("{} has other bytes than were built", pinned.path.display())).into());
    }
    let config = Config { so: pinned.path.clone(), ..config.clone() }.with_tick();
    let names = RunNames {
        run: "run_".to_owned(),
        hang: format!("hangs/{key}_"),
        slow: format!("hangs/slow_{key}_"),
    };
    let lane = Lane::arm(&config, &pinned, 0)?.named(names, format!("b{}_", make.build));
    Ok((config, lane))
}

/// Strict verification of the preload, with the first build that is run. Every run is proven, too.
fn verify(
    config: &Config,
    builder: &Builder<'_>,
    make: &Make,
    screen: &Screen,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    let pinned = builder.pinned(make.build, make.sha1.as_deref().unwrap_or_default()).map_err(usage)?;
    hunt::verify_preload(config, &pinned, &config.out, screen, cancel).map(drop)
}

/// A run as a line of the journal.
fn trial(facts: &RunFacts, build: usize) -> Trial {
    let hang = facts.hang.as_ref().map(|hang| Hang {
        snapshot: hang.snapshot.clone(),
        signature: hang.finding.as_ref().map(|finding| {
            let signature = Signature::of(finding);
            Signed { id: signature.id(), words: signature.words(), bare: signature.is_bare() }
        }),
    });
    let whole = match facts.outcome {
        RunOutcome::Hung => facts.has_dso(),
        RunOutcome::Ok => facts.is_proven(),
        RunOutcome::Slow => facts.is_proven() && !facts.cut_off,
        RunOutcome::Crashed | RunOutcome::Failed | RunOutcome::Interrupted => false,
    };
    let words = facts.last_words.clone().filter(|_| !whole).map(Text::Same);
    Trial {
        run: facts.run,
        build,
        outcome: facts.outcome,
        counts: whole,
        seconds: facts.seconds + facts.captured_s.unwrap_or(0.0),
        rc: facts.rc,
        note: words.or_else(|| facts.note.clone()),
        hang,
    }
}

fn told_of_build(screen: &Screen, label: &str, make: &Make) {
    let seconds = format!("{:.1}", make.seconds);
    match &make.failed {
        Some(why) => screen.say(&say!(Line::Skipped { label, why })),
        None => screen.say(&say!(Line::Built { label, seconds })),
    }
}

/// How a run ended, and what is believed now.
fn told_of_run(screen: &Screen, settings: &Settings, state: &State, trial: &Trial) {
    let how = match (trial.outcome, trial.hung(state.signature.as_deref())) {
        (_, Some(true)) => say!(Line::Hung { what: words(trial) }).said(),
        (RunOutcome::Hung, _) if trial.counts => say!(Line::OtherHang { what: words(trial) }).said(),
        (_, Some(false)) => JobLine::Ok {}.said(),
        (_, None) => counts_not(trial),
    };
    let runs = state.seen.counts[trial.build];
    let run = say!(JobLine::RunOfTrial { number: trial.run, how, seconds: format!("{:.2}", trial.seconds) });
    let left = match &state.next {
        Ok(ask) if ask.bits > 0.0 => {
            let runs = (state.bits_to_go * f64::from(ask.runs) / ask.bits).ceil().clamp(1.0, 99_999.0);
            say!(Line::About { runs: runs as u32 }).said()
        }
        _ => Text::default(),
    };
    let label = settings.label(trial.build);
    screen.say(&say!(Line::After {
        run: run.said(),
        label,
        hung: runs.hung,
        of: runs.of,
        beliefs: beliefs(settings, state),
        left
    }));
}

/// Why a run does not count.
fn counts_not(trial: &Trial) -> Text {
    let why = trial.note.clone().unwrap_or_else(|| Line::NotProven {}.said());
    say!(Line::CountsNot { why, rc: trial.rc.unwrap_or(-1) }).said()
}

fn words(trial: &Trial) -> String {
    trial.signature().map_or_else(|| "unknown".to_owned(), |signed| signed.words.clone())
}

/// The most probable answers: `0a1b2c3d4e5f 41 %, 5f4e3d2c1b0a 22 %`.
fn beliefs(settings: &Settings, state: &State) -> Text {
    let task = settings.task();
    let flags: Vec<_> = settings.flags.iter().map(|flag| (flag.name.clone(), flag.values.clone())).collect();
    Text::of(|lang| {
        let shown = state.look.groups.iter().take(SHOWN).map(|group| {
            let what = crate::report::bisect::group_label(&task, &flags, &|b| settings.label(b), group)
                .text(lang)
                .to_owned();
            format!("{what} {} %", percent(group.posterior))
        });
        shown.collect::<Vec<_>>().join(", ")
    })
}

/// Why there is nothing to search.
fn refused(over: Over, settings: &Settings, journal: &Journal<Entry>) -> Ended {
    match over {
        Over::EndFails(build) => {
            let makes = journal.entries().iter().filter_map(Entry::make);
            let why = makes.filter(|make| make.build == build).find_map(|make| make.failed.clone());
            let option = if build == 0 { "--good" } else { "--bad" };
            Ended::new(
                Status::Usage,
                format!(
                    "bisect: {option} {} cannot be built: {}; give a commit that builds, or another --build",
                    settings.label(build),
                    why.unwrap_or_default().en()
                ),
            )
        }
        Over::NothingCounts | Over::End(_) => {
            let last = journal.entries().iter().rev().find_map(|entry| match entry {
                Entry::Run(trial) if !trial.counts => Some(counts_not(trial)),
                Entry::Build(make) => make.failed.clone(),
                Entry::Run(_) => None,
            });
            let last = last.unwrap_or_default();
            Ended::new(
                Status::NoGoodEnd,
                format!("bisect: no run of a build came to a good end or hung: {}", last.en()),
            )
        }
    }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("bisect: {what}")).into()
}
