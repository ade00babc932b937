//! Chooses the strategy of `--stir auto`. All candidates are compared under one strategy, because a change of
//! the strategy changes the rate. So runs of the original command choose it, before those that count.

use super::task::Trial;
use crate::analysis::choice::{Chooser, Seen};
use crate::analysis::facts::RunOutcome;
use crate::analysis::stats::Counts;
use crate::analysis::stir::Strategy;
use crate::analysis::words::Class;

/// The choice ends when one strategy has so many hangs ...
const HANGS: u32 = 3;
/// ... or after so many runs for each strategy.
const RUNS: usize = 4;

/// What the runs so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The strategy of the next run of this phase.
    Next(Strategy),
    /// The phase is over, and the runs that count have this one.
    Best(Strategy),
}

/// Reads the runs of the phase, in their order; `class` is that of the hangs that count, none for all.
///
/// A shrink needs a high rate of hangs for each run, not for the time. So each run counts as one second.
pub(super) fn choose(trials: &[&Trial], class: Option<Class>) -> Option<Chosen> {
    let mut chooser = Chooser::new(Strategy::ALL);
    for (trial, strategy) in trials.iter().filter_map(|trial| Some((trial, trial.strategy?))) {
        chooser.begins(strategy);
        chooser.ended(strategy, Seen { hung: hung(trial, class), near: false, seconds: 1.0 });
    }
    let most = counts(trials.iter().copied(), class).into_iter().map(|(_, counts)| counts.hung).max();
    if most.unwrap_or(0) >= HANGS || trials.len() >= RUNS * Strategy::ALL.len() {
        return chooser.best().map(Chosen::Best);
    }
    // One that has just hung is tried again at once: where most runs hang, there is nothing to search for.
    let again = trials.last().filter(|trial| hung(trial, class)).and_then(|trial| trial.strategy);
    again.or_else(|| chooser.choose()).map(Chosen::Next)
}

/// How often the original command hung under each strategy while one was chosen.
pub(crate) fn chosen_by(journal: &[Trial], class: Option<Class>) -> Vec<(Strategy, Counts)> {
    counts(journal.iter().filter(|trial| trial.chooses), class)
}

fn counts<'a>(
    trials: impl Iterator<Item = &'a Trial> + Clone,
    class: Option<Class>,
) -> Vec<(Strategy, Counts)> {
    let of = |strategy: Strategy| {
        let runs = || trials.clone().filter(move |trial| trial.strategy == Some(strategy));
        let hung = runs().filter(|trial| hung(trial, class)).count() as u32;
        (strategy, Counts { hung, of: runs().count() as u32 })
    };
    Strategy::ALL.into_iter().map(of).filter(|(_, counts)| counts.of > 0).collect()
}

fn hung(trial: &Trial, class: Option<Class>) -> bool {
    trial.outcome == RunOutcome::Hung && (class.is_none() || trial.class == class)
}
