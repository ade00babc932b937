//! Reports: a model computed once, rendered many times.
//!
//! - [`verdict_file`]: the file `verdict.json`
//! - [`threads_file`]: `threads.json`, which holds all that a snapshot says, also for [`show`]
//! - [`markdown`]: `report.md` and `report.ja.md`
//! - [`terminal`]: headline and short report for a terminal
//! - [`stacks`]: `stacks.txt`; equal stacks are grouped ([`group`])
//! - [`tree`]: the wait graph as indented text
//! - [`show`]: a bundle for a terminal
//! - [`labels`]: headings and fields, in both languages

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::analysis::{Conclusion, Finding, HuntFacts, Lang, Traces, conclude};
use crate::session::Dump;
use crate::store::atomic::{self, WriteError};

pub mod group;
pub mod labels;
pub mod markdown;
pub mod show;
pub mod stacks;
pub mod terminal;
pub mod threads_file;
pub mod tree;
pub mod verdict_file;

#[cfg(test)]
mod tests;

pub use show::{ShowError, Style, show};
pub use threads_file::ThreadsFile;
pub use verdict_file::VerdictFile;

/// What a report says beside the facts of the hunt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// The last line of `preload_verify/result.txt`, if the preload was verified.
    pub preload: Option<String>,
    /// Counter files of the counter lane, and how many lines are in each.
    pub counters: Vec<(String, u64)>,
    /// Anything else that is worth a line, in the words of whoever saw it: what could not be done, and why.
    pub notes: Vec<String>,
}

/// Writes `verdict.json`, `report.md` and `report.ja.md` to OUT, and says what was concluded.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub fn write_hunt(out: &Path, facts: &HuntFacts, extra: &Extra) -> Result<Conclusion, WriteError> {
    let conclusion = conclude(facts);
    atomic::write_json(&out.join("verdict.json"), &VerdictFile::of(facts, &conclusion))?;
    for (name, lang) in [("report.md", Lang::En), ("report.ja.md", Lang::Ja)] {
        atomic::write(&out.join(name), markdown::report(facts, &conclusion, extra, lang).as_bytes())?;
    }
    Ok(conclusion)
}

/// Writes `threads.json` and `stacks.txt` of a dump to its folder.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub fn write_dump(dir: &Path, dump: &Dump, traces: &Traces, finding: &Finding) -> Result<(), WriteError> {
    let file = ThreadsFile::of(dump, traces, finding);
    atomic::write_json(&dir.join("threads.json"), &file)?;
    atomic::write(&dir.join("stacks.txt"), stacks::text(&file).as_bytes())
}
