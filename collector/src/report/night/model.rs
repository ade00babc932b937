//! The model of a night: its runs, counted by allocator, and its hangs, those of one bug together. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::analysis::Integrity;
use crate::analysis::signature::Signature;
use crate::analysis::stats::{CONFIDENCE, Rate, Spread, spread};
use crate::text::message::Text;

/// What the runs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// OUT of a collector: a run is a process.
    Sessions,
    Matrix,
    Hunt,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Hung,
    /// Past its deadline, but still at work.
    Slow,
    Crashed,
    Failed,
    /// Ended by somebody else, and not known to hang.
    Stopped,
    /// Not over.
    Open,
    /// Nobody knows how it ended.
    Lost,
}

/// Folder of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Relative to OUT.
    pub(crate) folder: String,
    /// Whether it has a page.
    pub(crate) page: bool,
}

/// What is known of a hang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hang {
    /// None: nothing was captured from inside.
    pub(crate) signature: Option<Signature>,
    /// What waits for what, in one sentence.
    pub(crate) sentence: Text,
}

/// A run, or a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// For people: `pid 4711`, `main ops hz4 2`.
    pub(crate) name: Text,
    /// Its label (without one its program), its lane, or its arm.
    pub(crate) group: String,
    /// Short name; none: not known.
    pub(crate) allocator: Option<String>,
    /// SHA-1 of the allocator's file, hex.
    pub(crate) build: Option<String>,
    /// Empty: not known.
    pub(crate) command: String,
    /// When it began, seconds since the epoch.
    pub(crate) at: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) outcome: Outcome,
    /// How it ended, for people: `exit 0`, `SIGKILL`.
    pub(crate) end: String,
    /// False: it was made before those that count, and is in no table.
    pub(crate) counts: bool,
    /// It could hang, its end is known, and its malloc was the allocator's.
    pub(crate) in_rate: bool,
    /// The kernel killed it for memory.
    pub(crate) no_memory: bool,
    /// For how long nothing had moved in it when it was stopped, seconds.
    pub(crate) stuck_s: Option<f64>,
    pub(crate) ops: Option<f64>,
    pub(crate) rss_kib: Option<u64>,
    pub(crate) integrity: Integrity,
    pub(crate) class: Option<String>,
    pub(crate) hang: Option<Hang>,
    pub(crate) evidence: Vec<Evidence>,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// Relative to OUT.
    pub(crate) file: String,
    /// From 1; none: the whole file.
    pub(crate) line: Option<u64>,
    /// None: torn, as a writer leaves it that was killed or is still at work.
    pub(crate) error: Option<String>,
}

/// All that a folder tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Name of OUT.
    pub(crate) name: String,
    pub(crate) source: Source,
    /// In the order in which they ended, as far as it is known.
    pub(crate) runs: Vec<Run>,
    pub(crate) damaged: Vec<Damaged>,
    /// A file of which only the end was read, and the bytes before that.
    pub(crate) left_out: Option<(String, u64)>,
}

/// Counts and figures of some runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// None: all groups.
    pub(crate) group: Option<String>,
    pub(crate) allocator: Option<String>,
    pub(crate) runs: u32,
    pub(crate) ok: u32,
    pub(crate) hung: u32,
    pub(crate) slow: u32,
    pub(crate) crashed: u32,
    pub(crate) failed: u32,
    pub(crate) stopped: u32,
    pub(crate) open: u32,
    pub(crate) lost: u32,
    /// Hangs that count for the rate, of the runs that could hang.
    pub(crate) rate: Rate,
    /// Of good runs. None: no run tells it.
    pub(crate) ops: Option<Spread>,
    /// KiB, of good runs and of those that were stopped. None: no run tells it.
    pub(crate) rss: Option<Spread>,
    /// SHA-1 of the allocator's files.
    pub(crate) builds: BTreeSet<String>,
}

/// Hangs of one signature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bug {
    /// None: of these hangs nothing was captured from inside.
    pub(crate) signature: Option<Signature>,
    /// What its first hang is, in one sentence.
    pub(crate) sentence: Text,
    /// Indices of runs, by the time at which they began. At least one.
    pub(crate) hangs: Vec<usize>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) allocators: BTreeSet<String>,
    pub(crate) builds: BTreeSet<String>,
    /// Start of the first and of the last of these runs, seconds since the epoch.
    pub(crate) between: Option<(f64, f64)>,
}

impl Bug {
    /// [`Signature::id`].
    pub(crate) fn id(&self) -> Option<String> {
        self.signature.as_ref().map(Signature::id)
    }

    /// Whether different bugs may stand together.
    pub(crate) fn is_bare(&self) -> bool {
        self.signature.as_ref().is_none_or(Signature::is_bare)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Night {
    pub(crate) found: Found,
    /// By group and allocator: those with hangs first, then those with crashes.
    pub(crate) rows: Vec<Row>,
    /// Of all groups, by allocator; empty with one group.
    pub(crate) totals: Vec<Row>,
    /// The most frequent first.
    pub(crate) bugs: Vec<Bug>,
}

/// Runs that are counted together.
#[derive(Default)]
struct Counted<'a>(Vec<&'a Run>);

impl Counted<'_> {
    fn row(&self, group: Option<&str>, allocator: Option<&str>) -> Row {
        let count = |outcome| self.0.iter().filter(|run| run.outcome == outcome).count() as u32;
        let in_rate = |run: &&&Run| run.in_rate;
        let hung = self.0.iter().filter(in_rate).filter(|run| run.outcome == Outcome::Hung).count();
        let of = self.0.iter().filter(in_rate).count();
        let good = self.0.iter().filter(|run| run.outcome == Outcome::Ok);
        let ops: Vec<f64> = good.filter_map(|run| run.ops).collect();
        let stopped = |run: &&&Run| run.outcome == Outcome::Stopped && run.stuck_s.is_none();
        let ended = self.0.iter().filter(|run| run.outcome == Outcome::Ok || stopped(run));
        let rss: Vec<f64> = ended.filter_map(|run| run.rss_kib).map(|kib| kib as f64).collect();
        Row {
            group: group.map(str::to_owned),
            allocator: allocator.map(str::to_owned),
            runs: self.0.len() as u32,
            ok: count(Outcome::Ok),
            hung: count(Outcome::Hung),
            slow: count(Outcome::Slow),
            crashed: count(Outcome::Crashed),
            failed: count(Outcome::Failed),
            stopped: count(Outcome::Stopped),
            open: count(Outcome::Open),
            lost: count(Outcome::Lost),
            rate: Rate::exact(hung as u32, of as u32, CONFIDENCE),
            ops: spread(&ops),
            rss: spread(&rss),
            builds: self.0.iter().filter_map(|run| run.build.clone()).collect(),
        }
    }
}

impl Night {
    pub(crate) fn of(found: Found) -> Night {
        let mut cells: BTreeMap<(&str, Option<&str>), Counted<'_>> = BTreeMap::new();
        let mut allocators: BTreeMap<Option<&str>, Counted<'_>> = BTreeMap::new();
        for run in found.runs.iter().filter(|run| run.counts) {
            let allocator = run.allocator.as_deref();
            cells.entry((&run.group, allocator)).or_default().0.push(run);
            allocators.entry(allocator).or_default().0.push(run);
        }
        let one_group = cells.keys().map(|(group, _)| group).collect::<BTreeSet<_>>().len() < 2;
        let mut rows: Vec<Row> =
            cells.iter().map(|((group, allocator), counted)| counted.row(Some(group), *allocator)).collect();
        // Stable: within one number of hangs and crashes the names are in order.
        rows.sort_by_key(|row| std::cmp::Reverse((row.hung, row.crashed)));
        let totals = match one_group {
            true => vec![],
            false => allocators.iter().map(|(allocator, counted)| counted.row(None, *allocator)).collect(),
        };
        let bugs = bugs(&found.runs);
        Night { rows, totals, bugs, found }
    }

    /// Runs that count.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.found.runs.iter().filter(|run| run.counts)
    }

    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.runs().filter(|run| run.outcome == outcome).count()
    }

    /// The runs of a bug.
    pub(crate) fn hangs<'a>(&'a self, bug: &'a Bug) -> impl ExactSizeIterator<Item = &'a Run> {
        bug.hangs.iter().map(|at| &self.found.runs[*at])
    }
}

fn bugs(runs: &[Run]) -> Vec<Bug> {
    let mut hung: Vec<usize> = (0..runs.len()).filter(|at| runs[*at].outcome == Outcome::Hung).collect();
    let at = |index: &usize| runs[*index].at.unwrap_or(f64::INFINITY);
    hung.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let mut bugs: Vec<Bug> = vec![];
    let mut known: HashMap<Option<&Signature>, usize> = HashMap::new();
    for index in hung {
        let run = &runs[index];
        let signature = run.hang.as_ref().and_then(|hang| hang.signature.as_ref());
        let bug = *known.entry(signature).or_insert(bugs.len());
        if bug == bugs.len() {
            bugs.push(Bug {
                signature: signature.cloned(),
                sentence: run.hang.as_ref().map(|hang| hang.sentence.clone()).unwrap_or_default(),
                hangs: vec![],
                groups: BTreeSet::new(),
                allocators: BTreeSet::new(),
                builds: BTreeSet::new(),
                between: None,
            });
        }
        let bug = &mut bugs[bug];
        bug.hangs.push(index);
        bug.groups.insert(run.group.clone());
        bug.allocators.extend(run.allocator.clone());
        bug.builds.extend(run.build.clone());
        if let Some(at) = run.at {
            bug.between = Some(bug.between.map_or((at, at), |(first, _)| (first, at)));
        }
    }
    bugs.sort_by_key(|bug| std::cmp::Reverse(bug.hangs.len()));
    bugs
}
