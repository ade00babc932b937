//! The wait graph as indented text: holders, and under each of them the threads that wait for what it
//! holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::Finding;
use crate::evidence::stacks::wait_text;
use crate::evidence::threads_file::{ThreadPart, ThreadsFile, WaitPart};
use crate::text::message::{Say as _, Text, ranges, say};
use crate::text::view::View;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How deep it is under its root.
    pub(crate) depth: usize,
    pub(crate) text: Text,
    /// A holder that waits for no other holder, a member of a ring, or an owner that has ended: look here
    /// first.
    pub(crate) root: bool,
}

/// The graph from its roots: owners that have ended, rings, and threads that hold something others wait
/// for. Then objects that keep no owner.
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
    finding: &'a Finding,
    /// Who waits for what a thread holds (joins too), by holder and object.
    held: BTreeMap<u32, BTreeMap<String, Vec<u32>>>,
}

impl<'a> Tree<'a> {
    fn of(file: &'a ThreadsFile) -> Self {
        let threads = file.threads.iter().map(|t| (t.tid, t)).collect();
        let mut held: BTreeMap<u32, BTreeMap<String, Vec<u32>>> = BTreeMap::new();
        for thread in &file.threads {
            if let Some((owner, wait)) = thread.wait.as_ref().and_then(|w| Some((w.owner?, w))) {
                held.entry(owner).or_default().entry(object(wait)).or_default().push(thread.tid);
            }
        }
        Tree { threads, finding: &file.finding, held }
    }

    /// Owners that wait for no other owner (or have ended), then one member of each ring; the one with most
    /// waiters first.
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

    /// A holder, and all threads that wait for it or for one of these.
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
            lines.push(Line { depth, text: say!(View::Again { tid }).said(), root: true });
            return;
        }
        lines.push(Line { depth, text: self.thread_text(tid, root), root });
        let Some(objects) = self.held.get(&tid) else { return };
        for (object, waiters) in objects {
            // A waiter that holds something itself gets its own line. The others share one.
            let (holders, leaves): (Vec<u32>, Vec<u32>) =
                waiters.iter().partition(|w| self.held.contains_key(w));
            let text = match object.as_str() {
                "join" => View::JoinedBy {}.said(),
                object => say!(View::Holds { object, waiters: waiters.len() }).said(),
            };
            lines.push(Line { depth: depth + 1, text, root: false });
            for waiter in holders {
                self.holder(waiter, depth + 2, shown, lines);
            }
            if !leaves.is_empty() {
                lines.push(Line { depth: depth + 2, text: tids(&leaves), root: false });
            }
        }
    }

    fn thread_text(&self, tid: u32, root: bool) -> Text {
        let Some(part) = self.threads.get(&tid) else { return say!(View::HasEnded { tid }).said() };
        let thread = format!("tid {tid} ({})", part.comm);
        let text = match &part.wait {
            Some(wait) if wait.owner.is_some() && root => {
                say!(View::WaitsFor { thread, object: object(wait) }).said()
            }
            // The line above says what it waits for.
            Some(wait) if wait.owner.is_some() => thread.said(),
            Some(wait) => {
                let detail = wait_text(tid, wait, self.finding);
                say!(View::Blocked { thread, detail }).said()
            }
            None => say!(View::Runs { thread }).said(),
        };
        let frame = part.frames.iter().find(|f| f.in_allocator).or(part.frames.first());
        match frame.and_then(|f| f.function.as_deref()) {
            Some(function) => say!(View::In { text, function }).said(),
            None => text,
        }
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
            let text = say!(View::NoOwner { object, waiters: waiters.len() }).said();
            lines.push(Line { depth: 0, text, root: true });
            lines.push(Line { depth: 1, text: tids(&waiters), root: false });
        }
    }
}

fn tids(tids: &[u32]) -> Text {
    Text::of(|lang| format!("tid {}", ranges(tids).text(lang)))
}

fn object(wait: &WaitPart) -> String {
    match wait.symbol.as_ref().or(wait.address.as_ref()).filter(|_| wait.kind != "join") {
        Some(name) => format!("{} {name}", wait.kind),
        None => wait.kind.clone(),
    }
}
