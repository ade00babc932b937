//! Which run is the next. It follows from the rows of the runs that were made, so a matrix that was killed
//! goes on where it was. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{Order, Phase, PhaseName};
use crate::shard::Shard;

/// The runs of one allocator in one lane and phase, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group {
    pub(crate) phase: PhaseName,
    pub(crate) lane: usize,
    pub(crate) allocator: usize,
}

/// A run that is made, or is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cell {
    pub(crate) group: Group,
    /// A run before those that count. They have numbers of their own.
    pub(crate) warmup: bool,
    /// From 1.
    pub(crate) run: u32,
}

/// What is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// All runs, in order, without those that a hang adds.
    cells: Vec<Cell>,
    phases: Vec<Phase>,
    /// A hang is followed by one run more.
    retries: bool,
    shard: Shard,
}

impl Plan {
    /// The same seed gives the same order. A shard has its own runs of all groups, in the order of the whole,
    /// with warm-up runs of its own before the first of each group.
    pub(crate) fn new(
        sizes: (usize, usize),
        phases: &[Phase],
        order: Order,
        seed: u64,
        retries: bool,
        shard: Shard,
    ) -> Plan {
        let (lanes, allocators) = sizes;
        let mut random = fastrand::Rng::with_seed(seed);
        let mut runs: Vec<(Group, u32)> = vec![];
        for phase in phases {
            let groups = (0..lanes).flat_map(|lane| (0..allocators).map(move |allocator| (lane, allocator)));
            let groups: Vec<Group> =
                groups.map(|(lane, allocator)| Group { phase: phase.name, lane, allocator }).collect();
            match order {
                Order::Blocks => {
                    runs.extend(groups.iter().flat_map(|group| (1..=phase.runs).map(|run| (*group, run))));
                }
                Order::Interleaved | Order::Shuffled => {
                    for run in 1..=phase.runs {
                        let mut round = groups.clone();
                        if order == Order::Shuffled {
                            random.shuffle(&mut round);
                        }
                        runs.extend(round.into_iter().map(|group| (group, run)));
                    }
                }
            }
        }
        let warmups = |name| phases.iter().find(|phase| phase.name == name).map_or(0, |phase| phase.warmup);
        let own = runs.into_iter().filter(|(_, run)| shard.has(*run));
        let cells = own.flat_map(|(group, run)| {
            let before = if run == shard.index { warmups(group.phase) } else { 0 };
            // Each shard has numbers of its own.
            let after = (shard.index - 1) * before;
            let warmup = (after + 1..=after + before).map(move |run| Cell { group, warmup: true, run });
            warmup.chain([Cell { group, warmup: false, run }])
        });
        Plan { cells: cells.collect(), phases: phases.to_vec(), retries, shard }
    }

    /// The next run; none: all are made.
    pub(crate) fn next(&self, done: &Done) -> Option<Cell> {
        self.retry(done).or_else(|| self.cells.iter().find(|cell| !done.cells.contains(cell)).copied())
    }

    /// The run that a hang asks for, under a number after the planned ones. In a group are at most as many as
    /// it has planned runs.
    fn retry(&self, done: &Done) -> Option<Cell> {
        let groups = done.hung.iter().filter(|_| self.retries);
        groups.into_iter().find_map(|(group, hung)| {
            let most = self.planned(group.phase).min(*hung);
            // Numbers of this shard that no planned run has.
            let numbers = (self.runs(group.phase) + 1..).filter(|run| self.shard.has(*run));
            let cells = numbers.take(most as usize).map(|run| Cell { group: *group, warmup: false, run });
            cells.into_iter().find(|cell| !done.cells.contains(cell))
        })
    }

    /// Planned runs of a group, of this shard.
    pub(crate) fn planned(&self, phase: PhaseName) -> u32 {
        self.shard.count(self.runs(phase))
    }

    /// Their numbers.
    pub(crate) fn numbers(&self, phase: PhaseName) -> impl Iterator<Item = u32> {
        self.shard.runs(self.runs(phase))
    }

    /// Planned runs of a group, of all shards.
    fn runs(&self, phase: PhaseName) -> u32 {
        self.phases.iter().find(|of| of.name == phase).map_or(0, |of| of.runs)
    }

    /// All planned runs that count, of this shard.
    pub(crate) fn all(&self) -> u32 {
        self.cells.iter().filter(|cell| !cell.warmup).count() as u32
    }

    /// The place of a run in the order. Those that a hang has added come last.
    pub(crate) fn place(&self, cell: &Cell) -> usize {
        self.cells.iter().position(|of| of == cell).unwrap_or(usize::MAX)
    }

    /// The runs that are still to be made, if no more hang.
    pub(crate) fn left(&self, done: &Done) -> u32 {
        let retries = done.hung.iter().filter(|_| self.retries).map(|(group, hung)| {
            let planned = self.planned(group.phase);
            let extra = done
                .cells
                .iter()
                .filter(|c| c.group == *group && !c.warmup && c.run > self.runs(group.phase))
                .count();
            planned.min(*hung).saturating_sub(extra as u32)
        });
        self.cells.iter().filter(|cell| !done.cells.contains(cell)).count() as u32 + retries.sum::<u32>()
    }
}

/// The runs that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    cells: BTreeSet<Cell>,
    /// Runs of a group that hung, those before the ones that count left out.
    hung: BTreeMap<Group, u32>,
}

impl Done {
    /// Adds a run. False: it is there already.
    pub(crate) fn add(&mut self, cell: Cell, hung: bool) -> bool {
        let new = self.cells.insert(cell);
        if new && hung && !cell.warmup {
            *self.hung.entry(cell.group).or_default() += 1;
        }
        new
    }

    /// Runs, those that do not count too.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 2] = [
        Phase { name: PhaseName::Ops, runs: 2, warmup: 1, sample: None },
        Phase { name: PhaseName::Rss, runs: 1, warmup: 0, sample: None },
    ];

    /// `ops/0/1/w1`: phase, lane, allocator, run.
    fn name(cell: &Cell) -> String {
        let Group { phase, lane, allocator } = cell.group;
        format!("{phase}/{lane}/{allocator}/{}{}", if cell.warmup { "w" } else { "" }, cell.run)
    }

    fn plan(order: Order, seed: u64, retries: bool) -> Plan {
        Plan::new((2, 2), &PHASES, order, seed, retries, Shard::WHOLE)
    }

    /// All runs to the end; `hangs` says which hang.
    fn all(plan: &Plan, mut done: Done, hangs: impl Fn(&Cell) -> bool) -> Vec<String> {
        let mut names = vec![];
        while let Some(cell) = plan.next(&done) {
            assert!(done.add(cell, hangs(&cell)), "{} is made twice", name(&cell));
            names.push(name(&cell));
        }
        names
    }

    #[test]
    fn each_order_makes_every_run_once() {
        let none = |_: &Cell| false;
        let blocks = all(&plan(Order::Blocks, 0, false), Done::default(), none);
        assert_eq!(blocks[..4], ["ops/0/0/w1", "ops/0/0/1", "ops/0/0/2", "ops/0/1/w1"]);
        let rounds = all(&plan(Order::Interleaved, 0, false), Done::default(), none);
        assert_eq!(rounds[..4], ["ops/0/0/w1", "ops/0/0/1", "ops/0/1/w1", "ops/0/1/1"]);
        assert_eq!(rounds[8..12], ["ops/0/0/2", "ops/0/1/2", "ops/1/0/2", "ops/1/1/2"]);
        let shuffled = |seed| all(&plan(Order::Shuffled, seed, false), Done::default(), none);
        assert_eq!(shuffled(7), shuffled(7));
        assert!((1..9).any(|seed| shuffled(seed) != shuffled(7)));
        for mut names in [blocks, rounds, shuffled(7)] {
            assert_eq!(names.len(), 16);
            assert!(names[12..].iter().all(|name| name.starts_with("rss/")), "a phase comes after the other");
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 16);
        }
    }

    #[test]
    fn a_plan_goes_on_from_any_rows() {
        let plan = plan(Order::Shuffled, 3, true);
        let hangs = |cell: &Cell| cell.group.allocator == 1 && cell.run == 2;
        let whole = all(&plan, Done::default(), hangs);
        for stop in 0..whole.len() {
            let mut done = Done::default();
            for _ in 0..stop {
                let cell = plan.next(&done).unwrap();
                done.add(cell, hangs(&cell));
            }
            assert_eq!(all(&plan, done.clone(), hangs), whole[stop..]);
            assert!(plan.left(&done) as usize <= whole.len() - stop);
        }
    }

    #[test]
    fn a_hang_adds_a_run_at_once_and_not_for_ever() {
        let hangs = |cell: &Cell| cell.group == Group { phase: PhaseName::Ops, lane: 0, allocator: 1 };
        let names = all(&plan(Order::Blocks, 0, true), Done::default(), hangs);
        let of: Vec<&String> = names.iter().filter(|name| name.starts_with("ops/0/1/")).collect();
        assert_eq!(of, ["ops/0/1/w1", "ops/0/1/1", "ops/0/1/3", "ops/0/1/4", "ops/0/1/2"]);
        let names = all(&plan(Order::Blocks, 0, false), Done::default(), hangs);
        assert_eq!(names.len(), 16);
    }

    #[test]
    fn shards_together_make_the_whole_in_its_order() {
        let phases = [Phase { runs: 7, ..PHASES[0] }, Phase { runs: 3, ..PHASES[1] }];
        let of = |shard| Plan::new((2, 2), &phases, Order::Shuffled, 7, true, shard);
        let counted =
            |names: Vec<String>| names.into_iter().filter(|name| !name.contains('w')).collect::<Vec<_>>();
        let whole = counted(all(&of(Shard::WHOLE), Done::default(), |_| false));
        for n in 1..=4 {
            let (mut made, mut warmups, mut left) = (vec![], vec![], 0);
            for index in 1..=n {
                let plan = of(Shard { index, of: n });
                left += plan.left(&Done::default());
                let names = all(&plan, Done::default(), |_| false);
                warmups.extend(names.iter().filter(|name| name.contains('w')).cloned());
                let own = counted(names);
                assert_eq!(own.len() as u32, plan.all());
                let kept = whole.iter().filter(|name| own.contains(name)).cloned().collect::<Vec<_>>();
                assert_eq!(own, kept, "shard {index} of {n} keeps the order");
                made.extend(own);
            }
            made.sort();
            let mut sorted = whole.clone();
            sorted.sort();
            assert_eq!(made, sorted);
            // One for each group of the first phase, in each shard that has a run of it.
            assert_eq!((warmups.len() as u32, left), (4 * n, whole.len() as u32 + 4 * n));
            warmups.sort();
            warmups.dedup();
            assert_eq!(warmups.len() as u32, 4 * n, "no two shards have the same");
        }
    }

    #[test]
    fn the_runs_that_hangs_add_are_of_the_shard_that_hung() {
        let mut added = vec![];
        for index in 1..=2 {
            let plan = Plan::new((1, 1), &PHASES, Order::Blocks, 0, true, Shard { index, of: 2 });
            added.extend(all(&plan, Done::default(), |cell| cell.group.phase == PhaseName::Ops));
        }
        let mut ops: Vec<String> =
            added.into_iter().filter(|name| name.starts_with("ops") && !name.contains('w')).collect();
        ops.sort();
        assert_eq!(ops, ["ops/0/0/1", "ops/0/0/2", "ops/0/0/3", "ops/0/0/4"]);
    }
}
