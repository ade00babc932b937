//! Reads `matrix.toml`. Each mistake is reported in one line: the file, the line, the mistake, and its
//! remedy.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::duration::{self, Limit};
use serde::Deserialize;
use toml::Spanned;

use crate::hunt::OnHang;

use super::model::{Allocator, Lane, Matrix, Order, Phase, PhaseName, bundle_prefix, lane_prefix};
use crate::files::bounded;
use crate::files::pin;
use crate::profile;

/// Runs of a phase that says nothing of it.
const OPS_RUNS: u32 = 10;
const RSS_RUNS: u32 = 3;
/// Time between two looks at the memory of a program.
const SAMPLE: Duration = Duration::from_millis(50);
/// The shortest such time. A look takes a millisecond or more.
const LEAST_SAMPLE: Duration = Duration::from_millis(5);
/// Runs of a group, at most.
const MOST_RUNS: u32 = 100_000;
/// Names in OUT that are no lane's.
const TAKEN: [&str; 17] = [
    "shards",
    "shard.json",
    "left",
    "hangs",
    "dso",
    "verify",
    "matrix.toml",
    "matrix.json",
    "meta.txt",
    "dso_sha1.txt",
    "progress.log",
    "samples.csv",
    "runs.jsonl",
    "summary.md",
    "summary.ja.md",
    "report.html",
    "verdict.json",
];
/// Deadline of a lane that has none.
const HANG_AFTER: Limit = Limit::After(Duration::from_secs(15));
/// Variables that hangscope sets itself.
const OWN: &str = "HANGSCOPE_SOCKET";

/// A `matrix.toml` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) struct BadMatrix {
    path: PathBuf,
    /// From 1; 0: the whole file.
    line: usize,
    what: String,
}

impl fmt::Display for BadMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.what),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.what),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    out: Option<Spanned<String>>,
    command: Option<Spanned<Vec<String>>>,
    hang_after: Option<Spanned<String>>,
    stall: Option<Spanned<String>>,
    cpus: Option<String>,
    order: Option<Order>,
    seed: Option<u64>,
    on_hang: Option<OnHang>,
    only: Option<String>,
    verify_runs: Option<u32>,
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    allocator: Vec<AllocatorEntry>,
    #[serde(default)]
    lane: Vec<LaneEntry>,
    #[serde(default)]
    phase: Phases,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllocatorEntry {
    name: Spanned<String>,
    so: Option<Spanned<String>>,
    profile: Option<Spanned<String>>,
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaneEntry {
    name: Spanned<String>,
    command: Option<Spanned<Vec<String>>>,
    args: Option<Spanned<Vec<String>>>,
    hang_after: Option<Spanned<String>>,
    cpus: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phases {
    ops: Option<OpsEntry>,
    rss: Option<RssEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpsEntry {
    runs: Option<Spanned<u32>>,
    #[serde(default)]
    warmup: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RssEntry {
    rss_runs: Option<Spanned<u32>>,
    #[serde(default)]
    warmup: u32,
    sample: Option<Spanned<String>>,
}

/// Reads the matrix of a user.
///
/// # Errors
/// [`BadMatrix`]: the file cannot be read, or the first mistake in it.
pub(crate) fn load(path: &Path) -> Result<Matrix, BadMatrix> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|e| BadMatrix { path: path.to_owned(), line: 0, what: e.to_string() })?;
    load_of(path, absolute.parent().unwrap_or(Path::new("/")))
}

/// The same for a file that was copied: `dir` is the folder that its paths are relative to.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_of(path: &Path, dir: &Path) -> Result<Matrix, BadMatrix> {
    let whole = |what| BadMatrix { path: path.to_owned(), line: 0, what };
    let bytes = bounded::read(path).map_err(|e| {
        whole(format!("cannot read the matrix: {e}; hangscope matrix --init FILE writes one to begin with"))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| whole("not UTF-8".to_owned()))?;
    Reading { path, text: &text, dir }.matrix()
}

/// A file that is being read.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    dir: &'a Path,
}

impl Reading<'_> {
    fn matrix(&self) -> Result<Matrix, BadMatrix> {
        let file: File = toml::from_str(self.text).map_err(|e| {
            let what = profile::explain(e.message());
            e.span().map_or_else(|| self.whole(&what), |span| self.bad(span.start, &what))
        })?;
        if file.allocator.is_empty() {
            return Err(self.whole("no allocator: add [[allocator]] with name = \"...\" and so = \"PATH\""));
        }
        if file.lane.is_empty() {
            return Err(
                self.whole("no lane: add [[lane]] with name = \"main\" and command = [\"./bench\", ...]")
            );
        }
        let phases = self.phases(&file.phase)?;
        let stall = file.stall.as_ref().map_or(Ok(Limit::Off), |stall| self.limit(stall, "stall"))?;
        let mut allocators: Vec<Allocator> = vec![];
        for entry in &file.allocator {
            let name = self.name(&entry.name, allocators.iter().map(|a| &*a.name), "allocator")?;
            allocators.push(Allocator {
                name,
                so: entry.so.as_ref().map(|so| self.file(so, "so")).transpose()?,
                profile: entry.profile.as_ref().map(|path| self.file(path, "profile")).transpose()?,
                env: self.env(&entry.env)?,
            });
        }
        let mut lanes: Vec<Lane> = vec![];
        for entry in &file.lane {
            let name = self.name(&entry.name, lanes.iter().map(|l| &*l.name), "lane")?;
            let at = entry.name.span().start;
            if TAKEN.contains(&&*name) {
                return Err(self.bad(
                    at,
                    &format!("a lane cannot be named {name:?}: OUT has another file of that name"),
                ));
            }
            let hang_after = entry.hang_after.as_ref().or(file.hang_after.as_ref());
            let hang_after = hang_after.map_or(Ok(HANG_AFTER), |time| self.limit(time, "hang_after"))?;
            if hang_after.is_off() && stall.is_off() {
                return Err(self.bad(
                    entry
                        .hang_after
                        .as_ref()
                        .or(file.hang_after.as_ref())
                        .map_or(at, |time| time.span().start),
                    "hang_after = \"off\" needs stall: without both, no run ever counts as a hang",
                ));
            }
            lanes.push(Lane {
                command: self.command(entry, file.command.as_ref())?,
                hang_after,
                cpus: entry.cpus.clone().or(file.cpus.clone()),
                env: [self.env(&file.env)?, self.env(&entry.env)?].concat(),
                name,
            });
        }
        self.names_differ(&allocators, &lanes)?;
        Ok(Matrix {
            text: self.text.to_owned(),
            dir: self.dir.to_owned(),
            out: file.out.as_ref().map(|out| self.file(out, "out")).transpose()?,
            allocators,
            lanes,
            phases,
            order: file.order.unwrap_or(Order::Interleaved),
            seed: file.seed,
            on_hang: file.on_hang.unwrap_or(OnHang::Next),
            stall,
            only: file.only,
            verify_runs: file.verify_runs.unwrap_or(1),
        })
    }

    fn whole(&self, what: &str) -> BadMatrix {
        BadMatrix { path: self.path.to_owned(), line: 0, what: what.to_owned() }
    }

    /// A mistake at this byte.
    fn bad(&self, at: usize, what: &str) -> BadMatrix {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        BadMatrix { path: self.path.to_owned(), line, what: what.to_owned() }
    }

    fn filled<'s>(&self, item: &'s Spanned<String>, key: &str) -> Result<&'s str, BadMatrix> {
        match item.get_ref().trim() {
            "" => Err(self.bad(item.span().start, &format!("`{key}` is empty"))),
            _ => Ok(item.get_ref()),
        }
    }

    /// A path, from the folder of the file.
    fn file(&self, item: &Spanned<String>, key: &str) -> Result<PathBuf, BadMatrix> {
        Ok(self.dir.join(self.filled(item, key)?))
    }

    fn name<'n>(
        &self,
        item: &Spanned<String>,
        mut others: impl Iterator<Item = &'n str>,
        what: &str,
    ) -> Result<String, BadMatrix> {
        let (name, at) = (item.get_ref(), item.span().start);
        if pin::check_name(name).is_err() {
            return Err(self.bad(
                at,
                &format!("not a usable name: {name:?}; it becomes part of file names: give letters, digits, '.', '_' or '-'"),
            ));
        }
        if others.any(|other| other == name) {
            return Err(
                self.bad(at, &format!("two {what}s are named {name:?}: give one of them another name"))
            );
        }
        Ok(name.clone())
    }

    fn limit(&self, item: &Spanned<String>, key: &str) -> Result<Limit, BadMatrix> {
        Limit::parse(item.get_ref().as_bytes()).map_err(|problem| {
            let what = format!("`{key}` = {:?}: {}", item.get_ref(), problem.message());
            self.bad(item.span().start, &what)
        })
    }

    fn runs(&self, item: Option<&Spanned<u32>>, default: u32, key: &str) -> Result<u32, BadMatrix> {
        let Some(item) = item else { return Ok(default) };
        match *item.get_ref() {
            runs @ 1..=MOST_RUNS => Ok(runs),
            runs => Err(self.bad(item.span().start, &format!("`{key}` is {runs}: give 1 to {MOST_RUNS}"))),
        }
    }

    fn phases(&self, entry: &Phases) -> Result<Vec<Phase>, BadMatrix> {
        let mut phases = vec![];
        if let Some(ops) = &entry.ops {
            let runs = self.runs(ops.runs.as_ref(), OPS_RUNS, "runs")?;
            phases.push(Phase { name: PhaseName::Ops, runs, warmup: ops.warmup, sample: None });
        }
        if let Some(rss) = &entry.rss {
            let sample = match &rss.sample {
                None => SAMPLE,
                Some(item) => {
                    let bad = |what: &str| {
                        self.bad(item.span().start, &format!("`sample` = {:?}: {what}", item.get_ref()))
                    };
                    let time = duration::parse(item.get_ref().as_bytes()).map_err(|e| bad(e.message()))?;
                    if time < LEAST_SAMPLE {
                        return Err(bad("give 5ms or more: a look takes a millisecond itself"));
                    }
                    time
                }
            };
            let runs = self.runs(rss.rss_runs.as_ref(), RSS_RUNS, "rss_runs")?;
            phases.push(Phase { name: PhaseName::Rss, runs, warmup: rss.warmup, sample: Some(sample) });
        }
        match phases.is_empty() {
            true => {
                Err(self.whole("no phase: add [phase.ops] with runs = 10, or [phase.rss] with rss_runs = 3"))
            }
            false => Ok(phases),
        }
    }

    /// The command of a lane.
    fn command(
        &self,
        lane: &LaneEntry,
        whole: Option<&Spanned<Vec<String>>>,
    ) -> Result<Vec<String>, BadMatrix> {
        let at = lane.name.span().start;
        let name = lane.name.get_ref();
        let (words, at) = match (&lane.command, &lane.args, whole) {
            (Some(_), Some(args), _) => {
                return Err(
                    self.bad(args.span().start, &format!("lane {name:?} has `command` and `args`: give one"))
                );
            }
            (Some(command), None, _) => (command.get_ref().clone(), command.span().start),
            (None, Some(args), Some(command)) => {
                ([command.get_ref().as_slice(), args.get_ref()].concat(), command.span().start)
            }
            (None, Some(args), None) => {
                return Err(self.bad(
                    args.span().start,
                    "`args` needs a `command` above the first table: it has the program",
                ));
            }
            (None, None, _) => {
                return Err(
                    self.bad(at, &format!("lane {name:?} has no command: add command = [\"./bench\", ...]"))
                );
            }
        };
        match words.first() {
            Some(program) if !program.is_empty() => Ok(words),
            _ => Err(self.bad(at, &format!("lane {name:?} has an empty command"))),
        }
    }

    fn env(&self, entries: &BTreeMap<String, Spanned<String>>) -> Result<Vec<(String, String)>, BadMatrix> {
        let one =
            |(name, value): (&String, &Spanned<String>)| match &**name {
                "LD_PRELOAD" => Err(self
                    .bad(value.span().start, "LD_PRELOAD is set by hangscope: give the allocator as `so`")),
                OWN => Err(self.bad(value.span().start, &format!("{OWN} is set by hangscope"))),
                name if name.is_empty() || name.contains('=') => {
                    Err(self.bad(value.span().start, &format!("{name:?} is no name of a variable")))
                }
                _ => Ok((name.clone(), value.get_ref().clone())),
            };
        entries.iter().map(one).collect()
    }

    /// Bundles of different lanes have different folders.
    fn names_differ(&self, allocators: &[Allocator], lanes: &[Lane]) -> Result<(), BadMatrix> {
        let mut names: Vec<String> = vec![];
        for (index, lane) in lanes.iter().enumerate() {
            for phase in PhaseName::ALL {
                for allocator in allocators {
                    let name = bundle_prefix(lane_prefix(lanes, index), phase, &allocator.name);
                    if names.contains(&name) {
                        let (lane, allocator) = (&lane.name, &allocator.name);
                        return Err(self.whole(&format!(
                            "hangs of lane {lane:?} with allocator {allocator:?} would have the folders of another \
                             lane (hangs/{name}1): give one of them another name"
                        )));
                    }
                    names.push(name);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
