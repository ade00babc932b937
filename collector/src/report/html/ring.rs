//! A list that leads back into itself, drawn.

use std::f64::consts::TAU;

use maud::{Markup, html};

use super::piece::{Table, clipped, code, in_code, of_both, said};
use super::words::Html;
use crate::analysis::list_ring::{ListRing, RingBlock};
use crate::evidence::threads_file::ThreadsFile;
use crate::text::message::{ranges, say};

/// Most blocks that are drawn; a larger ring has a gap.
const MOST: usize = 8;
const WIDTH: f64 = 168.0;
const HEIGHT: f64 = 44.0;

pub(super) fn section(file: &ThreadsFile) -> Option<Markup> {
    let ring = file.finding.list_ring.as_ref()?;
    Some(html! {
        p.lead { (of_both(&ring.summary, in_code)) }
        p { (said(&if ring.both_looks { Html::RingBoth {} } else { Html::RingOnce {} })) }
        div.graph { (drawing(ring)) div.beside { (table(ring)) } }
    })
}

fn drawing(ring: &ListRing) -> Markup {
    let shown: Vec<&RingBlock> = ring.blocks.iter().take(MOST).collect();
    let gap = ring.nodes as usize > shown.len();
    let places = shown.len() + usize::from(gap);
    let radius = match places {
        0 | 1 => 0.0,
        2 => 74.0,
        n => 34.0 + 30.0 * n as f64,
    };
    let (cx, cy) = (radius + WIDTH / 2.0 + 46.0, radius * 0.8 + HEIGHT / 2.0 + 58.0);
    let spot = |n: usize| {
        let angle = TAU * n as f64 / places.max(1) as f64 - TAU / 4.0;
        (cx + radius * angle.cos(), cy + radius * 0.8 * angle.sin())
    };
    let (width, height) = (cx * 2.0, cy * 2.0 - 20.0);
    html! {
        div.scroll.canvas role="group" tabindex="0" aria-labelledby="ring-caption" {
            svg role="img" aria-labelledby="ring-caption" width=(format!("{width:.0}")) height=(format!("{height:.0}")) viewBox=(format!("0 0 {width:.0} {height:.0}")) data-graph="ring" data-nodes=(ring.nodes) {
                defs { marker id="next" viewBox="0 0 10 10" refX="9" refY="5" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" orient="auto-start-reverse" { path.tip.alarm d="M0 0 L10 5 L0 10 z" {} } }
                @if places == 1 { (own(spot(0))) }
                @if places > 1 { @for n in 0..places { (arrow(spot(n), spot((n + 1) % places))) } }
                @if let Some(head) = &ring.head {
                    @let (x, y) = spot(0);
                    text.mono.strong x=(at(x)) y=(at(y - HEIGHT / 2.0 - 26.0)) { (clipped(head, 40)) }
                    path.arrow d=(format!("M{x:.0} {:.0} L{x:.0} {:.0}", y - HEIGHT / 2.0 - 20.0, y - HEIGHT / 2.0 - 2.0)) marker-end="url(#next)" {}
                }
                @for (n, block) in shown.iter().enumerate() { (node(block, spot(n))) }
                @if gap {
                    @let (x, y) = spot(places - 1);
                    g.thread.plain {
                        rect x=(at(x - 60.0)) y=(at(y - 16.0)) width="120" height="32" rx="16" {}
                        text.strong x=(at(x)) y=(at(y + 5.0)) { "… +" (ring.nodes as usize - shown.len()) }
                    }
                }
                @if let Some(next) = ring.next.filter(|_| places > 1) {
                    text.dim x=(at(cx)) y=(at(cy + 4.0)) { "next: +" (next) }
                }
            }
        }
    }
}

fn at(x: f64) -> String {
    format!("{x:.0}")
}

fn node(block: &RingBlock, (x, y): (f64, f64)) -> Markup {
    let detail = match (&block.within, block.size) {
        (Some(within), Some(size)) => format!("{within}, {size} B"),
        (Some(within), None) => within.clone(),
        (None, Some(size)) => format!("{size} B"),
        (None, None) => String::new(),
    };
    html! {
        g.thread.ring data-block=(clipped(&block.address, 60)) {
            title { (clipped(&block.address, 60)) " " (clipped(&detail, 200)) }
            rect x=(at(x - WIDTH / 2.0)) y=(at(y - HEIGHT / 2.0)) width=(at(WIDTH)) height=(at(HEIGHT)) rx="5" {}
            text.mono.strong x=(at(x)) y=(at(y - 2.0)) { (clipped(&block.address, 20)) }
            text.dim x=(at(x)) y=(at(y + 14.0)) { (clipped(&detail, 24)) }
        }
    }
}

/// From block to block, cut off at their borders.
fn arrow((ax, ay): (f64, f64), (bx, by): (f64, f64)) -> Markup {
    let border = |x: f64, y: f64, tx: f64, ty: f64| {
        let (dx, dy) = (tx - x, ty - y);
        let scale = ((WIDTH / 2.0 + 3.0) / dx.abs().max(0.001))
            .min((HEIGHT / 2.0 + 3.0) / dy.abs().max(0.001))
            .min(0.49);
        (x + dx * scale, y + dy * scale)
    };
    let (x1, y1) = border(ax, ay, bx, by);
    let (x2, y2) = border(bx, by, ax, ay);
    // To the right of the straight way, so that two arrows between the same blocks are two.
    let (mx, my) = (f64::midpoint(x1, x2) - (y2 - y1) * 0.16, f64::midpoint(y1, y2) + (x2 - x1) * 0.16);
    html! { path.arrow.ring d=(format!("M{x1:.0} {y1:.0} Q{mx:.0} {my:.0} {x2:.0} {y2:.0}")) marker-end="url(#next)" {} }
}

/// A block that leads to itself.
fn own((x, y): (f64, f64)) -> Markup {
    let (right, out) = (x + WIDTH / 2.0, x + WIDTH / 2.0 + 42.0);
    html! { path.arrow.ring d=(format!("M{right:.0} {:.0} C{out:.0} {:.0} {out:.0} {:.0} {:.0} {:.0}", y - 10.0, y - 34.0, y + 34.0, right + 2.0, y + 10.0)) marker-end="url(#next)" {} }
}

fn table(ring: &ListRing) -> Table {
    let head = [
        Html::ColBlock {},
        Html::ColWithin {},
        Html::ColBytes {},
        Html::ColPointedBy {},
        Html::ColFreedBy {},
    ];
    let mut table =
        Table::new("ring", &say!(Html::RingTable { blocks: ring.nodes, shown: ring.blocks.len() }), &head);
    for block in &ring.blocks {
        table.row([
            code(&block.address),
            block.within.as_deref().map(code).unwrap_or_default(),
            html! { @if let Some(size) = block.size { (size) } },
            html! { @for by in &block.pointed_by { div { (code(by)) } } },
            html! { @if !block.freed_by.is_empty() { "tid " (said(&ranges(&block.freed_by))) } },
        ]);
    }
    table
}
