//! The files that say what a dump shows: `threads.json`, `stacks.txt`, `loop.txt`, `samples.folded`,
//! `holds.tsv`.

use std::path::Path;

use crate::analysis::{Finding, History};
use crate::capture::{hot, write_reason};
use crate::evidence::threads_file::ThreadsFile;
use crate::evidence::{excerpts, folded, holds_file, loop_file, stacks};
use crate::files::atomic::{self, WriteError};
use crate::session::Dump;
use crate::session::trace::Traces;

const THREADS: &str = "threads.json";
const STACKS: &str = "stacks.txt";
const LOOP: &str = "loop.txt";
const SAMPLES: &str = "samples.folded";
/// Only where threads were held on purpose.
const HOLDS: &str = "holds.tsv";

/// The contents of `threads.json`. Where perf's report is in `dir` already, a note says if it disagrees with
/// the samples. So make them again after perf.
pub(super) fn contents(
    dir: &Path,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
    history: &History,
) -> ThreadsFile {
    let mut file = ThreadsFile::of(dump, traces, finding).with_history(dump, history);
    file.excerpts = excerpts::of(dump, traces, finding);
    file.notes.extend(disagreement_with_perf(dir, dump, traces));
    file
}

/// The same without heartbeats.
///
/// # Errors
/// As [`write_with`].
#[cfg(test)]
pub(crate) fn write(
    dir: &Path,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
) -> Result<ThreadsFile, WriteError> {
    write_with(dir, dump, traces, finding, &History::default())
}

/// Writes the files into `dir`, and gives the contents of `threads.json`.
///
/// # Errors
/// [`WriteError`] of the first one that could not be written. A file is written whole or not at all.
pub(crate) fn write_with(
    dir: &Path,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
    history: &History,
) -> Result<ThreadsFile, WriteError> {
    let file = contents(dir, dump, traces, finding, history);
    match write_all(dir, dump, traces, &file).into_iter().next() {
        Some(error) => Err(error),
        None => Ok(file),
    }
}

/// Writes the files that a finding has. Gives those that could not be written.
pub(super) fn write_all(dir: &Path, dump: &Dump, traces: &Traces, file: &ThreadsFile) -> Vec<WriteError> {
    let mut errors = write_again(dir, file);
    errors.extend(atomic::write_text(&dir.join(SAMPLES), &folded::text_of(dump, traces)).err());
    if let Some(text) = holds_file::text(dump, traces) {
        errors.extend(atomic::write_text(&dir.join(HOLDS), &text).err());
    }
    errors
}

/// Writes the files that are made from `threads.json` alone: itself, `stacks.txt` and `loop.txt`. Gives
/// those that could not be written.
pub(crate) fn write_again(dir: &Path, file: &ThreadsFile) -> Vec<WriteError> {
    let threads = atomic::write_json(&dir.join(THREADS), file);
    let stacks = atomic::write_text(&dir.join(STACKS), &stacks::text(file));
    let loops = atomic::write_text(&dir.join(LOOP), &loop_file::text(file));
    [threads, stacks, loops].into_iter().filter_map(Result::err).collect()
}

/// Writes the reason into each file, where there is no dump. Gives those that could not be written.
pub(super) fn refuse(dir: &Path, reason: &str) -> Vec<WriteError> {
    let write = |name: &&str| write_reason(&dir.join(name), reason).err();
    [THREADS, STACKS, LOOP, SAMPLES].iter().filter_map(write).collect()
}

fn disagreement_with_perf(dir: &Path, dump: &Dump, traces: &Traces) -> Option<String> {
    let report = std::fs::read(dir.join("perf_hot_tid.txt")).ok()?;
    let tid = hot::of_dump(dump).ok()?;
    folded::disagreement(tid, traces.samples.get(&tid)?, &String::from_utf8_lossy(&report))
}
