//! Flame graphs, made by inferno: of the samples, and of all threads by where they are. Only the boxes of its
//! drawing are taken over: it brings a script, styles and ids that a page can have only once.

use std::collections::{BTreeMap, BTreeSet};

use inferno::flamegraph::{self, Direction, Options};
use maud::{Markup, html};
use regex::Regex;

use super::piece::{Table, code, grouped, percent, said, trusted};
use super::words::Html;
use crate::evidence::threads_file::{FramePart, ThreadsFile};
use crate::text::escape;
use crate::text::message::{Say, say};

/// Most lines of a graph: a page stays small.
const MOST_LINES: usize = 400;
/// Most functions of a table.
const MOST_TOP: usize = 10;
/// A frame's name is cut here: it stands in full among the stacks.
const MOST_NAME: usize = 160;
const FRAME_HEIGHT: usize = 18;

/// Both graphs.
pub(super) fn section(file: &ThreadsFile, samples: Option<&str>) -> Option<Markup> {
    let own = own_functions(file);
    let sampled: Vec<String> =
        samples.into_iter().flat_map(str::lines).filter(|l| !l.starts_with('#')).map(cut).collect();
    let count = |lines: &[String]| {
        lines.iter().filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok()).sum::<u64>()
    };
    let stood = of_threads(file);
    let hot = (!sampled.is_empty()).then(|| {
        let caption = say!(Html::FlameSamples { samples: count(&sampled) });
        one("flame-samples", &caption, &sampled, &own, "samples")
    });
    let all = (!stood.is_empty()).then(|| {
        let caption = say!(Html::FlameThreads { threads: count(&stood) });
        one("flame-threads", &caption, &stood, &own, "threads")
    });
    (hot.is_some() || all.is_some()).then(|| {
        html! {
            p.lead { (said(&Html::FlameLead {})) }
            (hot.unwrap_or_default())
            (all.unwrap_or_default())
        }
    })
}

/// A line with names that are not too long.
fn cut(line: &str) -> String {
    let (stack, count) = line.rsplit_once(' ').unwrap_or((line, "1"));
    let frames: Vec<String> = stack.split(';').map(|frame| super::piece::clipped(frame, MOST_NAME)).collect();
    format!("{} {count}", frames.join(";"))
}

/// Each thread's stack, outermost first, with how many threads have it.
fn of_threads(file: &ThreadsFile) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for thread in file.threads.iter().filter(|thread| !thread.frames.is_empty()) {
        let frames: Vec<String> = thread.frames.iter().rev().map(label).collect();
        *counts.entry(frames.join(";")).or_default() += 1;
    }
    counts.into_iter().map(|(stack, count)| format!("{stack} {count}")).collect()
}

fn label(frame: &FramePart) -> String {
    let name = frame.function.as_deref().unwrap_or(&frame.pc);
    super::piece::clipped(&escape::line(name).replace(';', ":"), MOST_NAME)
}

/// The functions of the allocator: their boxes have a colour of their own.
fn own_functions(file: &ThreadsFile) -> BTreeSet<String> {
    let frames = file.threads.iter().flat_map(|thread| &thread.frames).filter(|frame| frame.in_allocator);
    let hot =
        file.finding.hot_loop.iter().flat_map(|hot| &hot.instructions).filter_map(|i| i.function.as_deref());
    let hot = hot.map(|name| super::piece::clipped(name, MOST_NAME));
    frames.map(label).chain(hot).collect()
}

/// A graph with its table. `unit`: what one of a count is.
fn one(id: &str, caption: &impl Say, lines: &[String], own: &BTreeSet<String>, unit: &str) -> Markup {
    let shown = &lines[..lines.len().min(MOST_LINES)];
    let Some(graph) = drawn(shown, own, unit) else { return Markup::default() };
    html! {
        h3 id=(format!("{id}-title")) { (said(caption)) }
        div.scroll.flame role="group" tabindex="0" aria-labelledby=(format!("{id}-title")) { (graph) }
        (top(id, lines))
    }
}

/// The functions in which most of the samples or threads are.
fn top(id: &str, lines: &[String]) -> Table {
    let mut own: BTreeMap<&str, u64> = BTreeMap::new();
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    let mut all = 0;
    for line in lines {
        let Some((stack, count)) = line.rsplit_once(' ') else { continue };
        let count: u64 = count.parse().unwrap_or(0);
        all += count;
        let frames: Vec<&str> = stack.split(';').collect();
        if let Some(last) = frames.last() {
            *own.entry(last).or_default() += count;
        }
        for frame in frames.into_iter().collect::<BTreeSet<_>>() {
            *total.entry(frame).or_default() += count;
        }
    }
    let mut rows: Vec<(&str, u64)> = own.into_iter().collect();
    rows.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let head = [Html::ColFunction {}, Html::ColSelf {}, Html::ColTotal {}];
    let mut table = Table::new(id, &Html::TopTable {}, &head).quiet();
    let share =
        |count: u64| format!("{} ({:.1} %)", grouped(count as f64), count as f64 * 100.0 / all.max(1) as f64);
    for (name, count) in rows.into_iter().take(MOST_TOP) {
        table.row([
            code(name),
            html! { (share(count)) },
            html! { (share(total.get(name).copied().unwrap_or(count))) },
        ]);
    }
    table
}

/// inferno's drawing, rebuilt from its boxes. None: it could make none.
fn drawn(lines: &[String], own: &BTreeSet<String>, unit: &str) -> Option<Markup> {
    let mut options = Options::default();
    options.no_javascript = true;
    options.direction = Direction::Inverted;
    options.frame_height = FRAME_HEIGHT;
    options.font_size = 12;
    options.deterministic = true;
    options.count_name = unit.to_owned();
    let mut svg = vec![];
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg).ok()?;
    let svg = String::from_utf8(svg).ok()?;
    let mut boxes = boxes(&svg);
    // The outermost box is all of it: the heading says that.
    let root = boxes.iter().map(|b| b.y).fold(f64::INFINITY, f64::min);
    boxes.retain(|b| b.y > root);
    let top = root + FRAME_HEIGHT as f64;
    let height = boxes.iter().map(|b| b.y - top).fold(0.0, f64::max) + FRAME_HEIGHT as f64 + 1.0;
    if boxes.is_empty() {
        return None;
    }
    Some(html! {
        svg width="100%" height=(format!("{height:.0}")) aria-hidden="true" {
            @for b in &boxes {
                g class=(if own.contains(&b.name) { "own" } else { "other" }) {
                    title { (trusted(b.title.clone())) }
                    rect x=(percent(b.x)) width=(percent((b.width - 0.0006).max(0.0004))) y=(format!("{:.0}", b.y - top)) height=(FRAME_HEIGHT - 1) rx="2" {}
                    @if !b.text.is_empty() {
                        text x=(percent(b.x)) dx="4" y=(format!("{:.0}", b.y - top + 13.0)) { (trusted(b.text.clone())) }
                    }
                }
            }
        }
    })
}

/// A box of the drawing. `title` and `text` are escaped.
struct FlameBox {
    name: String,
    title: String,
    text: String,
    x: f64,
    width: f64,
    y: f64,
}

fn boxes(svg: &str) -> Vec<FlameBox> {
    const BOX: &str = r#"<g><title>([^<]*)</title><rect x="([0-9.]+)%" y="([0-9.]+)" width="([0-9.]+)%"[^<>]*/><text [^<>]*>([^<]*)</text></g>"#;
    let Ok(form) = Regex::new(BOX) else { return vec![] };
    let plain = |text: &str| {
        let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
        pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let one = |found: regex::Captures<'_>| {
        let number = |n: usize| found[n].parse::<f64>().ok();
        let title = found[1].to_owned();
        Some(FlameBox {
            name: plain(title.rsplit_once(" (").map_or(&*title, |(name, _)| name)),
            text: found[5].to_owned(),
            x: number(2)? / 100.0,
            width: number(4)? / 100.0,
            y: number(3)?,
            title,
        })
    };
    form.captures_iter(svg).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boxes_of_inferno_are_all_there_and_nothing_else() {
        let lines =
            ["t-1;main;hz_malloc;<script>alert(1)</script> 30", "t-1;main;hz_free 10"].map(str::to_owned);
        let own = BTreeSet::from(["hz_malloc".to_owned()]);
        let svg = drawn(&lines, &own, "samples").unwrap().into_string();
        assert_eq!(svg.matches("<rect").count(), 5, "{svg}");
        assert!(svg.contains("hz_free (10 samples, 25.00%)") && svg.contains("&lt;script&gt;"), "{svg}");
        assert_eq!(svg.matches("class=\"own\"").count(), 1, "{svg}");
        for bad in ["<script", "<style", "id=", "http", "onload", "style="] {
            assert!(!svg.contains(bad), "{bad}: {svg}");
        }
    }

    #[test]
    fn what_makes_no_graph_makes_none() {
        assert!(drawn(&[], &BTreeSet::new(), "samples").is_none());
        assert!(drawn(&["no count".to_owned()], &BTreeSet::new(), "samples").is_none());
    }
}
