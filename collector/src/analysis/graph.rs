//! The wait-for graph: an edge from each waiting thread to the thread that holds the object (or that it
//! joins). A thread waits for at most one object, so each thread has at most one outgoing edge.

use std::collections::{BTreeMap, BTreeSet};

use super::scene::Scene;
use super::wait::{Owner, WaitKind};

/// The end of a chain of waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A thread that waits for no owner of this process.
    Root(u32),
    /// An owner that has ended.
    Gone(u32),
    /// A cycle: its members, the smallest tid first. Each member waits for the next one.
    Cycle(Vec<u32>),
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    /// From the waiting thread to the owner.
    edges: BTreeMap<u32, Owner>,
    /// Threads whose edge is a join.
    joins: BTreeSet<u32>,
}

impl Graph {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let mut graph = Graph::default();
        for (thread, wait) in scene.waiting() {
            let Some(owner) = wait.owner else { continue };
            graph.edges.insert(thread.tid(), owner);
            if wait.kind == WaitKind::Join {
                graph.joins.insert(thread.tid());
            }
        }
        graph
    }

    pub(super) fn end_of(&self, tid: u32) -> End {
        let mut path = vec![tid];
        let mut at = tid;
        loop {
            match self.edges.get(&at) {
                None | Some(Owner::Elsewhere(_)) => return End::Root(at),
                Some(Owner::Gone(owner)) => return End::Gone(*owner),
                Some(Owner::Alive(owner)) => match path.iter().position(|t| t == owner) {
                    Some(from) => return End::Cycle(smallest_first(&path[from..])),
                    None => path.push(*owner),
                },
            }
            at = path[path.len() - 1];
        }
    }

    /// All cycles, longest first; those with an edge that is no join before the others.
    pub(super) fn cycles(&self) -> Vec<Vec<u32>> {
        let ends = self.edges.keys().map(|tid| self.end_of(*tid));
        let cycles: BTreeSet<Vec<u32>> = ends
            .filter_map(|end| match end {
                End::Cycle(members) => Some(members),
                _ => None,
            })
            .collect();
        let mut cycles: Vec<Vec<u32>> = cycles.into_iter().collect();
        let joins_only = |members: &Vec<u32>| members.iter().all(|tid| self.joins.contains(tid));
        cycles.sort_by_key(|members| (joins_only(members), std::cmp::Reverse(members.len())));
        cycles
    }

    /// Threads whose chain passes through `tid` or ends there, without threads that join.
    pub(super) fn behind(&self, tid: u32) -> Vec<u32> {
        let waits_for = |from: &u32| {
            let mut seen = BTreeSet::new();
            let mut at = *from;
            while seen.insert(at) {
                match self.edges.get(&at) {
                    Some(owner) if owner.tid() == tid => return true,
                    Some(Owner::Alive(owner)) => at = *owner,
                    _ => return false,
                }
            }
            false
        };
        let starts = self.edges.keys().filter(|t| !self.joins.contains(t) && **t != tid);
        starts.filter(|t| waits_for(t)).copied().collect()
    }
}

fn smallest_first(cycle: &[u32]) -> Vec<u32> {
    let from = cycle.iter().enumerate().min_by_key(|(_, tid)| **tid).map_or(0, |(i, _)| i);
    cycle[from..].iter().chain(&cycle[..from]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(u32, Owner)], joins: &[u32]) -> Graph {
        Graph { edges: edges.iter().copied().collect(), joins: joins.iter().copied().collect() }
    }

    #[test]
    fn chains_end_at_roots_cycles_and_the_gone() {
        use Owner::{Alive, Gone};
        let g = graph(
            &[
                (1, Alive(2)),
                (2, Alive(3)),
                (5, Alive(6)),
                (6, Alive(5)),
                (7, Alive(6)),
                (8, Gone(99)),
                (9, Alive(9)),
            ],
            &[1],
        );
        assert_eq!(g.end_of(1), End::Root(3));
        assert_eq!(g.end_of(3), End::Root(3));
        assert_eq!(g.end_of(7), End::Cycle(vec![5, 6]));
        assert_eq!(g.end_of(8), End::Gone(99));
        assert_eq!(
            g.end_of(9),
            End::Cycle(vec![9]),
            "a thread that waits for its own lock is a cycle of one"
        );
        assert_eq!(g.cycles(), vec![vec![5, 6], vec![9]]);
        assert_eq!(g.behind(3), vec![2], "a join does not count");
        assert_eq!(g.behind(6), vec![5, 7]);
    }

    #[test]
    fn joins_are_a_cycle_too_but_locks_come_first() {
        use Owner::Alive;
        let joins = [(1, Alive(2)), (2, Alive(3)), (3, Alive(1))];
        assert_eq!(graph(&joins, &[1, 2, 3]).cycles(), vec![vec![1, 2, 3]]);
        let both = [&joins[..], &[(5, Alive(6)), (6, Alive(5))]].concat();
        assert_eq!(graph(&both, &[1, 2, 3, 5]).cycles(), vec![vec![5, 6], vec![1, 2, 3]]);
    }
}
