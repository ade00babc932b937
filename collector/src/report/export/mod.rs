//! `hangscope export`: the evidence of a hang in the formats of other tools.
//!
//! - `firefox`: the processed profile format of profiler.firefox.com
//! - `speedscope`: speedscope's own format
//! - `perf_script`: what `perf script` prints
//! - `table`: threads or runs as comma-separated values
//! - `dot`: who waits for whom, for Graphviz
//!
//! Folded stacks are `samples.folded` ([`folded`]); JUnit is [`junit`].

use std::path::{Path, PathBuf};

use quick_junit::SerializeError;

use crate::analysis::conclude;
use crate::evidence::folded;
use crate::evidence::saved::NotRead;
use crate::report::hang::Hang;
use crate::report::show::ShowError;
use crate::report::{junit, reread};

mod dot;
mod firefox;
mod perf_script;
mod speedscope;
mod table;
#[cfg(test)]
mod tests;

/// A format of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Samples and waits, for profiler.firefox.com ("Load a profile from file").
    FirefoxProfiler,
    /// Samples, for speedscope.app.
    Speedscope,
    /// Samples as flamegraph.pl and inferno read them: a line for each distinct stack.
    Folded,
    /// Samples as `perf script` prints them.
    PerfScript,
    /// Of a hang its threads, of a hunt its runs: comma-separated values (RFC 4180) with a header.
    Csv,
    /// Which thread waits for which lock and owner, for Graphviz.
    Dot,
    /// Of a hunt its runs, as JUnit XML.
    Junit,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Saved(#[from] NotRead),
    #[error(transparent)]
    Hunt(#[from] ShowError),
    #[error("{}: the format junit is for the runs of a hunt; give OUT of a hunt", .0.display())]
    NotAHunt(PathBuf),
    #[error("{}: its hang has no samples: no thread ran when it was captured; dot and csv have its waits", .0.display())]
    NoSamples(PathBuf),
    #[error("{}: no JUnit XML can be made of it: {source}", path.display())]
    Junit { path: PathBuf, source: SerializeError },
}

/// A bundle, or OUT of a hunt, in a format.
///
/// # Errors
/// [`ExportError`]: there is nothing of which the format could be made.
pub(crate) fn text(path: &Path, format: Format) -> Result<String, ExportError> {
    let is_hunt = path.join("verdict.json").exists() && path.join("runs.jsonl").exists();
    match format {
        Format::Junit if !is_hunt => Err(ExportError::NotAHunt(path.to_owned())),
        Format::Junit => {
            let facts = reread::facts(path)?;
            let text = junit::text(&facts, &conclude(&facts), path);
            text.map_err(|source| ExportError::Junit { path: path.to_owned(), source })
        }
        Format::Csv if is_hunt => Ok(table::of_runs(&reread::facts(path)?)),
        Format::Csv => Ok(table::of_threads(&Hang::read(path)?.file)),

        Format::Dot => Ok(dot::text(&Hang::read(path)?.file)),
        Format::FirefoxProfiler => Ok(firefox::text(&Hang::read(path)?)),
        Format::Speedscope | Format::Folded | Format::PerfScript => {
            let hang = Hang::read(path)?;
            if hang.traces.samples.keys().all(|tid| hang.samples(*tid).is_empty()) {
                return Err(ExportError::NoSamples(path.to_owned()));
            }
            Ok(match format {
                Format::Speedscope => speedscope::text(&hang),
                Format::PerfScript => perf_script::text(&hang),
                _ => folded::text_of(&hang.dump, &hang.traces),
            })
        }
    }
}
