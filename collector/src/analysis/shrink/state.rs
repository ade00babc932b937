//! What a journal shows: the next run, and the runs whose evidence is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::choose::{self, Chosen};
use super::judge::{self, Acceptance, Judged, Rejection};
use super::task::{Ask, End, Phase, Task, Trial, Values};
use super::{deadline, search};
use crate::analysis::facts::RunOutcome;
use crate::analysis::stir::Strategy;
use crate::analysis::words::Class;

/// A candidate that has runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) values: Values,
    pub(crate) judged: Judged,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// The class of hang that the shrink looks for; none: there was no hang with a class yet.
    pub(crate) class: Option<Class>,
    /// The strategy that was chosen for the runs that count; none: not yet, or it was given.
    pub(crate) strategy: Option<Strategy>,
    /// The accepted candidates: the original first, the smallest last. Empty until the original is accepted.
    pub(crate) path: Vec<Values>,
    /// The fresh runs of the smallest candidate were made.
    pub(crate) confirmed: bool,
    /// All candidates that have runs, in the order of their first run.
    pub(crate) candidates: Vec<Candidate>,
    /// The next run, or how the shrink ended.
    pub(crate) next: Result<Ask, End>,
}

impl State {
    /// The smallest accepted candidate; the original until one is accepted.
    pub(crate) fn best(&self, task: &Task) -> Values {
        self.path.last().cloned().unwrap_or_else(|| task.original())
    }

    /// The judgement of a candidate; none: it has no runs.
    pub(crate) fn judged(&self, values: &Values) -> Option<Judged> {
        self.candidates.iter().find(|candidate| candidate.values == *values).map(|c| c.judged)
    }
}

/// Reads the journal of a task: its state, and the next run.
pub(crate) fn look(task: &Task, journal: &[Trial]) -> State {
    let original = task.original();
    let choosing: Vec<&Trial> = journal.iter().filter(|trial| trial.chooses).collect();
    let journal = deadline::counting(journal);
    let mut by_values: BTreeMap<&Values, Vec<&Trial>> = BTreeMap::new();
    let mut order = vec![];
    for trial in journal.iter().copied() {
        let trials = by_values.entry(&trial.values).or_default();
        if trials.is_empty() {
            order.push(&trial.values);
        }
        trials.push(trial);
    }
    let trials = |values: &Values| by_values.get(values).map_or(&[][..], Vec::as_slice);
    let mut of_original = choosing.iter().chain(trials(&original));
    let class = task.class.or_else(|| of_original.find_map(|trial| named(trial)));
    let chosen = if task.chooses { choose::choose(&choosing, class) } else { None };
    let judge = |values: &Values| judge::judge(task, class, trials(values), *values == original);
    let candidates =
        order.iter().map(|values| Candidate { values: (*values).clone(), judged: judge(values) }).collect();
    let strategy = match chosen {
        Some(Chosen::Best(strategy)) => Some(strategy),
        Some(Chosen::Next(_)) | None => None,
    };
    let state =
        |path: Vec<Values>, confirmed, next| State { class, strategy, path, confirmed, candidates, next };
    let ask = |values: Values, phase, path: &[Values]| {
        let hang_after_s = deadline::deadline(task, path, &journal);
        Ok(Ask { values, phase, strategy, hang_after_s })
    };
    if choosing.iter().any(|trial| trial.outcome == RunOutcome::Failed) {
        return state(vec![], false, Err(End::Refused));
    }
    if let Some(Chosen::Next(strategy)) = chosen {
        let (phase, hang_after_s) = (Phase::Choose, task.hang_after_s);
        let ask = Ask { values: original, phase, strategy: Some(strategy), hang_after_s };
        return state(vec![], false, Ok(ask));
    }

    match judge(&original).acceptance {
        Acceptance::Open => return state(vec![], false, ask(original, Phase::Reference, &[])),
        Acceptance::Rejected(Rejection::Refused) => return state(vec![], false, Err(End::Refused)),
        Acceptance::Rejected(_) => return state(vec![], false, Err(End::BelowRate)),
        Acceptance::Accepted => {}
    }
    let found = search::search(task, |values| match judge(values).acceptance {
        Acceptance::Accepted => Some(true),
        Acceptance::Rejected(_) => Some(false),
        Acceptance::Open => None,
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

/// The class of a hung run; none also for `slow` and `unknown`, which a shrink cannot look for.
fn named(trial: &Trial) -> Option<Class> {
    let class = trial.class.filter(|_| trial.outcome == RunOutcome::Hung)?;
    (!matches!(class, Class::Slow | Class::Unknown)).then_some(class)
}

/// The runs whose evidence is kept at this state of the journal:
///
/// - the first hang of the original, of the smallest candidate and of the candidate that is being tried; of
///   the fresh runs of the smallest candidate, if one of them hung
/// - the first hang of each other class
/// - every run that ended in an error
pub(crate) fn kept(task: &Task, state: &State, journal: &[Trial]) -> BTreeSet<u32> {
    let same = |trial: &&Trial| state.class.is_some() && trial.class == state.class;
    let hung = |trial: &&Trial| trial.outcome == RunOutcome::Hung;
    let of = |values: &Values, after: usize| {
        // The runs that chose the strategy are no part of the test.
        let counts = |trial: &&Trial| trial.values == *values && (after == 0 || !trial.chooses);
        let mut trials = journal.iter().filter(counts).skip(after);
        trials.find(|trial| hung(trial) && (same(trial) || state.class.is_none())).map(|trial| trial.run)
    };
    let best = state.best(task);
    let test = state.judged(&best).map_or(0, |judged| judged.test.of as usize);
    let tried = state.next.as_ref().ok().and_then(|ask| of(&ask.values, 0));
    let first_hangs = [of(&task.original(), 0), of(&best, test).or_else(|| of(&best, 0)), tried];
    let mut others = BTreeSet::new();
    let others = journal.iter().filter(hung).filter(|trial| !same(trial) && others.insert(trial.class));
    let in_error = |trial: &&Trial| matches!(trial.outcome, RunOutcome::Crashed | RunOutcome::Failed);
    let errors = journal.iter().filter(in_error);
    first_hangs.into_iter().flatten().chain(others.chain(errors).map(|trial| trial.run)).collect()
}
