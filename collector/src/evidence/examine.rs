//! A dump looked at while what it needs is at hand: its stacks with names, what they show, and the files that say so.

use std::path::Path;

use crate::analysis::{Finding, History, analyse};
use crate::evidence::dump_files;
use crate::evidence::recording;
use crate::files::atomic::WriteError;
use crate::session::Dump;
use crate::session::trace::Traces;
use crate::symbolize::{Sources, symbolize};

/// Leaves the files of [`dump_files::write_dump`] and the recording in `dir`.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub(crate) fn examine(
    dir: &Path,
    dump: &Dump,
    sources: &Sources,
    history: &History,
) -> Result<(Traces, Finding), WriteError> {
    let traces = symbolize(dump, sources);
    let finding = analyse(dump, &traces, history);
    dump_files::write_dump(dir, dump, &traces, &finding)?;
    recording::write(dir, dump, &traces, history)?;
    Ok((traces, finding))
}
