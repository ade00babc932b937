//! The page of a matrix: its cells, distributions, curves and hangs.

use maud::{Markup, html};

use super::doc::Doc;
use super::job_words::Job;
use super::night;
use super::piece::{Table, in_code, name, of_both, said};
use super::plot::{self, Curves, Row};
use super::words::Html;
use crate::analysis::stats::Spread;
use crate::report::night::model::Night;
use crate::text::message::{Lang, Text, say};

/// The runs of one allocator in one lane and phase.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) phase: String,
    pub(crate) lane: String,
    pub(crate) allocator: String,
    /// The columns of its row, from the counts on.
    pub(crate) row: Vec<Text>,
    /// Runs that hung.
    pub(crate) hung: u32,
    /// Of the good runs: ops/s, or KiB.
    pub(crate) values: Vec<f64>,
    pub(crate) spread: Option<Spread>,
    /// Memory over time: points (seconds, KiB) of each run.
    pub(crate) curves: Vec<Vec<(f64, f64)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    /// Name of OUT.
    pub(crate) name: String,
    pub(crate) lang: Lang,
    pub(crate) headline: Text,
    /// In the order of the file.
    pub(crate) cells: Vec<Cell>,
    /// All runs by lane and allocator, and the hangs.
    pub(crate) night: Night,
    /// Other runs, missing ones, marked ones, each with its heading.
    pub(crate) remarks: Vec<(Text, Vec<Text>)>,
    pub(crate) method: Vec<Text>,
    /// Lines of `meta.txt`: name and value.
    pub(crate) meta: Vec<(String, String)>,
}

/// The HTML of the page. Reads no file.
pub(crate) fn page(matrix: &Matrix) -> String {
    let head = html! {
        p.badges {
            (night::badge(&matrix.night))
        }
        h1 { (of_both(&matrix.headline, in_code)) }
    };
    let about = html! { (name(&matrix.name)) " · " (said(&Job::AboutMatrix {})) };
    let mut doc = Doc::new(matrix.lang, &matrix.name, about, head);
    night::overview(&mut doc, &matrix.night);
    doc.section(
        "cells",
        Html::Cells {},
        Some(html! { @for (n, cells) in groups(matrix).iter().enumerate() { (table(n, cells)) } }),
    );
    doc.section("distributions", Html::Distributions {}, Some(distributions(matrix)));
    doc.section("curves", Html::Curves {}, Some(curves(matrix)));
    let night = night::remarks(&matrix.night);
    let remarks: Vec<&(Text, Vec<Text>)> = night.iter().chain(&matrix.remarks).collect();
    doc.section("remarks", Html::Remarks {}, night::remark_lists(&remarks));
    night::timeline(&mut doc, &matrix.night);
    doc.section(
        "method",
        Html::Method {},
        Some(html! { ul { @for line in &matrix.method { li { (of_both(line, in_code)) } } } }),
    );
    doc.section("machine", Html::Machine {}, (!matrix.meta.is_empty()).then(|| html! {
        dl.facts { @for (term, value) in &matrix.meta { div { dt { (name(term)) } dd { code { (name(value)) } } } } }
    }));
    doc.finish()
}

/// Cells by phase and lane.
fn groups(matrix: &Matrix) -> Vec<&[Cell]> {
    matrix.cells.chunk_by(|a, b| (&a.phase, &a.lane) == (&b.phase, &b.lane)).collect()
}

fn title(cells: &[Cell]) -> Job {
    let (phase, lane) = cells.first().map_or(("", ""), |cell| (&cell.phase, &cell.lane));
    say!(Job::CellTable { phase, lane })
}

fn table(n: usize, cells: &[Cell]) -> Table {
    let head = [
        Job::ColAllocator {},
        Job::ColCounts {},
        Job::ColMedianOps {},
        Job::ColQuartiles {},
        Job::ColMinMax {},
        Job::ColRatio {},
        Job::ColHangs {},
        Job::ColRate {},
        Job::ColOther {},
        Job::ColMarked {},
    ];
    let mut table = Table::of(&format!("cells-{n}"), &title(cells), &head);
    for cell in cells {
        let row = cell.row.iter().map(said);
        table.row_of(
            if cell.hung > 0 { "changed" } else { "" },
            std::iter::once(name(&cell.allocator)).chain(row),
        );
    }
    table
}

fn distributions(matrix: &Matrix) -> Markup {
    html! {
        @for cells in groups(matrix) {
            @let rows: Vec<Row<'_>> = cells.iter().map(|cell| Row { name: &cell.allocator, values: &cell.values, spread: cell.spread.as_ref() }).collect();
            @if rows.iter().any(|row| !row.values.is_empty()) {
                h3 { (said(&title(cells))) }
                (plot::beside(&rows, if cells[0].phase == "ops" { "ops/s" } else { "KiB" }))
            }
        }
    }
}

fn curves(matrix: &Matrix) -> Markup {
    let with: Vec<&[Cell]> =
        groups(matrix).into_iter().filter(|cells| cells.iter().any(|cell| !cell.curves.is_empty())).collect();
    html! {
        @if with.is_empty() { p { (said(&Job::NoCurves {})) } }
        @for cells in with {
            @let rows: Vec<Curves<'_>> = cells.iter().map(|cell| Curves { name: &cell.allocator, runs: &cell.curves }).collect();
            h3 { (said(&title(cells))) }
            (plot::curves(&rows, "KiB"))
        }
    }
}
