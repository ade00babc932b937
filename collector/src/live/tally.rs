//! Totals of a job. Names come from the processes, so their number is bounded.

use std::collections::BTreeMap;

use super::model::{Counts, HangCount, RunCount};

/// Most names of one kind: allocators, labels. A further one counts as `other`.
const MOST_NAMES: usize = 64;
/// Most combinations of names. A further one counts as `other` in all of them.
const MOST_HANGS: usize = 512;
/// The name of all names beyond the limit.
const OTHER: &str = "other";
/// Most characters of a name.
const MOST_CHARS: usize = 80;

#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) sessions: u64,
    pub(super) open: u64,
    names: [Vec<String>; 2],
    hangs: BTreeMap<[String; 3], u64>,
    runs: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn hang(&mut self, allocator: &str, label: &str, class: &str) {
        let [allocators, labels] = &mut self.names;
        let mut key = [known(allocators, allocator), known(labels, label), class.to_owned()];
        if !self.hangs.contains_key(&key) && self.hangs.len() >= MOST_HANGS {
            key = [OTHER; 3].map(str::to_owned);
        }
        *self.hangs.entry(key).or_default() += 1;
    }

    pub(super) fn run(&mut self, outcome: &'static str) {
        *self.runs.entry(outcome).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        let hang = |(key, hangs): (&[String; 3], &u64)| {
            let [allocator, label, class] = key.clone();
            HangCount { allocator, label, class, hangs: *hangs }
        };
        let run =
            |(outcome, runs): (&&'static str, &u64)| RunCount { outcome: (*outcome).to_owned(), runs: *runs };
        Counts {
            sessions: self.sessions,
            open: self.open,
            hangs: self.hangs.iter().map(hang).collect(),
            runs: self.runs.iter().map(run).collect(),
            ..Counts::default()
        }
    }
}

/// The name, if it is one of the first.
fn known(names: &mut Vec<String>, name: &str) -> String {
    let name: String = name.chars().take(MOST_CHARS).collect();
    if names.contains(&name) {
        return name;
    }
    if names.len() >= MOST_NAMES {
        return OTHER.to_owned();
    }
    names.push(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_each_and_their_number_is_bounded() {
        let mut tally = Tally::default();
        for round in 0..2 {
            for number in 0..1000 {
                tally.hang("hz4", &format!("label {number}{}", "x".repeat(1000)), "deadlock");
            }
            assert_eq!(tally.hangs.len(), MOST_NAMES + 1, "{round}");
        }
        let counts = tally.counts();
        assert_eq!(counts.hangs.iter().map(|of| of.hangs).sum::<u64>(), 2000);
        assert_eq!(counts.hangs.iter().find(|of| of.label == OTHER).unwrap().hangs, 2 * (1000 - 64));
        assert!(counts.hangs.iter().all(|of| of.label.chars().count() <= MOST_CHARS));
        for number in 0..1000 {
            tally.hang(&format!("a{number}"), &format!("label {number}"), &format!("class {number}"));
        }
        assert_eq!(tally.hangs.len(), MOST_HANGS + 1);
    }
}
