//! `report.html` of a matrix, and the pages of its hangs again, with what is known of all runs.

use std::path::Path;

use super::config::Matrix;
use super::meta;
use super::results::{GroupResult, Results};
use super::samples::Status;
use super::summary;
use crate::analysis::verdict::hang_sentence;
use crate::console::out;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::{self, WriteError};
use crate::files::bounded;
use crate::report::Extra;
use crate::report::html::bundle::{self, Around};
use crate::report::html::{FILE, matrix as html};
use crate::text::matrix::MatrixLine;
use crate::text::message::{Say as _, Text, of_each};

/// Most runs of a cell whose memory is drawn.
const MOST_CURVES: usize = 12;
/// The page of the matrix, as the page of a hang names it.
const ABOVE: &str = "../../report.html";

/// Writes the pages.
///
/// # Errors
/// [`WriteError`] of the first that could not be written; the others are tried all the same.
pub(super) fn write(out: &Path, matrix: &Matrix, seed: u64, results: &Results) -> Result<(), WriteError> {
    let page = html::page(&model(out, matrix, seed, results));
    let mut written = vec![atomic::write_text(&out.join(FILE), &page)];
    for group in &results.groups {
        written.extend(hangs(out, group));
    }
    written.into_iter().collect()
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

fn model(out: &Path, matrix: &Matrix, seed: u64, results: &Results) -> html::Matrix {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let remarks = [
        (MatrixLine::Shards {}, of_each(|lang| summary::shard_lines(results, lang))),
        (MatrixLine::NotOk {}, of_each(|lang| summary::other_lines(results, lang))),
        (MatrixLine::Missing {}, of_each(|lang| summary::missing_lines(results, lang))),
        (MatrixLine::Marked {}, of_each(|lang| summary::mark_lines(results, lang))),
    ];
    let hang = |entry: &super::journal::Entry| html::Hang {
        run: Text::of(|lang| summary::entry_name(entry, lang)),
        class: entry.sample.class.clone().unwrap_or_default(),
        what: Text::of(|lang| hang_sentence(&entry.facts, lang)),
        bundle: entry.sample.bundle.clone().unwrap_or_default(),
    };
    html::Matrix {
        name: name.into_owned(),
        lang: out::lang(),
        headline: Text::of(|lang| summary::headline(results, lang)),
        cells: results.groups.iter().map(|group| cell(out, group)).collect(),
        hangs: results.hangs.iter().map(hang).collect(),
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
