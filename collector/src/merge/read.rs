//! One shard, as far as its files can be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::analysis::RunFacts;
use crate::files::bounded;
use crate::matrix;
use crate::shard::{Job, Record};
use crate::text::merge::MergeLine;
use crate::text::message::{Say as _, Text, say};

/// A shard whose record can be read.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) folder: PathBuf,
    pub(super) record: Record,
    /// The lines of its `runs.jsonl` that are JSON.
    lines: Vec<String>,
    /// Number of its other lines.
    damaged: usize,
}

/// A run of a shard.
pub(super) trait Numbered: DeserializeOwned {
    /// From 1.
    fn number(&self) -> u32;
    /// It is made before those that count. These have numbers of their own.
    fn is_before(&self) -> bool;
}

impl Numbered for RunFacts {
    fn number(&self) -> u32 {
        self.run
    }

    fn is_before(&self) -> bool {
        false
    }
}

impl Numbered for matrix::Entry {
    fn number(&self) -> u32 {
        self.sample.run
    }

    fn is_before(&self) -> bool {
        self.warmup
    }
}

/// Lines of a file of a shard.
#[derive(Clone, Debug)]
pub(super) struct Lines<T> {
    pub(super) read: Vec<T>,
    /// Those that could not be read.
    pub(super) damaged: usize,
}

/// The shards in these folders, and notes on those that cannot be joined.
pub(super) fn all(folders: &[PathBuf]) -> (Vec<Shard>, Vec<Text>) {
    let (mut shards, mut notes) = (vec![], vec![]);
    for folder in folders {
        match Record::read(folder) {
            Ok(record) => {
                let (lines, damaged) = lines(&folder.join("runs.jsonl"));
                shards.push(Shard { folder: folder.clone(), record, lines, damaged });
            }
            Err(why) => notes.push(say!(MergeLine::NotJoined { folder: folder.display(), why }).said()),
        }
    }
    (shards, notes)
}

impl Shard {
    /// The runs of the shard. What is no run of this kind counts as damaged, and so does a run that the whole
    /// has not.
    pub(super) fn runs<T: Numbered>(&self) -> Lines<T> {
        let most = self.most();
        let mut lines: Lines<T> = parsed(&self.lines, self.damaged);
        let all = lines.read.len();
        lines.read.retain(|run| run.is_before() || (1..=most).contains(&run.number()));
        Lines { damaged: lines.damaged + all - lines.read.len(), ..lines }
    }

    /// The largest number that a run can have.
    fn most(&self) -> u32 {
        let Record { job, runs, shard, settings, .. } = &self.record;
        let retries = *job == Job::Matrix && settings.get("on_hang").is_some_and(|what| what == "retry");
        // A run that a hang adds has a number after the planned ones; a cell has at most as many as planned.
        if retries { runs.saturating_mul(2).saturating_add(shard.of) } else { *runs }
    }

    /// The runs in another file of the shard; none without it.
    pub(super) fn others<T: DeserializeOwned>(&self, file: &str) -> Lines<T> {
        let (lines, damaged) = lines(&self.folder.join(file));
        parsed(&lines, damaged)
    }

    /// Whether all runs of this shard that were not broken off are in `other`, with the same facts: it is an
    /// earlier copy of the same.
    pub(super) fn is_part_of(&self, other: &Shard) -> bool {
        let theirs: BTreeSet<&String> = other.lines.iter().collect();
        let broken_off = |line: &str| line.contains("\"outcome\":\"interrupted\"");
        self.lines.iter().all(|line| theirs.contains(line) || broken_off(line))
    }

    /// For a message.
    pub(super) fn name(&self) -> String {
        format!("shard {} ({})", self.record.shard, self.folder.display())
    }
}

fn parsed<T: DeserializeOwned>(lines: &[String], damaged: usize) -> Lines<T> {
    let read: Vec<T> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Lines { damaged: damaged + lines.len() - read.len(), read }
}

/// The lines of a file that are JSON, and the number of the others. A last line without its end is one of
/// these: its run may not have ended.
fn lines(path: &Path) -> (Vec<String>, usize) {
    let bytes = bounded::read(path).unwrap_or_default();
    let (mut lines, mut damaged) = (vec![], 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        match whole.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()) {
            Some(text) => lines.push(text.to_owned()),
            None => damaged += 1,
        }
    }
    (lines, damaged)
}
