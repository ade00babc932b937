//! The search: delta debugging (A. Zeller, R. Hildebrandt, Simplifying and isolating failure-inducing input,
//! IEEE Transactions on Software Engineering 28 (2002), 183-200), with numbers instead of an input.
//!
//! Delta debugging takes parts of an input away. This search takes parts of the distances away: the distance
//! of a number is the number minus its least value. It goes in this order:
//!
//! 1. All numbers at once go to their least value.
//! 2. The number that dominates the time of a run is reduced alone, because every later run costs that time.
//! 3. Groups of numbers (all, halves, quarters and so on, single numbers) go to their least value. This
//!    removes the numbers that the hang does not depend on.
//! 4. For each group, the search looks for the highest number of halvings of the distances that still hangs.
//!    It tries many halvings first: small commands end soon, and many of them cost less than one hang.
//! 5. Single numbers are reduced until none can be reduced any more.
//!
//! At the end, three steps were tried for each number alone: to its least value, half of its distance away, a
//! quarter of its distance (at least 1) away. None of them hung. The result is 1-minimal in these steps.

use super::task::{Task, Values};

#[derive(Debug)]
pub(super) struct Found {
    /// The accepted candidates in order; the original is first.
    pub(super) path: Vec<Values>,
    /// The candidate whose answer the search needs next; none: the search is at its end.
    pub(super) open: Option<Values>,
}

/// Searches with the answers that are known. `answer` says whether a candidate hangs often enough; none: not
/// known yet. With the same answers, the search asks in the same order.
pub(super) fn search(task: &Task, answer: impl Fn(&Values) -> Option<bool>) -> Found {
    let mut search = Search { task, answer, path: vec![task.original()] };
    let open = search.run().err().map(|Open(values)| values);
    Found { path: search.path, open }
}

/// The candidate whose answer is not known yet.
struct Open(Values);

struct Search<'a, F> {
    task: &'a Task,
    answer: F,
    path: Vec<Values>,
}

impl<F: Fn(&Values) -> Option<bool>> Search<'_, F> {
    fn run(&mut self) -> Result<(), Open> {
        let order = order(self.task);
        self.take(self.halved(&order, u64::BITS))?;
        self.halve(&order[..1])?;
        for part in parts(&order) {
            self.take(self.halved(part, u64::BITS))?;
        }
        for part in parts(&order).filter(|part| part.len() > 1) {
            self.halve(part)?;
        }
        loop {
            let before = self.path.len();
            for number in &order {
                self.halve(std::slice::from_ref(number))?;
                while self.take(self.less_a_quarter(*number))? {}
            }
            if self.path.len() == before {
                return Ok(());
            }
        }
    }

    /// The smallest accepted candidate, with the distances of a group of numbers halved `times` times.
    fn halved(&self, part: &[usize], times: u32) -> Values {
        let mut values = self.best().clone();
        for number in part {
            let least = self.task.numbers[*number].least;
            values[*number] = least + (values[*number] - least).checked_shr(times).unwrap_or(0);
        }
        values
    }

    /// Reduces the numbers of a group together: to their least values, or else by as many halvings as are
    /// accepted. It tries half of the rejected number of halvings, then a quarter and so on, then bisects.
    fn halve(&mut self, part: &[usize]) -> Result<(), Open> {
        let distance = |number: &usize| self.best()[*number] - self.task.numbers[*number].least;
        // This many halvings bring every distance to 0.
        let most = part.iter().map(|number| u64::BITS - distance(number).leading_zeros()).max().unwrap_or(0);
        // All candidates start from the values before this search of the group.
        let candidates: Vec<Values> = (0..=most).map(|times| self.halved(part, times)).collect();
        let mut take = |times: u32| self.take(candidates[times as usize].clone());
        // If a group can only be halved once, its numbers are better tried one by one.
        let fewest = if part.len() > 1 { 2 } else { 1 };
        let (mut times, mut rejected) = (most, most + 1);
        while times >= fewest && !take(times)? {
            rejected = times;
            times /= 2;
        }
        let mut accepted = times;
        while accepted >= fewest && rejected - accepted > 1 {
            let times = accepted.midpoint(rejected);
            if take(times)? {
                accepted = times;
            } else {
                rejected = times;
            }
        }
        Ok(())
    }

    /// The smallest accepted candidate, with one distance reduced by a quarter (at least 1).
    /// Unchanged where the distance is 0.
    fn less_a_quarter(&self, number: usize) -> Values {
        let mut values = self.best().clone();
        let distance = values[number] - self.task.numbers[number].least;
        values[number] -= (distance / 4).max(1).min(distance);
        values
    }

    /// Accepts a candidate if it hangs often enough. The smallest accepted candidate itself is nothing new.
    fn take(&mut self, values: Values) -> Result<bool, Open> {
        if values == *self.best() {
            return Ok(false);
        }
        match (self.answer)(&values) {
            Some(true) => {
                self.path.push(values);
                Ok(true)
            }
            Some(false) => Ok(false),
            None => Err(Open(values)),
        }
    }

    fn best(&self) -> &Values {
        self.path.last().expect("the original is there")
    }
}

/// The groups: all numbers, then halves, quarters and so on, down to single numbers.
fn parts(order: &[usize]) -> impl Iterator<Item = &[usize]> {
    let sizes = std::iter::successors(Some(order.len()), |size| (*size > 1).then(|| size.div_ceil(2)));
    sizes.flat_map(|size| order.chunks(size))
}

/// The order in which numbers are tried. The number that dominates the time of a run goes first: the largest,
/// which is taken for the number of iterations. The others follow in the order of the command. In most
/// benchmarks the number of threads is the first of them.
fn order(task: &Task) -> Vec<usize> {
    let distance = |number: usize| task.numbers[number].from - task.numbers[number].least;
    let mut order: Vec<usize> = (0..task.numbers.len()).collect();
    // The first of equal ones.
    let largest = order.iter().copied().max_by_key(|number| (distance(*number), std::cmp::Reverse(*number)));
    order.sort_by_key(|number| Some(*number) != largest);
    order
}
