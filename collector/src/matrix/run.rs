//! Makes the runs of a matrix, from wherever it stands, and writes its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use super::begin::Begun;
use super::config::{Matrix, Order, PhaseName};
use super::journal::{self, Entry};
use super::lanes::Pairs;
use super::machine::Moment;
use super::meta::Meta;
use super::night;
use super::page;
use super::part::{self, Part};
use super::plan::{Cell, Done, Group, Plan};
use super::preflight::verify_all;
use super::results::{self, Results};
use super::samples::{BadFile, Sample, Samples, Status};
use super::series::Series;
use super::summary::{self, cell_name};
use super::tables::Tables;
use super::task::{Console, Task};
use super::usage::usage;
use super::verdict;
use crate::analysis::{RunFacts, RunOutcome};
use crate::files::atomic::{self, Lines};
use crate::files::journal::{BadJournal, Journal};
use crate::history::RunRow;
use crate::history::model::Workload;
use crate::hunt::{Job, OnHang, Screen, leftovers};
use crate::launch::program;
use crate::live::model::Kind;
use crate::report::night::model::Night;
use crate::shard::Shard;
use crate::text::matrix::MatrixLine;
use crate::text::message::{Lang, Say as _, Text, say};
use crate::text::progress::JobLine;

/// Folder in OUT for evidence of runs that are made again.
const LEFT: &str = "hangs/left";

/// What a matrix brought, and the seed of its order.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) results: Results,
    pub(crate) seed: u64,
}

/// # Errors
/// Whatever ends the matrix, as one line with the documented status. Its files stay, and it can go on.
pub(crate) fn run(task: &Task, console: Console<'_>) -> anyhow::Result<Brought> {
    let Task { matrix, common, .. } = task;
    let out = &common.out;
    for lane in &matrix.lanes {
        program::find(&lane.command[0]).map_err(|e| usage(format!("lane {:?}: {e}", lane.name)))?;
    }
    let begun = Begun::find(task)?;
    atomic::make_dir(out)?;
    let journal = journal::open(out).map_err(|bad| match bad {
        BadJournal::Write(e) => e.into(),
        bad => usage(bad),
    })?;
    let (mut state, pinned) = begun.or_new(task)?;
    common.remember.series(&state.series);
    let pairs = Pairs::new(matrix, &pinned, common)?;
    let all_cpus = pairs.cpus();
    let plan = plan(task, state.seed);
    let dsos = results::dsos(matrix, &pinned);
    let part = Part::begin(task, &plan, &dsos, state.seed)?;
    let mut making = Making::new(task, console, &pairs, journal)?;
    let shown = (Kind::Matrix, "", &**out);
    making.screen.show_to_all(shown, console.metrics).context("matrix: --metrics")?;
    making.screen.point();
    if let Some(line) = part::line(task, &plan) {
        making.progress.push(&format!("[SHARD] {}", line.en()))?;
        making.screen.say(&line);
    }
    making.screen.say(&opening(task, &plan, &making.done, state.seed));
    if !state.verified {
        state.shim_kib = verify_all(task, &pinned, &pairs, console.cancel, &making.screen)?;
        state.verified = true;
        state.write(out)?;
    }
    let meta = Meta {
        matrix,
        seed: state.seed,
        on_hang: task.on_hang.as_str(),
        pinned: &pinned,
        shim: &common.shim.file,
        cpus: &all_cpus,
        goes_on_after: task.resume.then(|| making.journal.entries().len()),
    };
    meta.write(out)?;
    making.shim_kib.clone_from(&state.shim_kib);
    let interrupted = making.all(&plan)?;
    making.screen.finish();
    let entries = making.journal.entries();
    let results = Results::of(matrix, &dsos, &plan, entries, interrupted, None);
    if let Some(part) = part {
        part.ended(&results, task.on_hang)?;
    }
    write(out, matrix, state.seed, &results, entries)?;
    Ok(Brought { results, seed: state.seed })
}

fn plan(task: &Task, seed: u64) -> Plan {
    let matrix = &task.matrix;
    let sizes = (matrix.lanes.len(), matrix.allocators.len());
    let shard = task.common.part.as_ref().map_or(Shard::WHOLE, |own| own.shard);
    Plan::new(sizes, &matrix.phases, matrix.order, seed, task.on_hang == OnHang::Retry, shard)
}

/// What is said before the first run.
fn opening(task: &Task, plan: &Plan, done: &Done, seed: u64) -> Text {
    let (allocators, lanes) = (task.matrix.allocators.len(), task.matrix.lanes.len());
    let left = plan.left(done);
    let first = match task.resume {
        true => say!(MatrixLine::GoesOn { made: done.len(), left }).said(),
        false => say!(MatrixLine::Begin { allocators, lanes, runs: left }).said(),
    };
    match task.matrix.order {
        Order::Shuffled => Text::joined(&[first, say!(MatrixLine::Seed { seed }).said()]).unwrap_or_default(),
        _ => first,
    }
}

/// The files that grow with every run, and who watches.
struct Making<'a> {
    task: &'a Task,
    console: Console<'a>,
    pairs: &'a Pairs,
    journal: Journal<Entry>,
    samples: Samples,
    tables: Tables,
    progress: Lines,
    screen: Screen,
    done: Done,
    /// The shim's own share of the memory, by allocator.
    shim_kib: BTreeMap<String, u64>,
}

impl<'a> Making<'a> {
    fn new(
        task: &'a Task,
        console: Console<'a>,
        pairs: &'a Pairs,
        journal: Journal<Entry>,
    ) -> anyhow::Result<Self> {
        let (matrix, out) = (&task.matrix, &task.common.out);
        let mut samples = Samples::open(out).map_err(|bad| match bad {
            BadFile::Line { .. } => usage(bad),
            BadFile::Write(e) => e.into(),
        })?;
        let mut done = Done::default();
        for entry in journal.entries() {
            let Some(cell) = cell_of(matrix, entry) else {
                return Err(usage(format!(
                    "{} has a run of another matrix ({}): begin anew with another --out",
                    out.join(journal::FILE).display(),
                    cell_name(&entry.sample)
                )));
            };
            let new = done.add(cell, entry.facts.outcome == RunOutcome::Hung);
            let is = |row: &Sample| {
                (&row.allocator, &row.lane, &row.phase, row.run)
                    == (&entry.sample.allocator, &entry.sample.lane, &entry.sample.phase, entry.sample.run)
            };
            // Killed between the two files.
            if new && !entry.warmup && !samples.rows().iter().any(is) {
                samples.push(entry.sample.clone())?;
            }
        }
        let phases: Vec<PhaseName> = matrix.phases.iter().map(|phase| phase.name).collect();
        let tables = Tables::begin(out, &matrix.lanes, &phases, samples.rows())?;
        atomic::make_dir(&out.join("hangs"))?;
        let progress = Lines::open(&out.join("progress.log"))?;
        let left = plan(task, 0).left(&done);
        let screen = Screen::of_cells("matrix", left);
        Ok(Making {
            task,
            console,
            pairs,
            journal,
            samples,
            tables,
            progress,
            screen,
            done,
            shim_kib: BTreeMap::new(),
        })
    }

    /// Makes all runs that are left. Whether Ctrl-C ended that.
    fn all(&mut self, plan: &Plan) -> anyhow::Result<bool> {
        while let Some(cell) = plan.next(&self.done) {
            let made = if self.console.cancel.is_set() { None } else { self.one(cell)? };
            let Some(entry) = made else {
                let line = MatrixLine::Interrupted {};
                self.progress.push(&format!("[STOP] {}", line.en()))?;
                self.screen.say(&line);
                return Ok(true);
            };
            if entry.facts.outcome == RunOutcome::Hung && self.task.on_hang.stops() {
                let line = say!(MatrixLine::StoppedAtHang { cell: cell_name(&entry.sample) });
                self.progress.push(&format!("[STOP] {}", line.en()))?;
                self.screen.say(&line);
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Makes a run, and writes it down. None: it was interrupted.
    fn one(&mut self, cell: Cell) -> anyhow::Result<Option<Entry>> {
        let matrix = &self.task.matrix;
        let Group { phase, lane, allocator } = cell.group;
        let (lane_name, out) = (&matrix.lanes[lane].name, &self.task.common.out);
        let pair = self.pairs.get(cell.group);
        let lane = pair.lane(cell, lane_name);
        let sample = Sample {
            allocator: matrix.allocators[allocator].name.clone(),
            lane: lane_name.clone(),
            phase: phase.as_str().to_owned(),
            run: cell.run,
            status: Status::Fail,
            class: None,
            seconds: 0.0,
            ops_s: None,
            max_rss_kib: None,
            rc: None,
            bundle: None,
        };
        let name = match cell.warmup {
            true => say!(MatrixLine::AtWarmup { cell: cell_name(&sample) }).said(),
            false => cell_name(&sample).said(),
        };
        self.progress.push(&format!("[RUN] {}", name.en()))?;
        for path in leftovers::move_away(&lane, cell.run, LEFT)? {
            let line = say!(MatrixLine::Left { run: &name, path: path.display() });
            self.progress.push(&format!("[LEFT] {}", line.en()))?;
            self.screen.say(&line);
        }
        self.screen.begin(name.en());
        let cpus = pair.cpus().used;
        let pause = matrix.phases.iter().find(|of| of.name == phase).and_then(|of| of.sample);
        let series = pause.filter(|_| !cell.warmup).map(Series::begin).transpose()?;
        let (began, before) = (Instant::now(), Moment::now(&cpus));
        let job = Job {
            stir: None,
            preferred_sites: &BTreeSet::new(),
            config: &pair.config,
            lane: &lane,
            number: cell.run,
            screen: &self.screen,
            cancel: self.console.cancel,
            requests: Some(self.console.requests),
            over: None,
            keep: self.task.on_hang == OnHang::Keep,
            hellos: series.as_ref().map(Series::hellos),
        };
        let facts = job.run(None)?;
        let (lasted, after) = (began.elapsed(), Moment::now(&cpus));
        if let Some(series) = series {
            let path = out.join(lane_name).join(format!("rss_{}_{}.csv", sample.allocator, cell.run));
            series.end(program_of(&facts), &path)?;
        }
        self.screen.end(&RunFacts { arm: name.en().to_owned(), ..facts.clone() });
        if facts.outcome == RunOutcome::Interrupted {
            return Ok(None);
        }
        let marks = after.marks(&before, lasted.as_secs_f64(), cpus.len());
        let sample = filled(sample, &facts, after.killed_since(&before) > 0);
        let entry = Entry {
            sample,
            warmup: cell.warmup,
            marks,
            shim_kib: self.shim_kib.get(&matrix.allocators[allocator].name).copied(),
            facts: RunFacts { counters: None, ..facts },
        };
        self.journal.push(entry.clone())?;
        self.task.common.remember.run(|| {
            let workload = Workload { lane: lane_name.clone(), ..pair.config.workload() };
            let row = RunRow::of(&entry.facts, name.en(), pair.build(), &workload, out)?;
            // Caches are cold, and clocks low: it says nothing of the others.
            Some(RunRow { counts: row.counts && !cell.warmup, ..row })
        });
        if !cell.warmup {
            self.samples.push(entry.sample.clone())?;
            self.tables.push(&entry.sample)?;
        }
        let hung = entry.facts.outcome == RunOutcome::Hung;
        if hung {
            let class = entry.sample.class.as_deref().unwrap_or("unknown");
            self.screen.board().hang(&entry.sample.allocator, lane_name, class);
        }
        self.done.add(cell, hung);
        if let (true, Some(bundle)) = (hung, &entry.sample.bundle) {
            self.link_allocator(&entry.sample.allocator, bundle);
            let line = say!(JobLine::Captured { run: &name, snapshot: out.join(bundle).display() });
            self.progress.push(&format!("[HANG] {}", line.en()))?;
            self.screen.say(&Text::of(|lang| format!("[HANG] {}", line.text(lang))));
        }
        Ok(Some(entry))
    }

    /// Makes the allocator's file of a bundle a link to that of an earlier one with the same bytes.
    fn link_allocator(&self, allocator: &str, bundle: &str) {
        let out = &self.task.common.out;
        let file = |bundle: &str| out.join(bundle).join(format!("{allocator}.so"));
        let new = file(bundle);
        let Ok(bytes) = std::fs::read(&new) else { return };
        let entries = self.journal.entries().iter().filter(|entry| entry.sample.allocator == allocator);
        let bundles =
            entries.filter_map(|entry| entry.sample.bundle.as_deref()).filter(|other| *other != bundle);
        let same = |path: &PathBuf| std::fs::read(path).is_ok_and(|other| other == bytes);
        if let Some(old) = bundles.map(file).find(same) {
            let beside = new.with_extension("so.link");
            // Where there can be no link, the bundle keeps its own file.
            if std::fs::hard_link(&old, &beside).is_ok() && std::fs::rename(&beside, &new).is_err() {
                let _ = std::fs::remove_file(&beside);
            }
        }
    }
}

/// The process of the program under the allocator.
fn program_of(facts: &RunFacts) -> Option<u32> {
    let judged = facts.judged.as_ref().and_then(|judged| judged.program());
    judged.map(|program| program.pid).or(facts.pid)
}

/// A row, from the facts of its run. `oom`: the kernel killed a process for memory meanwhile.
fn filled(sample: Sample, facts: &RunFacts, oom: bool) -> Sample {
    let finding = facts.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    let status = Status::of(facts, oom);
    let unknown = || (status == Status::Hang).then(|| "unknown".to_owned());
    Sample {
        status,
        class: finding.map(|finding| finding.class.to_string()).or_else(unknown),
        seconds: facts.seconds,
        ops_s: facts.ops,
        max_rss_kib: facts.max_rss_kib,
        rc: facts.rc,
        bundle: facts.hang.as_ref().map(|hang| hang.snapshot.clone()),
        ..sample
    }
}

pub(crate) fn cell_of(matrix: &Matrix, entry: &Entry) -> Option<Cell> {
    let of = &entry.sample;
    let phase = matrix.phases.iter().find(|phase| phase.name.as_str() == of.phase)?.name;
    let lane = matrix.lanes.iter().position(|lane| lane.name == of.lane)?;
    let allocator = matrix.allocators.iter().position(|allocator| allocator.name == of.allocator)?;
    Some(Cell { group: Group { phase, lane, allocator }, warmup: entry.warmup, run: of.run })
}

/// Writes the summaries and the verdict. The others are tried after one that cannot be written.
pub(crate) fn write(
    out: &Path,
    matrix: &Matrix,
    seed: u64,
    results: &Results,
    entries: &[Entry],
) -> anyhow::Result<()> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let of = |lang| (lang, summary::summary(&name, matrix, seed, results, lang));
    let summaries = Lang::ALL.map(of);
    let mut written = vec![];
    for (lang, text) in &summaries {
        written.push(atomic::write_text(&out.join(summary::file_name(*lang)), text));
    }
    if let Some(file) = verdict::file(matrix, seed, results) {
        written.push(atomic::write_json(&out.join("verdict.json"), &file));
    }
    // A page says nothing that is not in the other files.
    let night = Night::of(night::of_entries(out, entries, &results.builds()));
    if let Err(error) = page::write(out, matrix, seed, results, &night) {
        tracing::warn!("{error}");
    }
    Ok(written.into_iter().collect::<Result<(), _>>()?)
}
