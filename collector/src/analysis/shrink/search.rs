//! The search: delta debugging (A. Zeller, R. Hildebrandt, Simplifying and isolating failure-inducing input, IEEE
//! Transactions on Software Engineering 28 (2002), 183-200) with numbers in the place of input.
//!
//! What is taken away is not a part of an input, but a part of the distance of numbers to their least. As there, it
//! begins with everything at once and goes on with halves, quarters and so on down to single numbers. In between comes the
//! number that a run's time hangs on, by itself, since every run that follows costs that time. The numbers of a part are
//! first brought to their least: what the hang has nothing to do with goes at once. Then as many halvings of their distance
//! are looked for as still hang, the most first: small commands are over soon, and many of them cost less than one hang
//! does. Single numbers are then gone through until none gives way: at the end it was tried, for each number by itself, to
//! bring it to its least, to halve its distance, and to take off a quarter of it (at least 1), and nothing of that hung: the
//! result is 1-minimal in these steps.

use super::task::{Task, Values};

/// How far a search came.
#[derive(Debug)]
pub(super) struct Found {
    /// What was accepted, in order; the original is first.
    pub(super) path: Vec<Values>,
    /// The candidate whose answer is needed to go on; none at the end.
    pub(super) open: Option<Values>,
}

/// Searches with the answers that there are: `answer` says whether a candidate hangs as often as is wanted, none if that is
/// not known yet. Asked in the same order whenever the answers are the same.
pub(super) fn search(task: &Task, answer: impl Fn(&Values) -> Option<bool>) -> Found {
    let mut search = Search { task, answer, path: vec![task.original()] };
    let open = search.run().err().map(|Open(values)| values);
    Found { path: search.path, open }
}

/// An answer that is not there yet.
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

    /// The best with the distances of a part's numbers halved so many times.
    fn halved(&self, part: &[usize], times: u32) -> Values {
        let mut values = self.best().clone();
        for number in part {
            let least = self.task.numbers[*number].least;
            values[*number] = least + (values[*number] - least).checked_shr(times).unwrap_or(0);
        }
        values
    }

    /// Brings the numbers of a part down together: to their least, else by as many halvings as are accepted (half of those
    /// that were not, a quarter and so on; then by bisection).
    fn halve(&mut self, part: &[usize]) -> Result<(), Open> {
        let distance = |number: &usize| self.best()[*number] - self.task.numbers[*number].least;
        // So many halvings leave nothing of any.
        let most = part.iter().map(|number| u64::BITS - distance(number).leading_zeros()).max().unwrap_or(0);
        // All of them from where it stands now.
        let candidates: Vec<Values> = (0..=most).map(|times| self.halved(part, times)).collect();
        let mut take = |times: u32| self.take(candidates[times as usize].clone());
        // Several numbers that only just give way together are better tried one by one.
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

    /// The best with a quarter less of one number's distance, at least 1; the best itself where there is none left.
    fn less_a_quarter(&self, number: usize) -> Values {
        let mut values = self.best().clone();
        let distance = values[number] - self.task.numbers[number].least;
        values[number] -= (distance / 4).max(1).min(distance);
        values
    }

    /// Takes a candidate if it hangs as often as is wanted. The best itself is nothing new.
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

/// All, then halves, quarters and so on, down to single numbers.
fn parts(order: &[usize]) -> impl Iterator<Item = &[usize]> {
    let sizes = std::iter::successors(Some(order.len()), |size| (*size > 1).then(|| size.div_ceil(2)));
    sizes.flat_map(|size| order.chunks(size))
}

/// Numbers in the order in which they are tried: what a run's time hangs on is to go first. The largest is taken for the
/// iterations; the others follow as they stand in the command, where threads come first in most benchmarks.
fn order(task: &Task) -> Vec<usize> {
    let distance = |number: usize| task.numbers[number].from - task.numbers[number].least;
    let mut order: Vec<usize> = (0..task.numbers.len()).collect();
    // Of equal ones the first.
    let largest = order.iter().copied().max_by_key(|number| (distance(*number), std::cmp::Reverse(*number)));
    order.sort_by_key(|number| Some(*number) != largest);
    order
}
