//! The wait-for graph as data: threads, the objects that they wait for, owners. Equal waiters are one node.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::{Finding, file_name};
use crate::evidence::stacks::wait_text;
use crate::evidence::threads_file::{ThreadPart, ThreadsFile, WaitPart};
use crate::text::message::{Say as _, Text};

/// Most objects with a node: those with most waiters, and those that the finding is about.
const MOST_LOCKS: usize = 24;
/// Most nodes of threads.
const MOST_THREADS: usize = 72;

/// Threads that wait alike, or one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ThreadNode {
    /// Ascending, at least one.
    pub(super) tids: Vec<u32>,
    /// Name of the first; empty: it is no thread of the process any more.
    pub(super) comm: String,
    pub(super) function: Option<String>,
    /// `file:line`, the file without its folders.
    pub(super) source: Option<String>,
    /// Where the function ends up.
    pub(super) doing: Doing,
    pub(super) mark: Mark,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Waits,
    Runs,
    /// In a wait outside the graph.
    Blocked(Text),
    Ended,
}

/// Why a node is in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    None,
    /// A member of a ring of waits.
    Ring,
    /// The thread to look at first.
    Root,
}

/// What threads wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockNode {
    /// The address, else the name.
    pub(super) key: String,
    pub(super) kind: String,
    pub(super) symbol: Option<String>,
    pub(super) mark: Mark,
    pub(super) waiters: Vec<u32>,
    pub(super) owner: Option<u32>,
}

impl LockNode {
    pub(super) fn name(&self) -> &str {
        self.symbol.as_deref().unwrap_or(&self.key)
    }
}

/// An arrow, as positions in the lists of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrow {
    /// Threads wait for an object.
    Waits { node: usize, lock: usize, tids: Vec<u32> },
    /// An object is held by a thread.
    Held { lock: usize, node: usize, owner: u32 },
    /// Threads wait for the end of a thread.
    Joins { node: usize, joined: usize, tids: Vec<u32>, tid: u32 },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Graph {
    pub(super) threads: Vec<ThreadNode>,
    pub(super) locks: Vec<LockNode>,
    pub(super) arrows: Vec<Arrow>,
    /// Objects that are only in the table of stacks.
    pub(super) left_out: usize,
}

/// Waits by object, before anything is folded.
#[derive(Debug, Default)]
struct Waits {
    locks: BTreeMap<String, LockNode>,
    /// Who waits for the end of whom.
    joins: BTreeMap<u32, BTreeSet<u32>>,
}

fn is_object(wait: &WaitPart) -> bool {
    wait.kind != "join" && (wait.address.is_some() || wait.owner.is_some())
}

impl Waits {
    fn of(file: &ThreadsFile) -> Waits {
        let mut waits = Waits::default();
        for thread in &file.threads {
            let Some(wait) = &thread.wait else { continue };
            match wait.owner {
                Some(owner) if wait.kind == "join" => {
                    waits.joins.entry(owner).or_default().insert(thread.tid);
                }
                _ if is_object(wait) => waits.lock(wait).waiters.push(thread.tid),
                _ => {}
            }
        }
        waits.add(&file.finding);
        for lock in waits.locks.values_mut() {
            lock.waiters.sort_unstable();
            lock.waiters.dedup();
        }
        waits
    }

    fn lock(&mut self, wait: &WaitPart) -> &mut LockNode {
        let key = wait.address.clone().or_else(|| wait.symbol.clone()).unwrap_or_else(|| wait.kind.clone());
        let lock = self.locks.entry(key.clone()).or_insert_with(|| LockNode {
            key,
            kind: wait.kind.clone(),
            symbol: wait.symbol.clone(),
            mark: Mark::None,
            waiters: vec![],
            owner: None,
        });
        lock.owner = lock.owner.or(wait.owner);
        lock
    }

    /// What only the finding knows: locks on which threads spin, owners that were inferred.
    fn add(&mut self, finding: &Finding) {
        if let Some(lock) = &finding.lock {
            let wait = WaitPart {
                kind: lock.kind.clone(),
                address: Some(lock.address.clone()),
                symbol: lock.symbol.clone(),
                owner: lock.owner_tid,
                detail: String::new(),
            };
            self.lock(&wait).waiters.extend(&lock.waiters);
        }
        for edge in finding.ring.iter().filter(|edge| edge.kind != "join") {
            let of = |lock: &&mut LockNode| lock.waiters.contains(&edge.tid);
            match self.locks.values_mut().find(of) {
                Some(lock) => {
                    lock.owner = lock.owner.or(edge.owner);
                    lock.mark = Mark::Ring;
                }
                None => {
                    let wait = WaitPart {
                        kind: edge.kind.clone(),
                        address: None,
                        symbol: Some(edge.name.clone()),
                        owner: edge.owner,
                        detail: String::new(),
                    };
                    let lock = self.lock(&wait);
                    lock.waiters.push(edge.tid);
                    lock.mark = Mark::Ring;
                }
            }
        }
    }

    /// The objects that get a node, the most telling first.
    fn chosen(self, finding: &Finding) -> (Vec<LockNode>, BTreeMap<u32, BTreeSet<u32>>, usize) {
        let main = finding.lock.as_ref().map(|lock| &lock.address);
        let mut locks: Vec<LockNode> = self.locks.into_values().collect();
        locks.sort_by_key(|lock| {
            let first = (Some(&lock.key) == main, lock.mark, lock.owner.is_some(), lock.waiters.len());
            std::cmp::Reverse(first)
        });
        let left_out = locks.len().saturating_sub(MOST_LOCKS);
        locks.truncate(MOST_LOCKS);
        (locks, self.joins, left_out)
    }
}

impl Graph {
    pub(super) fn of(file: &ThreadsFile) -> Graph {
        let (locks, joins, mut left_out) = Waits::of(file).chosen(&file.finding);
        let mut nodes = Nodes::new(file);
        let owners: BTreeSet<u32> = locks.iter().filter_map(|lock| lock.owner).collect();
        nodes.alone.extend(&owners);
        nodes.alone.extend(file.finding.ring.iter().map(|edge| edge.tid));
        nodes.alone.extend(file.finding.hot.as_ref().map(|hot| hot.tid).filter(|_| !locks.is_empty()));
        let mut arrows = vec![];
        let mut kept: Vec<LockNode> = vec![];
        for lock in locks {
            if nodes.list.len() >= MOST_THREADS {
                left_out += 1;
                continue;
            }
            let at = kept.len();
            for (node, tids) in nodes.folded(&lock.waiters) {
                arrows.push(Arrow::Waits { node, lock: at, tids });
            }
            if let Some(owner) = lock.owner {
                arrows.push(Arrow::Held { lock: at, node: nodes.one(owner), owner });
            }
            kept.push(lock);
        }
        // Joins of threads that the graph shows; a thread that only waits for others to end says little else.
        for (tid, waiters) in joins {
            let Some(joined) = nodes.known(tid) else { continue };
            let waiters: Vec<u32> = waiters.into_iter().collect();
            for (node, tids) in nodes.folded(&waiters) {
                arrows.push(Arrow::Joins { node, joined, tids, tid });
            }
        }
        Graph { threads: nodes.list, locks: kept, arrows, left_out }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrows.is_empty()
    }
}

/// Equal for threads that are one node: function, source, and the tid of a thread that stands alone.
type Alike = (Option<String>, Option<String>, Option<u32>);

struct Nodes<'a> {
    file: &'a ThreadsFile,
    parts: BTreeMap<u32, &'a ThreadPart>,
    /// Threads with a node of their own.
    alone: BTreeSet<u32>,
    at: BTreeMap<u32, usize>,
    list: Vec<ThreadNode>,
}

impl<'a> Nodes<'a> {
    fn new(file: &'a ThreadsFile) -> Nodes<'a> {
        let parts = file.threads.iter().map(|part| (part.tid, part)).collect();
        Nodes { file, parts, alone: BTreeSet::new(), at: BTreeMap::new(), list: vec![] }
    }

    fn known(&self, tid: u32) -> Option<usize> {
        self.at.get(&tid).copied()
    }

    fn one(&mut self, tid: u32) -> usize {
        match self.known(tid) {
            Some(at) => at,
            None => self.add(vec![tid]),
        }
    }

    fn add(&mut self, tids: Vec<u32>) -> usize {
        let at = self.list.len();
        self.at.extend(tids.iter().map(|tid| (*tid, at)));
        let first = tids.first().copied().unwrap_or_default();
        let part = self.parts.get(&first).copied();
        let (function, source) = part.map(place).unwrap_or_default();
        self.list.push(ThreadNode {
            comm: self.comm(&tids),
            function,
            source,
            doing: self.doing(first, part),
            mark: self.mark(first),
            tids,
        });
        at
    }

    /// The name that the threads have in common: `worker-…`.
    fn comm(&self, tids: &[u32]) -> String {
        let mut names = tids.iter().filter_map(|tid| self.parts.get(tid)).map(|part| part.comm.as_str());
        let first = names.next().unwrap_or_default();
        let common = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
        let all = first.chars().count();
        match names.map(|name| common(first, name)).min().unwrap_or(all) {
            0 => String::new(),
            n if n == all => first.to_owned(),
            n => first.chars().take(n).chain(['…']).collect(),
        }
    }

    /// Nodes for threads that wait for one thing, with the threads of each.
    fn folded(&mut self, waiters: &[u32]) -> Vec<(usize, Vec<u32>)> {
        let mut groups: BTreeMap<Alike, Vec<u32>> = BTreeMap::new();
        let mut found: Vec<(usize, Vec<u32>)> = vec![];
        for tid in waiters {
            if let Some(at) = self.known(*tid) {
                match found.iter_mut().find(|(node, _)| *node == at) {
                    Some((_, tids)) => tids.push(*tid),
                    None => found.push((at, vec![*tid])),
                }
                continue;
            }
            let (function, source) = self.parts.get(tid).map(|part| place(part)).unwrap_or_default();
            let alone = self.alone.contains(tid);
            groups.entry((function, source, alone.then_some(*tid))).or_default().push(*tid);
        }
        let mut groups: Vec<Vec<u32>> = groups.into_values().collect();
        groups.sort_by_key(|tids| (std::cmp::Reverse(tids.len()), tids[0]));
        for tids in groups {
            found.push((self.add(tids.clone()), tids));
        }
        found
    }

    fn doing(&self, tid: u32, part: Option<&ThreadPart>) -> Doing {
        match part.map(|part| &part.wait) {
            None => Doing::Ended,
            Some(None) => Doing::Runs,
            Some(Some(wait)) if is_object(wait) || wait.kind == "join" => Doing::Waits,
            Some(Some(wait)) => Doing::Blocked(wait_text(tid, wait, &self.file.finding).said()),
        }
    }

    fn mark(&self, tid: u32) -> Mark {
        let finding = &self.file.finding;
        let root = match &finding.lock {
            Some(lock) => lock.owner_tid,
            None => finding.hot.as_ref().map(|hot| hot.tid),
        };
        match () {
            () if finding.ring.iter().any(|edge| edge.tid == tid) => Mark::Ring,
            () if root == Some(tid) => Mark::Root,
            () => Mark::None,
        }
    }
}

/// The function of the allocator in which a thread is, and `file:line`; else those of its innermost frame.
pub(super) fn place(part: &ThreadPart) -> (Option<String>, Option<String>) {
    let frame = part.frames.iter().find(|frame| frame.in_allocator).or(part.frames.first());
    let Some(frame) = frame else { return (None, None) };
    let file = frame.file.as_deref().map(file_name);
    let source = file.map(|file| match frame.line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    });
    (frame.function.clone(), source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Class;
    use crate::testkit::dump::{LOCK, LOCK2, Make, Sampled, mutex};

    const WAITS: &[&str] = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench"];
    const SPINS: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench"];

    #[test]
    fn equal_waiters_are_one_node_and_their_owner_is_the_root() {
        let mut make = Make::new();
        for tid in 101..116 {
            make.futex(tid, &mutex(LOCK, 116, 0), WAITS);
        }
        make.runs(116, 0.9, SPINS, Sampled::OneCall(20));
        let graph = Graph::of(&make.file());
        let nodes: Vec<(usize, Mark)> = graph.threads.iter().map(|n| (n.tids.len(), n.mark)).collect();
        // The first thread waits for the end of one of the 15.
        assert_eq!(nodes, [(15, Mark::None), (1, Mark::Root), (1, Mark::None)]);
        assert_eq!(graph.locks.len(), 1);
        assert_eq!(graph.arrows.len(), 3);
        assert_eq!(graph.threads[0].source.as_deref(), Some("foo.c:85"));
    }

    #[test]
    fn a_ring_has_its_members_apart() {
        let mut make = Make::new();
        make.futex(101, &mutex(LOCK, 102, 0), WAITS).futex(102, &mutex(LOCK2, 101, 0), WAITS);
        let file = make.file();
        assert_eq!(file.finding.class, Class::Deadlock);
        let graph = Graph::of(&file);
        assert!(graph.locks.iter().all(|lock| lock.mark == Mark::Ring && lock.owner.is_some()));
        let ring = graph.threads.iter().filter(|node| node.mark == Mark::Ring);
        assert_eq!(ring.map(|node| node.tids.clone()).collect::<Vec<_>>(), [[101], [102]]);
    }

    #[test]
    fn a_graph_without_end_is_cut() {
        let mut make = Make::new();
        for n in 0..400_u32 {
            make.futex(200 + 2 * n, &mutex(LOCK + u64::from(n) * 64, 201 + 2 * n, 0), WAITS);
            make.call(201 + 2 * n, 0, 3, &["read@libc", "worker@bench"]);
        }
        let graph = Graph::of(&make.file());
        assert!(graph.locks.len() <= MOST_LOCKS && graph.threads.len() <= MOST_THREADS + 2);
        assert_eq!(graph.locks.len() + graph.left_out, 400);
    }
}
