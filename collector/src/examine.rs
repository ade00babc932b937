//! A dump looked at while what it needs is at hand: its stacks with names, what they show, and the files that say so.

use std::path::Path;

use crate::analysis::{Finding, History, Traces, analyse};
use crate::recording;
use crate::report;
use crate::session::Dump;
use crate::store::atomic::WriteError;
use crate::symbolize::{Sources, symbolize};

/// Leaves the files of [`report::write_dump`] and the recording in `dir`.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub fn examine(
    dir: &Path,
    dump: &Dump,
    sources: &Sources,
    history: &History,
) -> Result<(Traces, Finding), WriteError> {
    let traces = symbolize(dump, sources);
    let finding = analyse(dump, &traces, history);
    report::write_dump(dir, dump, &traces, &finding)?;
    recording::write(dir, dump, &traces, history)?;
    Ok((traces, finding))
}
