//! Reports: a model computed once, rendered many times.
//!
//! - [`verdict_file`]: the file `verdict.json`
//! - [`threads_file`]: `threads.json`, which holds all that a snapshot says, also for [`mod@show`]
//! - [`markdown`]: `report.md` and `report.ja.md`
//! - [`github`]: annotations for GitHub Actions
//! - [`junit`]: a hunt as JUnit XML
//! - [`counters`]: `counters.json`, and what the others say of counters
//! - [`terminal`], [`wrap`]: headline and short report for a terminal, and lines that fit one
//! - [`stacks`]: `stacks.txt`; equal stacks are grouped ([`group`])
//! - [`folded`]: `samples.folded`, and whether perf agrees with it
//! - [`tree`]: the wait graph as indented text
//! - [`reread`]: the facts of a hunt that is over
//! - [`mod@show`]: a bundle for a terminal
//! - [`shrink`]: what a shrink says
//! - [`labels`]: headings and fields, in both languages

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::analysis::counters::LaneCounters;
use crate::analysis::{Conclusion, HuntFacts, conclude};
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::text::message::Lang;
use crate::text::message::Text;

pub(crate) mod counters;
pub(crate) mod github;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod reread;
pub(crate) mod show;
pub(crate) mod shrink;
pub(crate) mod terminal;
pub(crate) mod tree;
pub(crate) mod verdict_file;

#[cfg(test)]
mod tests;

pub(crate) use show::{ShowError, show};
pub(crate) use verdict_file::VerdictFile;

/// What a report says beside the facts of the hunt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extra {
    /// The last line of `preload_verify/result.txt`, if the preload was verified.
    pub(crate) preload: Option<String>,
    /// Counter files of the counter lane, and how many lines are in each.
    pub(crate) counters: Vec<(String, u64)>,
    /// What the counters come to, a lane each.
    pub(crate) lanes: Vec<LaneCounters>,
    /// Anything else that is worth a line, in the words of whoever saw it: what could not be done, and why.
    pub(crate) notes: Vec<Text>,
}

/// Writes `verdict.json`, `report.md` and `report.ja.md`, and `counters.json` where there are counters, to OUT, and says
/// what was concluded.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub(crate) fn write_hunt(out: &Path, facts: &HuntFacts, extra: &Extra) -> Result<Conclusion, WriteError> {
    let conclusion = conclude(facts);
    let verdict = VerdictFile::of(facts, &conclusion).with_counters(&extra.lanes);
    atomic::write_json(&out.join("verdict.json"), &verdict)?;
    if !extra.lanes.is_empty() {
        atomic::write_json(&out.join("counters.json"), &counters::CountersFile::of(&extra.lanes))?;
    }
    for lang in Lang::ALL {
        atomic::write(
            &out.join(markdown_name(lang)),
            markdown::report(facts, &conclusion, extra, lang).as_bytes(),
        )?;
    }
    Ok(conclusion)
}

/// The report's file in OUT.
pub(crate) fn markdown_name(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "report.md",
        Lang::Ja => "report.ja.md",
    }
}
