//! The files of a dump that say what it shows: `threads.json`, `stacks.txt`, `samples.folded`.

use std::path::Path;

use crate::analysis::Finding;
use crate::capture::hot;
use crate::evidence::threads_file::ThreadsFile;
use crate::evidence::{folded, stacks};
use crate::files::atomic::{self, WriteError};
use crate::session::Dump;
use crate::session::trace::Traces;

/// Writes `threads.json`, `stacks.txt` and `samples.folded` of a dump to its folder. Where perf's data is there already,
/// a note says if it disagrees with the samples: to be written anew after perf.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub(crate) fn write_dump(
    dir: &Path,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
) -> Result<(), WriteError> {
    let mut file = ThreadsFile::of(dump, traces, finding);
    file.notes.extend(perf_disagrees(dir, dump, traces));
    atomic::write_json(&dir.join("threads.json"), &file)?;
    atomic::write(&dir.join("samples.folded"), folded::text_of(dump, traces).as_bytes())?;
    atomic::write(&dir.join("stacks.txt"), stacks::text(&file).as_bytes())
}

/// The line for a report whose perf saw something else than the samples did.
fn perf_disagrees(dir: &Path, dump: &Dump, traces: &Traces) -> Option<String> {
    let report = std::fs::read(dir.join("perf_hot_tid.txt")).ok()?;
    let hot = hot::of_dump(dump).ok()?;
    folded::disagreement(hot.tid, traces.samples.get(&hot.tid)?, &String::from_utf8_lossy(&report))
}
