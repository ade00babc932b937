//! The wait graph as indented text: holders, and under each those who wait for what it holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::threads_file::{ThreadPart, ThreadsFile};
use crate::text::message::ranges;

/// A line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How deep it is under its root.
    pub(crate) depth: usize,
    /// Text.
    pub(crate) text: String,
    /// A holder that nobody holds up, a member of a ring, or one that is gone: look here first.
    pub(crate) root: bool,
}

/// The graph from its roots: gone owners, rings, and threads that hold something others wait for; then objects
/// that keep no owner.
pub(crate) fn lines(file: &ThreadsFile) -> Vec<Line> {
    let tree = Tree::of(file);
    let mut lines = vec![];
    let mut shown = BTreeSet::new();
    for root in tree.roots() {
        tree.holder(root, 0, &mut shown, &mut lines);
    }
    tree.ownerless(&mut lines);
    lines
}

struct Tree<'a> {
    threads: BTreeMap<u32, &'a ThreadPart>,
    /// Who waits for what a thread holds (joins too), by holder and object.
    held: BTreeMap<u32, BTreeMap<String, Vec<u32>>>,
}

impl<'a> Tree<'a> {
    fn of(file: &'a ThreadsFile) -> Self {
        let threads = file.threads.iter().map(|t| (t.tid, t)).collect();
        let mut held: BTreeMap<u32, BTreeMap<String, Vec<u32>>> = BTreeMap::new();
        for thread in &file.threads {
            if let Some((owner, wait)) = thread.wait.as_ref().and_then(|w| Some((w.owner?, w))) {
                // Joining a thread that waits itself tells nothing new; it is shown with that thread.
                held.entry(owner).or_default().entry(object(wait)).or_default().push(thread.tid);
            }
        }
        Tree { threads, held }
    }

    /// Owners that wait for no owner themselves (or are no threads), then one of each ring; most waiters first.
    fn roots(&self) -> Vec<u32> {
        let waits_for = |tid: &u32| self.threads.get(tid).and_then(|t| t.wait.as_ref()?.owner);
        let mut roots: Vec<u32> = self.held.keys().filter(|tid| waits_for(tid).is_none()).copied().collect();
        let mut reached: BTreeSet<u32> = roots.iter().flat_map(|r| self.under(*r)).collect();
        for tid in self.held.keys() {
            if reached.contains(tid) {
                continue;
            }
            // Follow the chain into its ring.
            let mut seen = vec![*tid];
            while let Some(next) = waits_for(seen.last().unwrap_or(tid)) {
                if seen.contains(&next) {
                    roots.push(next);
                    reached.extend(self.under(next));
                    break;
                }
                seen.push(next);
            }
        }
        let only_joins = |tid: &u32| self.held[tid].keys().all(|object| object.starts_with("join"));
        roots.retain(|tid| !only_joins(tid) || self.under(*tid).len() > 2);
        roots.sort_by_key(|tid| (std::cmp::Reverse(self.under(*tid).len()), *tid));
        roots
    }

    /// A holder and all that wait behind it.
    fn under(&self, tid: u32) -> BTreeSet<u32> {
        let mut all = BTreeSet::from([tid]);
        let mut todo = vec![tid];
        while let Some(at) = todo.pop() {
            for waiter in self.held.get(&at).into_iter().flat_map(|o| o.values()).flatten() {
                if all.insert(*waiter) {
                    todo.push(*waiter);
                }
            }
        }
        all
    }

    fn holder(&self, tid: u32, depth: usize, shown: &mut BTreeSet<u32>, lines: &mut Vec<Line>) {
        let root = depth == 0;
        if !shown.insert(tid) {
            lines.push(Line { depth, text: format!("tid {tid} again: a ring"), root: true });
            return;
        }
        lines.push(Line { depth, text: self.thread_text(tid, root), root });
        let Some(objects) = self.held.get(&tid) else { return };
        for (object, waiters) in objects {
            // Those who hold something themselves get a line of their own; the others stand together.
            let (holders, leaves): (Vec<u32>, Vec<u32>) =
                waiters.iter().partition(|w| self.held.contains_key(w));
            let text = match (object.as_str(), waiters.len()) {
                ("join", _) => "joined by:".to_owned(),
                (object, 1) => format!("holds {object}; 1 thread waits:"),
                (object, n) => format!("holds {object}; {n} threads wait:"),
            };
            lines.push(Line { depth: depth + 1, text, root: false });
            for waiter in holders {
                self.holder(waiter, depth + 2, shown, lines);
            }
            if !leaves.is_empty() {
                lines.push(Line {
                    depth: depth + 2,
                    text: format!("tid {}", ranges(&leaves).en()),
                    root: false,
                });
            }
        }
    }

    fn thread_text(&self, tid: u32, root: bool) -> String {
        let Some(thread) = self.threads.get(&tid) else { return format!("tid {tid}, which is gone") };
        let doing = match &thread.wait {
            Some(wait) if wait.owner.is_some() && root => format!(", waits for {}", object(wait)),
            // The line above says for what.
            Some(wait) if wait.owner.is_some() => String::new(),
            Some(wait) => format!(", blocked: {}", wait.detail),
            None => ", running".to_owned(),
        };
        let place = thread.frames.iter().find(|f| f.in_allocator).or(thread.frames.first());
        let place = place.and_then(|f| f.function.as_deref()).map(|f| format!(" in {f}")).unwrap_or_default();
        format!("tid {tid} ({}){doing}{place}", thread.comm)
    }

    /// Futex objects without an owner.
    fn ownerless(&self, lines: &mut Vec<Line>) {
        let mut objects: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for thread in self.threads.values() {
            if let Some(wait) = thread.wait.as_ref().filter(|w| w.owner.is_none() && w.address.is_some()) {
                objects.entry(object(wait)).or_default().push(thread.tid);
            }
        }
        for (object, waiters) in objects {
            lines.push(Line {
                depth: 0,
                text: format!("{object}, no owner known; waiting: {}", waiters.len()),
                root: true,
            });
            lines.push(Line { depth: 1, text: format!("tid {}", ranges(&waiters).en()), root: false });
        }
    }
}

fn object(wait: &crate::evidence::threads_file::WaitPart) -> String {
    match wait.symbol.as_ref().or(wait.address.as_ref()).filter(|_| wait.kind != "join") {
        Some(name) => format!("{} {name}", wait.kind),
        None => wait.kind.clone(),
    }
}
