//! Who waits for whom, in the language of Graphviz (the DOT language): a box for each thread or group of
//! threads, an ellipse for each object. An arrow leads from a waiter to what it waits for, and from an object
//! to its owner.

use std::fmt::Write as _;

use crate::evidence::threads_file::ThreadsFile;
use crate::report::graph::{Arrow, Doing, Graph, LockNode, Mark, ThreadNode};
use crate::text::escape;
use crate::text::message::{Lang, Text, counted, ranges};

/// Colour of what to look at first.
const RED: &str = "#c0392b";

pub(super) fn text(file: &ThreadsFile) -> String {
    let graph = Graph::of(file);
    let mut out = String::from("digraph waits {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
    for (i, node) in graph.threads.iter().enumerate() {
        let _ = writeln!(out, "  t{i} [shape=box, label={}{}];", quoted(&thread(node)), colour(node.mark));
    }
    for (i, lock) in graph.locks.iter().enumerate() {
        let _ =
            writeln!(out, "  o{i} [shape=ellipse, label={}{}];", quoted(&object(lock)), colour(lock.mark));
    }
    for arrow in &graph.arrows {
        let _ = match arrow {
            Arrow::Waits { node, lock, .. } => writeln!(out, "  t{node} -> o{lock} [label=\"waits\"];"),
            Arrow::Held { lock, node, .. } => {
                writeln!(out, "  o{lock} -> t{node} [label=\"held by\", style=bold];")
            }
            Arrow::Joins { node, joined, .. } => {
                writeln!(out, "  t{node} -> t{joined} [label=\"joins\", style=dashed];")
            }
        };
    }
    if graph.left_out > 0 {
        let _ = writeln!(
            out,
            "  // {}",
            counted(&graph.left_out.to_string(), "object that is left out|objects that are left out")
        );
    }
    out + "}\n"
}

fn thread(node: &ThreadNode) -> String {
    let who = match &node.tids[..] {
        [tid] => format!("tid {tid} {}", node.comm),
        many => format!("{} threads: {}", many.len(), ranges(many).text(Lang::En)),
    };
    let doing = match &node.doing {
        Doing::Waits => None,
        Doing::Runs => Some("running".to_owned()),
        Doing::Blocked(text) => Some(Text::en(text).to_owned()),
        Doing::Ended => Some("ended".to_owned()),
    };
    let place = node.function.as_ref().map(|function| match &node.source {
        Some(source) => format!("{function} ({source})"),
        None => function.clone(),
    });
    [Some(who), doing, place].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn object(lock: &LockNode) -> String {
    format!("{}\n{}", lock.name(), lock.kind)
}

fn colour(mark: Mark) -> String {
    match mark {
        Mark::None => String::new(),
        Mark::Ring | Mark::Root => format!(", color=\"{RED}\", penwidth=2"),
    }
}

/// A quoted string. In a label a backslash begins an escape.
fn quoted(text: &str) -> String {
    let lines = text.split('\n').map(|line| escape::line(line).replace('\\', "\\\\").replace('"', "\\\""));
    format!("\"{}\"", lines.collect::<Vec<_>>().join("\\n"))
}
