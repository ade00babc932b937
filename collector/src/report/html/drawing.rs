//! The wait-for graph as SVG, and as a table for those who cannot see it.

use maud::{Markup, html};

use super::layout::{Layout, Spot, layout};
use super::piece::{Table, clipped, code, name, said};
use super::words::Html;
use crate::report::graph::{Arrow, Doing, Graph, LockNode, Mark, ThreadNode};
use crate::text::message::{Say as _, Text, ranges, say};

const THREAD: (f64, f64) = (264.0, 64.0);
const LOCK: (f64, f64) = (264.0, 46.0);
/// Characters that fit in a line of a node.
const FIT: usize = 34;
/// The same of the line that is bold.
const FIT_BOLD: usize = 29;
/// How far an arrow that goes back bends out.
const BEND: f64 = 34.0;

/// The section; none: nobody waits for another.
pub(super) fn section(graph: &Graph) -> Option<Markup> {
    if graph.is_empty() {
        return None;
    }
    Some(html! {
        p.lead { (said(&Html::GraphLead {})) }
        div.graph {
            (drawing(graph))
            div.beside {
                ul.legend {
                    li { span.key.root {} (said(&Html::KeyRoot {})) }
                    li { span.key.ring {} (said(&Html::KeyRing {})) }
                    li { span.key.lock {} (said(&Html::KeyLock {})) }
                    li { span.key.plain {} (said(&Html::KeyThread {})) }
                }
                (table(graph))
            }
        }
        @if graph.left_out > 0 { p.note { (said(&say!(Html::GraphLeftOut { objects: graph.left_out }))) } }
    })
}

fn drawing(graph: &Graph) -> Markup {
    let sizes: Vec<(f64, f64)> =
        graph.threads.iter().map(|_| THREAD).chain(graph.locks.iter().map(|_| LOCK)).collect();
    let ends: Vec<(usize, usize)> = graph.arrows.iter().map(|arrow| ends(graph, arrow)).collect();
    let layout = layout(&sizes, &ends);
    let wide = ends.iter().any(|(from, to)| !is_next(&layout, *from, *to));
    let width = layout.width + if wide { BEND + 6.0 } else { 0.0 };
    let view = format!("0 0 {:.0} {:.0}", width, layout.height);
    html! {
        div.scroll.canvas role="group" tabindex="0" aria-labelledby="graph-caption" {
            svg role="img" aria-labelledby="graph-caption" viewBox=(view) width=(format!("{width:.0}")) height=(format!("{:.0}", layout.height)) data-graph="waits" {
                defs {
                    (tip("tip", "tip"))
                    (tip("tip-ring", "tip alarm"))
                }
                @for (arrow, ends) in graph.arrows.iter().zip(&ends) { (line(graph, &layout, arrow, *ends)) }
                @for (n, node) in graph.threads.iter().enumerate() { (thread(node, layout.spots[n])) }
                @for (n, lock) in graph.locks.iter().enumerate() {
                    @let spot = layout.spots[graph.threads.len() + n];
                    g class=(format!("lock {}", class(lock.mark))) data-lock=(name_of(&lock.key)) data-owned-by=[lock.owner] {
                        title { (clipped(lock.name(), 400)) }
                        (frame(spot, 22.0))
                        text.strong x=(at(spot.x)) y=(at(spot.y - 2.0)) { (clipped(lock.name(), FIT_BOLD)) }
                        text.dim x=(at(spot.x)) y=(at(spot.y + 15.0)) { (clipped(&lock.kind, FIT)) }
                    }
                }
            }
        }
    }
}

fn tip(id: &str, class: &str) -> Markup {
    html! {
        marker id=(id) viewBox="0 0 10 10" refX="9" refY="5" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" orient="auto-start-reverse" {
            path class=(class) d="M0 0 L10 5 L0 10 z" {}
        }
    }
}

fn name_of(key: &str) -> String {
    clipped(key, 200)
}

fn ends(graph: &Graph, arrow: &Arrow) -> (usize, usize) {
    let locks = graph.threads.len();
    match arrow {
        Arrow::Waits { node, lock, .. } => (*node, locks + lock),
        Arrow::Held { lock, node, .. } => (locks + lock, *node),
        Arrow::Joins { node, joined, .. } => (*node, *joined),
    }
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::None => "plain",
        Mark::Ring => "ring",
        Mark::Root => "root",
    }
}

fn at(x: f64) -> String {
    format!("{x:.0}")
}

fn frame(spot: Spot, round: f64) -> Markup {
    let (x, y) = (spot.x - spot.width / 2.0, spot.y - spot.height / 2.0);
    html! { rect x=(at(x)) y=(at(y)) width=(at(spot.width)) height=(at(spot.height)) rx=(at(round)) {} }
}

fn thread(node: &ThreadNode, spot: Spot) -> Markup {
    let tids: Vec<String> = node.tids.iter().map(u32::to_string).collect();
    let place = node.function.as_deref().unwrap_or("?");
    html! {
        g class=(format!("thread {}", class(node.mark))) data-tid=(tids.join(" ")) {
            title { (heading(node).en()) " " (clipped(place, 400)) " " (node.source.as_deref().unwrap_or("")) }
            (frame(spot, 5.0))
            (each_text(&heading(node), "strong", spot.x, spot.y - 14.0))
            text.mono x=(at(spot.x)) y=(at(spot.y + 5.0)) { (clipped(place, FIT)) }
            @match &node.source {
                Some(source) => text.mono.dim x=(at(spot.x)) y=(at(spot.y + 22.0)) { (clipped(source, FIT)) },
                None => (each_text(&doing(node), "dim", spot.x, spot.y + 22.0)),
            }
        }
    }
}

/// A text of SVG in both languages.
fn each_text(text: &Text, class: &str, x: f64, y: f64) -> Markup {
    let one = |lang: Option<&str>, text: &str| {
        html! { text class=(class) lang=[lang] x=(at(x)) y=(at(y)) { (clipped(text, FIT_BOLD)) } }
    };
    match text {
        Text::Same(same) => one(None, same),
        Text::Both { en, ja } => html! { (one(Some("en"), en)) (one(Some("ja"), ja)) },
    }
}

/// `15 threads`, `tid 8181 bench`.
fn heading(node: &ThreadNode) -> Text {
    match (&node.tids[..], &node.doing) {
        ([tid], Doing::Ended) => say!(Html::NodeEnded { tid }).said(),
        ([tid], Doing::Runs) => say!(Html::NodeRuns { tid, comm: node.comm }).said(),
        ([tid], _) => say!(Html::NodeThread { tid, comm: node.comm }).said(),
        (many, _) => say!(Html::NodeThreads { count: many.len(), comm: node.comm }).said(),
    }
}

fn doing(node: &ThreadNode) -> Text {
    match &node.doing {
        Doing::Waits => Html::Waits {}.said(),
        Doing::Runs => Html::IsRunning {}.said(),
        Doing::Blocked(text) => text.clone(),
        Doing::Ended => Html::Ended {}.said(),
    }
}

/// The arrow goes to the layer below its beginning.
fn is_next(layout: &Layout, from: usize, to: usize) -> bool {
    let (from, to) = (layout.spots[from], layout.spots[to]);
    let (bottom, top) = (from.y + from.height / 2.0, to.y - to.height / 2.0);
    top > bottom && top - bottom < THREAD.1 * 1.6
}

fn line(graph: &Graph, layout: &Layout, arrow: &Arrow, (from, to): (usize, usize)) -> Markup {
    let (a, b) = (layout.spots[from], layout.spots[to]);
    let path = if is_next(layout, from, to) {
        let (y1, y2) = (a.y + a.height / 2.0, b.y - b.height / 2.0 - 1.0);
        let middle = f64::midpoint(y1, y2);
        format!("M{:.0} {y1:.0} C{:.0} {middle:.0} {:.0} {middle:.0} {:.0} {y2:.0}", a.x, a.x, b.x, b.x)
    } else {
        // Around the right side.
        let (x1, x2) = (a.x + a.width / 2.0, b.x + b.width / 2.0 + 1.0);
        let out = x1.max(x2) + BEND;
        format!("M{x1:.0} {:.0} C{out:.0} {:.0} {out:.0} {:.0} {x2:.0} {:.0}", a.y, a.y, b.y, b.y)
    };
    let list = |tids: &[u32]| tids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let in_ring = |lock: usize, node: usize| {
        graph.locks[lock].mark == Mark::Ring && graph.threads[node].mark == Mark::Ring
    };
    let of = |is: bool| if is { ("ring", "url(#tip-ring)") } else { ("plain", "url(#tip)") };
    match arrow {
        Arrow::Waits { node, lock, tids } => html! {
            @let (class, tip) = of(in_ring(*lock, *node));
            path class=(format!("arrow {class}")) d=(path) marker-end=(tip) data-waits=(list(tids)) data-for=(name_of(&graph.locks[*lock].key)) {}
        },
        Arrow::Held { lock, node, owner } => html! {
            @let (class, tip) = of(in_ring(*lock, *node));
            path class=(format!("arrow held {class}")) d=(path) marker-end=(tip) data-owner=(owner) data-of=(name_of(&graph.locks[*lock].key)) {}
        },
        Arrow::Joins { tids, tid, .. } => html! {
            path.arrow.joins d=(path) marker-end="url(#tip)" data-joins=(tid) data-waits=(list(tids)) {}
        },
    }
}

/// The same as a table.
fn table(graph: &Graph) -> Table {
    let head = [Html::ColObject {}, Html::ColOwner {}, Html::ColWaiters {}];
    let mut table = Table::new("graph", &Html::GraphTable {}, &head);
    for lock in &graph.locks {
        let owner = match lock.owner {
            None => html! { (said(&Html::NoOwner {})) },
            Some(owner) => {
                let node = graph.threads.iter().find(|node| node.tids.contains(&owner));
                html! {
                    strong { "tid " (owner) }
                    @if let Some(node) = node { (place(node)) }
                }
            }
        };
        table.row([
            html! { (code(lock.name())) br; span.dim { (name(&lock.kind)) } },
            owner,
            html! { @for node in waiters(graph, lock) { div { (node) } } },
        ]);
    }
    for arrow in &graph.arrows {
        let Arrow::Joins { tids, tid, .. } = arrow else { continue };
        table.row([
            said(&say!(Html::EndOf { tid })),
            html! { "tid " (tid) },
            html! { "tid " (said(&ranges(tids))) },
        ]);
    }
    table
}

fn place(node: &ThreadNode) -> Markup {
    html! {
        br;
        @if let Some(function) = &node.function { (code(function)) " " }
        @match (&node.source, &node.doing) {
            (_, Doing::Blocked(text)) => (said(text)),
            (Some(source), _) => (code(source)),
            (None, _) => (said(&doing(node))),
        }
    }
}

fn waiters(graph: &Graph, lock: &LockNode) -> Vec<Markup> {
    let at = graph.locks.iter().position(|of| of.key == lock.key);
    let arrows = graph.arrows.iter().filter_map(|arrow| match arrow {
        Arrow::Waits { node, lock, tids } if Some(*lock) == at => Some((&graph.threads[*node], tids)),
        _ => None,
    });
    arrows
        .map(|(node, tids)| {
            let count = say!(Html::CountOfThreads { count: tids.len() });
            html! { strong { (said(&count)) } " (tid " (said(&ranges(tids))) ")" (place(node)) }
        })
        .collect()
}
