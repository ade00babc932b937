//! Figures as dots: along the runs with their median, or along one axis with their quartiles.

use maud::{Markup, html};

use super::piece::{grouped, name, percent};
use crate::analysis::stats::Spread;

/// Most dots of one row.
const MOST: usize = 1500;
const HEIGHT: f64 = 120.0;
const ROW: u32 = 34;

/// Figures of the runs in their order, with the median as a line.
pub(super) fn along(figures: &[(String, f64)], spread: &Spread) -> Markup {
    let (low, high) = (spread.min, spread.max.max(spread.min + f64::EPSILON));
    let y = |value: f64| {
        format!("{:.1}", HEIGHT - 8.0 - (value - low) / (high - low).max(f64::MIN_POSITIVE) * (HEIGHT - 16.0))
    };
    let every = figures.len().div_ceil(MOST).max(1);
    let count = figures.len().max(1) as f64;
    html! {
        div.timeline aria-hidden="true" {
            div.label { span.dim { (grouped(high)) br; (grouped(spread.median)) " ━" br; (grouped(low)) } }
            svg.dots width="100%" height=(HEIGHT) {
                rect.band x="0" width="100%" y=(y(spread.q3)) height=(format!("{:.1}", (spread.q3 - spread.q1) / (high - low).max(f64::MIN_POSITIVE) * (HEIGHT - 16.0))) {}
                line.median x1="0" x2="100%" y1=(y(spread.median)) y2=(y(spread.median)) {}
                @for (n, (label, value)) in figures.iter().enumerate().step_by(every) {
                    circle cx=(percent(0.01 + 0.98 * (n as f64 + 0.5) / count)) cy=(y(*value)) r="2.6" { title { (label) ": " (grouped(*value)) } }
                }
            }
        }
    }
}

/// A row of [`beside`].
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    pub(super) values: &'a [f64],
    pub(super) spread: Option<&'a Spread>,
}

/// Distributions under each other on one axis: dots, a box from quartile to quartile, the median.
pub(super) fn beside(rows: &[Row<'_>], unit: &str) -> Markup {
    let values = || rows.iter().flat_map(|row| row.values.iter().copied());
    let high = values().fold(0.0, f64::max);
    let low = values().fold(f64::INFINITY, f64::min);
    // From 0 where the figures differ much: else the difference would be all that one sees.
    let low = if low.is_finite() && low > high * 0.5 { low - (high - low) * 0.08 } else { 0.0 };
    let span = (high - low).max(f64::MIN_POSITIVE) * 1.02;
    let x = |value: f64| percent((value - low) / span);
    html! {
        div.timeline aria-hidden="true" {
            @for row in rows {
                div.label { (name(row.name)) }
                svg.dots width="100%" height=(ROW) {
                    @if let Some(s) = row.spread {
                        rect.band x=(x(s.q1)) width=(percent((s.q3 - s.q1) / span)) y="6" height="22" {}
                        line.median x1=(x(s.median)) x2=(x(s.median)) y1="2" y2="32" {}
                    }
                    @for (n, value) in row.values.iter().take(MOST).enumerate() {
                        circle cx=(x(*value)) cy=(12 + (n * 7) % 11) r="2.6" { title { (grouped(*value)) } }
                    }
                }
            }
            div.label { span.dim { (unit) } }
            div.axis { span { (grouped(low)) } span { (grouped(low + span / 2.0)) } span { (grouped(low + span)) } }
        }
    }
}

/// A figure over time, of several runs of one thing.
pub(super) struct Curves<'a> {
    pub(super) name: &'a str,
    /// Points (seconds, figure) of each run.
    pub(super) runs: &'a [Vec<(f64, f64)>],
}

pub(super) fn curves(rows: &[Curves<'_>], unit: &str) -> Markup {
    let points = || rows.iter().flat_map(|row| row.runs.iter().flatten());
    let most = points().map(|(_, y)| *y).fold(1.0, f64::max);
    let end = points().map(|(x, _)| *x).fold(0.001, f64::max);
    let line = |run: &Vec<(f64, f64)>| {
        let every = run.len().div_ceil(300).max(1);
        run.iter()
            .step_by(every)
            .map(|(x, y)| format!("{:.1},{:.1} ", x / end * 1000.0, 58.0 - y / most * 56.0))
            .collect::<String>()
    };
    html! {
        div.timeline aria-hidden="true" {
            @for row in rows {
                @let top = row.runs.iter().flatten().map(|(_, y)| *y).fold(0.0, f64::max);
                div.label { (name(row.name)) br; span.dim { (grouped(top)) " " (unit) } }
                svg.curve width="100%" height="60" viewBox="0 0 1000 60" preserveAspectRatio="none" {
                    @for run in row.runs { polyline points=(line(run)) {} }
                }
            }
            div.label {}
            div.axis { span { "0 s" } span { (super::strip::duration(end / 2.0)) } span { (super::strip::duration(end)) } }
        }
    }
}
