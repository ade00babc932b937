//! Reports: a model computed once, rendered many times.
//!
//! - [`verdict_file`]: writes `verdict.json`
//! - [`markdown`]: `report.md` and `report.ja.md`; `page`: what their sections are written on
//! - [`counters`]: `counters.json`, and what the others say of counters
//! - [`shards`]: shards that were joined
//! - `stirred`: how the runs were disturbed
//! - [`export`]: the formats of other tools
//! - [`packet`]: a hang for whoever takes over
//! - [`extra`]: what a report says beside the facts of a hunt
//! - `file_names`: the names of its files
//! - [`terminal`]: headline and short report
//! - [`mod@html`]: pages, `report.html`
//! - [`github`]: annotations for GitHub Actions
//! - `graph`: the wait-for graph as data
//! - [`hang`]: one hang with all that its bundle has
//! - [`junit`]: a hunt as JUnit XML
//! - [`reread`]: the facts of a hunt that is over
//! - [`night`]: the sessions of a collector, the runs of a matrix; [`sessions`]: each session once
//! - `same`: hangs that are the same hang again, and whose stacks tell the most
//! - [`mod@show`]: a bundle for a terminal; [`tree`]: its wait graph
//! - [`shrink`]: the reports of a shrink

use std::path::Path;

use crate::analysis::{Conclusion, HuntFacts, RunOutcome, conclude};
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::{self, WriteError};
use crate::text::message::Lang;

pub(crate) mod bisect;
pub(crate) mod counters;
pub(crate) mod export;
pub(crate) mod extra;
mod file_names;
pub(crate) mod github;
mod graph;
pub(crate) mod hang;
pub(crate) mod html;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod night;
pub(crate) mod packet;
mod page;
pub(crate) mod reread;
mod same;
pub(crate) mod sessions;
pub(crate) mod shards;
pub(crate) mod show;
pub(crate) mod shrink;
mod stirred;
pub(crate) mod terminal;
pub(crate) mod tree;
pub(crate) mod verdict_file;

#[cfg(test)]
mod tests;

pub(crate) use extra::Extra;
pub(crate) use file_names::markdown_name;
pub(crate) use show::{Stacks, show};
pub(crate) use verdict_file::VerdictFile;

/// `threads.json` of the hangs, by folder. One that cannot be read is left out: the table of hangs has it.
fn snapshots(out: &Path, facts: &HuntFacts) -> Vec<(String, ThreadsFile)> {
    let hung = facts.runs.iter().filter(|run| run.outcome == RunOutcome::Hung);
    let names = hung.filter_map(|run| Some(run.hang.as_ref()?.snapshot.clone()));
    names
        .filter_map(|name| {
            let file = show::read(&out.join(&name).join("threads.json")).ok()?;
            Some((name, file))
        })
        .collect()
}

/// Writes only `report.html` of a hunt that is over, and the pages of its hangs again.
///
/// # Errors
/// As [`write_hunt`].
pub(crate) fn write_page(out: &Path, facts: &HuntFacts) -> Result<(), WriteError> {
    html::hunt::write(out, facts, &conclude(facts), &Extra::default(), &snapshots(out, facts))
}

/// Writes `verdict.json`, `report.md`, `report.ja.md`, `report.html`, and `counters.json` where there are
/// counters, to OUT. Returns the conclusion.
///
/// # Errors
/// [`WriteError`] of the first that could not be written; the others are tried all the same. A file is
/// written whole or not at all.
pub(crate) fn write_hunt(out: &Path, facts: &HuntFacts, extra: &Extra) -> Result<Conclusion, WriteError> {
    let conclusion = conclude(facts);
    let verdict = VerdictFile::of(facts, &conclusion).with_counters(&extra.lanes);
    let mut written = vec![atomic::write_json(&out.join("verdict.json"), &verdict)];
    if !extra.lanes.is_empty() {
        let counters = counters::CountersFile::of(&extra.lanes);
        written.push(atomic::write_json(&out.join("counters.json"), &counters));
    }
    let snapshots = snapshots(out, facts);
    for lang in Lang::ALL {
        let text = markdown::report(facts, &conclusion, extra, &snapshots, lang);
        written.push(atomic::write_text(&out.join(markdown_name(lang)), &text));
    }
    // A page says nothing that is not in the other files.
    if let Err(error) = html::hunt::write(out, facts, &conclusion, extra, &snapshots) {
        tracing::warn!("{error}");
    }
    written.into_iter().collect::<Result<(), _>>().map(|()| conclusion)
}
