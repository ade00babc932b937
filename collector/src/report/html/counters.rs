//! Counters of hung runs against those of good ones.

use maud::{Markup, html};

use super::job_words::Job;
use super::piece::{Table, code, name, said};
use crate::analysis::counters::{Figures, HungFigure, LaneCounters};
use crate::text::message::say;

/// Most rows of a lane at once.
const MOST: usize = 40;

pub(super) fn section(lanes: &[LaneCounters]) -> Option<Markup> {
    let lanes: Vec<&LaneCounters> =
        lanes.iter().filter(|lane| !lane.counters.is_empty() || !lane.ratios.is_empty()).collect();
    (!lanes.is_empty()).then(|| html! { @for (n, lane) in lanes.iter().enumerate() { (one(n, lane)) } })
}

fn one(n: usize, lane: &LaneCounters) -> Markup {
    let mut counters: Vec<(Markup, Option<&Figures>, &[HungFigure])> = vec![];
    for ratio in &lane.ratios {
        let label = html! { strong { (name(&ratio.name)) } " = " (code(&ratio.of)) " / " (code(&ratio.to)) };
        counters.push((label, ratio.good.as_ref(), &ratio.hung));
    }
    // What is outside comes first.
    let outside = |hung: &[HungFigure]| hung.iter().any(|h| h.outside == Some(true));
    let mut rest: Vec<_> = lane.counters.iter().collect();
    rest.sort_by_key(|counter| !outside(&counter.hung));
    counters.extend(rest.iter().map(|c| (code(&c.name), c.good.as_ref(), &*c.hung)));
    let hung = lane.hung.len() + lane.hung_without.len();
    let caption = say!(Job::CounterLane { lane: lane.lane, good: lane.good, hung });
    let more = counters.len().saturating_sub(MOST);
    let few = table(&format!("counters-{n}"), &caption, counters.drain(..MOST.min(counters.len())));
    html! {
        (few)
        @if !lane.hung.is_empty() && lane.good > 0 {
            p.note { (said(&say!(Job::ByChance { percent: format!("{:.0}", lane.by_chance() * 100.0), good: lane.good }))) }
        }
        @if more > 0 { details { summary { (said(&say!(Job::MoreCounters { more }))) } (table(&format!("more-counters-{n}"), &caption, counters.drain(..))) } }
    }
}

fn table<'a>(
    id: &str,
    caption: &Job,
    rows: impl Iterator<Item = (Markup, Option<&'a Figures>, &'a [HungFigure])>,
) -> Table {
    let mut table =
        Table::of(id, caption, &[Job::ColCounter {}, Job::ColMedian {}, Job::ColRange {}, Job::ColHung {}]);
    for (label, good, hung) in rows {
        let outside = hung.iter().any(|h| h.outside == Some(true));
        table.row_of(
            if outside { "changed" } else { "" },
            [
                label,
                html! { @match good { Some(g) => (figure(g.median)), None => "-" } },
                html! { @match good { Some(g) => { (figure(g.min)) " – " (figure(g.max)) }, None => "-" } },
                html! {
                    @for h in hung.iter().take(4) {
                        div { @match h.value { Some(value) => { (figure(value)) @if h.outside == Some(true) { " " strong { (said(&Job::Outside {})) } } }, None => "-" } @if hung.len() > 1 { " " span.dim { (name(&h.run)) } } }
                    }
                },
            ],
        );
    }
    table
}

/// A whole number, or four significant digits.
fn figure(x: f64) -> String {
    if x.fract() == 0.0 {
        return super::piece::grouped(x);
    }
    let digits = (3.0 - x.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{x:.digits$}")
}
