//! The files that say what a dump shows: `threads.json`, `stacks.txt`, `samples.folded`.

use std::path::Path;

use crate::analysis::Finding;
use crate::capture::{hot, write_reason};
use crate::evidence::threads_file::ThreadsFile;
use crate::evidence::{folded, stacks};
use crate::files::atomic::{self, WriteError};
use crate::session::Dump;
use crate::session::trace::Traces;

const THREADS: &str = "threads.json";
const STACKS: &str = "stacks.txt";
const SAMPLES: &str = "samples.folded";

/// Writes the files into `dir`, and gives the contents of `threads.json`. Where perf's report is in `dir`
/// already, a note says if it disagrees with the samples. So write them again after perf.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub(crate) fn write(
    dir: &Path,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
) -> Result<ThreadsFile, WriteError> {
    let mut file = ThreadsFile::of(dump, traces, finding);
    file.notes.extend(disagreement_with_perf(dir, dump, traces));
    atomic::write_json(&dir.join(THREADS), &file)?;
    atomic::write_text(&dir.join(SAMPLES), &folded::text_of(dump, traces))?;
    atomic::write_text(&dir.join(STACKS), &stacks::text(&file))?;
    Ok(file)
}

/// Writes `threads.json` again, after its finding has changed.
///
/// # Errors
/// [`WriteError`]; the file is written whole or not at all.
pub(crate) fn write_again(dir: &Path, file: &ThreadsFile) -> Result<(), WriteError> {
    atomic::write_json(&dir.join(THREADS), file)
}

/// Writes the reason into each file, where there is no dump.
///
/// # Errors
/// [`WriteError`].
pub(super) fn refuse(dir: &Path, reason: &str) -> Result<(), WriteError> {
    [THREADS, STACKS, SAMPLES].iter().try_for_each(|name| write_reason(&dir.join(name), reason))
}

fn disagreement_with_perf(dir: &Path, dump: &Dump, traces: &Traces) -> Option<String> {
    let report = std::fs::read(dir.join("perf_hot_tid.txt")).ok()?;
    let tid = hot::of_dump(dump).ok()?;
    folded::disagreement(tid, traces.samples.get(&tid)?, &String::from_utf8_lossy(&report))
}
