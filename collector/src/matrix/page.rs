//! `report.html` of a matrix, and the pages of its hangs again, with what is known of all runs.

use std::path::Path;

use super::config::{self, Matrix};
use super::journal::Entry;
use super::meta;
use super::plan::Plan;
use super::results::{GroupResult, Results};
use super::samples::Status;
use super::state::State;
use super::summary;
use crate::console::out;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::WriteError;
use crate::files::bounded;
use crate::report::Extra;
use crate::report::html::bundle::{self, Around};
use crate::report::html::{FILE, matrix as html, night as night_page};
use crate::report::night::model::Night;
use crate::report::night::write::{write as write_files, write_reports};
use crate::shard::{Record, Shard};
use crate::text::matrix::MatrixLine;
use crate::text::message::{Lang, Say as _, Text, of_each, say};
use crate::text::progress::JobLine;

/// Most runs of a cell whose memory is drawn.
const MOST_CURVES: usize = 12;
/// The page of the matrix, as the page of a hang names it.
const ABOVE: &str = "../../report.html";

/// Writes the pages, and the night's report in both languages. Returns the names of the files in OUT.
///
/// # Errors
/// [`WriteError`] of the first that could not be written; the others are tried all the same.
pub(super) fn write(
    out: &Path,
    matrix: &Matrix,
    seed: u64,
    results: &Results,
    night: &Night,
) -> Result<Vec<&'static str>, WriteError> {
    let page = html::page(&model(out, matrix, seed, results, night));
    let files = write_files(out, night, &page);
    let pages: Result<(), WriteError> = results.groups.iter().flat_map(|group| hangs(out, group)).collect();
    pages.and(files)
}

/// Writes them again, for a matrix that is over, was killed, or is at work. Where what it began with cannot
/// be read, the page has only the runs.
///
/// # Errors
/// As [`write()`].
pub(crate) fn write_again(
    out: &Path,
    entries: &[Entry],
    night: &Night,
) -> Result<Vec<&'static str>, WriteError> {
    match begun(out, entries) {
        Ok((matrix, seed, results)) => write(out, &matrix, seed, &results, night),
        // The page that is there has more than this one would have.
        Err(why) if out.join(FILE).exists() => {
            note(|lang| say!(MatrixLine::PageStays { why: why.text(lang) }));
            write_reports(out, night)
        }
        Err(why) => {
            note(|lang| say!(MatrixLine::PageOfRuns { why: why.text(lang) }));
            write_files(out, night, &night_page::page(night, out::lang()))
        }
    }
}

fn note(of: impl Fn(Lang) -> MatrixLine) {
    let lang = out::lang();
    out::error_line(say!(JobLine::Note { note: of(lang).text(lang) }).text(lang));
}

/// What the matrix in OUT began with, and its results so far.
fn begun(out: &Path, entries: &[Entry]) -> Result<(Matrix, u64, Results), Text> {
    let state = State::load(out).map_err(|why| why.said())?.ok_or_else(|| MatrixLine::NoState {}.said())?;
    let matrix = config::load_of(&out.join("matrix.toml"), &state.dir).map_err(|error| error.said())?;
    let dsos = state.noted_dsos(&matrix).ok_or_else(|| MatrixLine::OtherState {}.said())?;
    let sizes = (matrix.lanes.len(), matrix.allocators.len());
    let shard = Record::read(out).map_or(Shard::WHOLE, |record| record.shard);
    let plan = Plan::new(sizes, &matrix.phases, matrix.order, state.seed, false, shard);
    let results = Results::of(&matrix, &dsos, &plan, entries, false, None);
    Ok((matrix, state.seed, results))
}

/// The pages of the hangs of one cell.
fn hangs(out: &Path, group: &GroupResult) -> Vec<Result<(), WriteError>> {
    let (facts, conclusion, extra) = (&group.facts, &group.conclusion, Extra::default());
    let mut written = vec![];
    for entry in &group.entries {
        let Some(hang) = &entry.facts.hang else { continue };
        let dir = out.join(&hang.snapshot);
        let file = bounded::read(&dir.join("threads.json")).ok();
        let file = file.and_then(|bytes| serde_json::from_slice::<ThreadsFile>(&bytes).ok());
        let run =
            facts.runs.iter().find(|run| run.hang.as_ref().map(|of| &of.snapshot) == Some(&hang.snapshot));
        if let (Some(file), Some(run)) = (file, run) {
            let around = Around { facts, conclusion, extra: &extra, run, up: ABOVE };
            written.push(bundle::write_with(&dir, &file, Some(around)));
        }
    }
    written
}

fn model(out: &Path, matrix: &Matrix, seed: u64, results: &Results, night: &Night) -> html::Matrix {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let remarks = [
        (MatrixLine::Shards {}, of_each(|lang| summary::shard_lines(results, lang))),
        (MatrixLine::NotOk {}, of_each(|lang| summary::other_lines(results, lang))),
        (MatrixLine::Missing {}, of_each(|lang| summary::missing_lines(results, lang))),
        (MatrixLine::Marked {}, of_each(|lang| summary::mark_lines(results, lang))),
    ];
    html::Matrix {
        name: name.into_owned(),
        lang: out::lang(),
        headline: Text::of(|lang| summary::headline(results, lang)),
        cells: results.groups.iter().map(|group| cell(out, group)).collect(),
        night: night.clone(),
        remarks: remarks
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(heading, lines)| {
                (Text::of(|lang| heading.text(lang).trim_start_matches("## ").to_owned()), lines)
            })
            .collect(),
        method: summary::method(matrix, seed).iter().map(|line| line.said()).collect(),
        meta: meta::read(out),
    }
}

fn cell(out: &Path, group: &GroupResult) -> html::Cell {
    let curve = |run: u32| {
        let path = out.join(&group.lane).join(format!("rss_{}_{run}.csv", group.allocator));
        let points = points(&bounded::read_text(&path).ok()?);
        (!points.is_empty()).then_some(points)
    };
    let rss = group.group.phase == super::config::PhaseName::Rss;
    let runs = group.entries.iter().filter(|_| rss).map(|entry| entry.sample.run);
    html::Cell {
        phase: group.group.phase.as_str().to_owned(),
        lane: group.lane.clone(),
        allocator: group.allocator.clone(),
        // The first column is the allocator's name.
        row: of_each(|lang| summary::group_row(group, lang)).into_iter().skip(1).collect(),
        hung: group.count(Status::Hang),
        values: group.figures(),
        spread: group.spread.clone(),
        curves: runs.filter_map(curve).take(MOST_CURVES).collect(),
    }
}

/// Points (seconds, KiB) of the file of a run.
fn points(text: &str) -> Vec<(f64, f64)> {
    let point = |line: &str| {
        let mut fields = line.split(',').map(|field| field.parse::<f64>().ok());
        Some((fields.next()?? / 1000.0, fields.next()??))
    };
    text.lines().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_and_remarks_are_not() {
        let text = "time_ms,rss_kib,pss_kib\n5.0,100,90\n1500.5,200,190\n# no look\n";
        assert_eq!(points(text), [(0.005, 100.0), (1.5005, 200.0)]);
    }
}
