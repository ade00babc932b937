//! The smallest numbers with which a command still hangs: what is to be run next, and what was found. Pure: the journal of
//! the runs in, the next run out, so that to go on after a kill is to read the journal again.
//!
//! - [`command`]: which words of a command are its numbers
//! - [`judge`]: whether the runs of a candidate show that it hangs as often as is wanted
//! - [`search`]: which candidate comes next, by delta debugging over the numbers
//! - [`cost`]: the time that runs take, and the deadline that is enough for them
//! - [`lines`]: the sentences, in both languages

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::facts::RunOutcome;
use super::sprt::Sprt;
use super::words::Class;
use crate::text::message::Text;

pub(crate) mod command;
pub(crate) mod cost;
mod judge;
pub(crate) mod lines;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use command::Shape;
pub(crate) use cost::Measure;
pub use judge::{Judged, Verdict, Why};

/// The numbers of a candidate, in the order of [`Task::numbers`].
pub(crate) type Values = Vec<u64>;

/// What is to be shrunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// The numbers that may change, in the order of the command; not empty.
    pub(crate) numbers: Vec<Number>,
    /// Class of the hang; none: that of the first hang of the original command that has one.
    pub(crate) class: Option<Class>,
    /// What a candidate has to pass.
    pub(crate) test: Sprt,
    /// Fresh runs of what the search ends with.
    pub(crate) confirm: u32,
    /// Deadline of a run, seconds; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
}

/// A number of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// As it was given.
    pub(crate) from: u64,
    /// The least that it may become; less than `from`.
    pub(crate) least: u64,
}

impl Task {
    /// The numbers of the original command.
    pub(crate) fn original(&self) -> Values {
        self.numbers.iter().map(|number| number.from).collect()
    }
}

/// A run that was made: a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// Its number, from 1.
    pub(crate) run: u32,
    /// What was run.
    pub(crate) values: Values,
    /// How it ended; never interrupted, such a run is not in the journal.
    pub(crate) outcome: RunOutcome,
    /// Class, if it hung and anything was heard from inside.
    pub(crate) class: Option<Class>,
    /// Wall clock until it ended, or until it was known to hang, seconds.
    pub(crate) seconds: f64,
    /// Deadline that it had, seconds.
    pub(crate) hang_after_s: Option<f64>,
    /// Exit status, 128+n for a signal n.
    pub(crate) rc: Option<i32>,
    /// What the run said about itself.
    pub(crate) note: Option<Text>,
    /// Folder of its evidence in OUT, if there was one; it may have been removed since.
    pub(crate) snapshot: Option<String>,
}

/// What a run is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To see that the original command hangs, and how.
    Reference,
    /// To try a candidate.
    Search,
    /// To count how often the smallest one hangs, apart from the runs that it was chosen by.
    Confirm,
}

/// The run that comes next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    /// What is to be run.
    pub(crate) values: Values,
    /// What for.
    pub(crate) phase: Phase,
    /// Deadline, seconds; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
}

/// How a shrink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// No number can be reduced any further.
    Minimal,
    /// The original command does not hang as often as is wanted.
    BelowRate,
    /// The original command could not be run: it ended with an error of its own.
    Refused,
    /// By Ctrl-C; it can go on.
    Interrupted,
    /// The time was over; it can go on.
    OutOfTime,
}

/// A candidate that was decided on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// Its numbers.
    pub(crate) values: Values,
    /// What its runs say.
    pub(crate) judged: Judged,
}

/// What a journal says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// Class that is looked for; none as long as none was seen.
    pub(crate) class: Option<Class>,
    /// What was accepted, in order: the original first, the smallest last; empty before the original was.
    pub(crate) path: Vec<Values>,
    /// Whether the smallest one's rate was counted by fresh runs.
    pub(crate) confirmed: bool,
    /// All candidates of which there are runs, in the order of their first.
    pub(crate) candidates: Vec<Candidate>,
    /// What comes next, or how it ended.
    pub(crate) next: Result<Ask, End>,
}

impl State {
    /// The smallest that was accepted; the original before anything was.
    pub(crate) fn best(&self, task: &Task) -> Values {
        self.path.last().cloned().unwrap_or_else(|| task.original())
    }

    /// What the runs of a candidate say; none if there are none.
    pub(crate) fn judged(&self, values: &Values) -> Option<Judged> {
        self.candidates.iter().find(|candidate| candidate.values == *values).map(|c| c.judged)
    }
}

/// What the journal of a task says, and what comes next.
pub(crate) fn look(task: &Task, journal: &[Trial]) -> State {
    let original = task.original();
    let mut by_values: BTreeMap<&Values, Vec<&Trial>> = BTreeMap::new();
    let mut order = vec![];
    for trial in journal {
        let trials = by_values.entry(&trial.values).or_default();
        if trials.is_empty() {
            order.push(&trial.values);
        }
        trials.push(trial);
    }
    let trials = |values: &Values| by_values.get(values).map_or(&[][..], Vec::as_slice);
    let class = task.class.or_else(|| trials(&original).iter().find_map(|trial| named(trial)));
    let judge = |values: &Values| judge::judge(task, class, trials(values), *values == original);
    let candidates =
        order.iter().map(|values| Candidate { values: (*values).clone(), judged: judge(values) }).collect();
    let state = |path: Vec<Values>, confirmed, next| State { class, path, confirmed, candidates, next };
    let ask = |values: Values, phase, path: &[Values]| {
        let hang_after_s = cost::deadline(task, path, journal);
        Ok(Ask { values, phase, hang_after_s })
    };

    match judge(&original).verdict {
        Verdict::Open => return state(vec![], false, ask(original, Phase::Reference, &[])),
        Verdict::Rejected(Why::Refused) => return state(vec![], false, Err(End::Refused)),
        Verdict::Rejected(_) => return state(vec![], false, Err(End::BelowRate)),
        Verdict::Accepted => {}
    }
    let found = search::search(task, |values| match judge(values).verdict {
        Verdict::Accepted => Some(true),
        Verdict::Rejected(_) => Some(false),
        Verdict::Open => None,
    });
    if let Some(candidate) = found.open {
        let next = ask(candidate, Phase::Search, &found.path);
        return state(found.path, false, next);
    }
    let best = found.path.last().cloned().unwrap_or_else(|| task.original());
    if judge(&best).fresh.of < task.confirm {
        let next = ask(best, Phase::Confirm, &found.path);
        return state(found.path, false, next);
    }
    state(found.path, true, Err(End::Minimal))
}

/// The class of a run that hung, if it is one that can be looked for.
fn named(trial: &Trial) -> Option<Class> {
    let class = trial.class.filter(|_| trial.outcome == RunOutcome::Hung)?;
    (!matches!(class, Class::Slow | Class::Unknown)).then_some(class)
}

/// Runs whose evidence is kept, as far as it goes now: the first hang of the original, of the smallest one (of its fresh
/// runs, where one of them hung) and of what is being tried; the first hang of every other class; every run that ended in
/// an error.
pub(crate) fn kept(task: &Task, state: &State, journal: &[Trial]) -> BTreeSet<u32> {
    let same = |trial: &&Trial| state.class.is_some() && trial.class == state.class;
    let hung = |trial: &&Trial| trial.outcome == RunOutcome::Hung;
    let of = |values: &Values, after: usize| {
        let mut trials = journal.iter().filter(|trial| trial.values == *values).skip(after);
        trials.find(|trial| hung(trial) && (same(trial) || state.class.is_none())).map(|trial| trial.run)
    };
    let best = state.best(task);
    let test = state.judged(&best).map_or(0, |judged| judged.test.of as usize);
    let tried = state.next.as_ref().ok().and_then(|ask| of(&ask.values, 0));
    let told = [of(&task.original(), 0), of(&best, test).or_else(|| of(&best, 0)), tried];
    let mut others = BTreeSet::new();
    let others = journal.iter().filter(hung).filter(|trial| !same(trial) && others.insert(trial.class));
    let in_error = |trial: &&Trial| matches!(trial.outcome, RunOutcome::Crashed | RunOutcome::Failed);
    let errors = journal.iter().filter(in_error);
    told.into_iter().flatten().chain(others.chain(errors).map(|trial| trial.run)).collect()
}
