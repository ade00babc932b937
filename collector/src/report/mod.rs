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
use crate::analysis::message::Text;
use crate::analysis::{Conclusion, Finding, HuntFacts, Lang, Traces, conclude};
use crate::capture::hot;
use crate::session::Dump;
use crate::store::atomic::{self, WriteError};

pub mod counters;
pub mod folded;
pub mod github;
pub mod group;
pub mod junit;
pub mod labels;
pub mod markdown;
pub mod reread;
pub mod show;
pub mod shrink;
pub mod stacks;
pub mod terminal;
pub mod threads_file;
pub mod tree;
pub mod verdict_file;
pub mod wrap;

#[cfg(test)]
mod tests;

pub use show::{ShowError, Style, show};
pub use threads_file::ThreadsFile;
pub use verdict_file::VerdictFile;

/// What a report says beside the facts of the hunt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extra {
    /// The last line of `preload_verify/result.txt`, if the preload was verified.
    pub preload: Option<String>,
    /// Counter files of the counter lane, and how many lines are in each.
    pub counters: Vec<(String, u64)>,
    /// What the counters come to, a lane each.
    pub lanes: Vec<LaneCounters>,
    /// Anything else that is worth a line, in the words of whoever saw it: what could not be done, and why.
    pub notes: Vec<Text>,
}

/// Writes `verdict.json`, `report.md` and `report.ja.md`, and `counters.json` where there are counters, to OUT, and says
/// what was concluded.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub fn write_hunt(out: &Path, facts: &HuntFacts, extra: &Extra) -> Result<Conclusion, WriteError> {
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
pub fn markdown_name(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "report.md",
        Lang::Ja => "report.ja.md",
    }
}

/// Writes `threads.json`, `stacks.txt` and `samples.folded` of a dump to its folder. Where perf's data is there already,
/// a note says if it disagrees with the samples: to be written anew after perf.
///
/// # Errors
/// [`WriteError`]; a file is written whole or not at all.
pub fn write_dump(dir: &Path, dump: &Dump, traces: &Traces, finding: &Finding) -> Result<(), WriteError> {
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
