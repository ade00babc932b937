//! `bisect.json`: how a search ended, and what is known of every build.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lines::Line;
use crate::analysis::RunOutcome;
use crate::analysis::bisect::{Built, End, Entry, Group, Hypothesis, State, Task};
use crate::analysis::shrink::command::shell_line;
use crate::analysis::stats::{CONFIDENCE, Counts, Rate};
use crate::files::atomic::{self, WriteError};
use crate::text::message::{Lang, Say as _, Text, say};

/// Most candidates in the file.
const MOST_CANDIDATES: usize = 10;

/// Times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BisectFile {
    /// `hangscope/bisect/1`.
    pub(crate) schema: String,
    /// Short name of the allocator.
    pub(crate) name: String,
    pub(crate) end: End,
    /// Wanted posterior, 0 to 1.
    pub(crate) confidence: f64,
    /// The most probable answers, the first one first.
    pub(crate) candidates: Vec<Candidate>,
    /// Posterior of no difference between the builds.
    pub(crate) no_difference: f64,
    /// Counted runs without and with the most probable change; null if that is none.
    pub(crate) before: Option<Rate>,
    pub(crate) after: Option<Rate>,
    /// Builds that were made or tried, in order.
    pub(crate) builds: Vec<BuildLine>,
    pub(crate) runs: u32,
    /// Hangs of any signature.
    pub(crate) hangs: u32,
    /// Runs that count for no rate.
    pub(crate) not_counted: u32,
    /// The signature that counts; null: all hangs count.
    pub(crate) signature: Option<String>,
    pub(crate) signatures: Vec<SignatureLine>,
    /// Wall clock of all runs and builds.
    pub(crate) seconds: f64,
    /// What later runs would have to show for another answer.
    pub(crate) would_change_it: Vec<Text>,
    /// A line for a shell that goes on; null where the search is over.
    pub(crate) go_on: Option<String>,
}

/// What may have made it hang.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) what: Text,
    pub(crate) posterior: f64,
    /// The commits that may have brought it: several that no run can tell apart. Empty for a setting.
    pub(crate) commits: Vec<Named>,
}

/// A build, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// Short hash, or the settings.
    pub(crate) label: String,
    /// Folder below `builds`.
    pub(crate) key: String,
    pub(crate) hash: String,
    pub(crate) subject: String,
    /// Author date.
    pub(crate) date: String,
    pub(crate) merge: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuildLine {
    #[serde(flatten)]
    pub(crate) build: Named,
    /// SHA-1 of the DSO; null if the build failed.
    pub(crate) sha1: Option<String>,
    /// Why it was skipped.
    pub(crate) skipped: Option<Text>,
    #[serde(flatten)]
    pub(crate) rate: Rate,
    /// That this commit brought the change; 0 for settings.
    pub(crate) posterior: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignatureLine {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) hangs: u32,
    pub(crate) counted: u32,
}

/// A setting: its name and its values.
pub(crate) type FlagText = (String, Vec<String>);

/// What the file is made from.
pub(crate) struct Inputs<'a> {
    pub(crate) name: &'a str,
    pub(crate) names: &'a dyn Fn(usize) -> Named,
    pub(crate) flags: &'a [FlagText],
    pub(crate) task: &'a Task,
    pub(crate) journal: &'a [Entry],
    pub(crate) state: &'a State,
    pub(crate) end: End,
    /// The words of the command with which it goes on.
    pub(crate) go_on: &'a [String],
}

/// What a group stands for. `label` names a build.
pub(crate) fn group_label(
    task: &Task,
    flags: &[FlagText],
    label: &dyn Fn(usize) -> String,
    group: &Group,
) -> Text {
    let hypotheses = task.search.space.hypotheses();
    let of = |index: usize| match hypotheses[index] {
        Hypothesis::Same => Line::NoChange {}.said(),
        Hypothesis::Each => Line::NoSetting {}.said(),
        Hypothesis::From(first) => Text::Same(label(first)),
        Hypothesis::Setting { setting, value, is } => {
            let (name, value) = (&flags[setting].0, &flags[setting].1[value]);
            if is { Text::Same(format!("{name}={value}")) } else { say!(Line::Other { name, value }).said() }
        }
    };
    match &group.members[..] {
        [first, .., last] => say!(Line::Range { first: of(*first), last: of(*last) }).said(),
        one => one.first().map(|one| of(*one)).unwrap_or_default(),
    }
}

impl BisectFile {
    pub(crate) fn of(inputs: &Inputs<'_>) -> BisectFile {
        let Inputs { task, state, journal, .. } = *inputs;
        let space = &task.search.space;
        let label = |build: usize| (inputs.names)(build).label;
        let candidate = |group: &Group| Candidate {
            what: group_label(task, inputs.flags, &label, group),
            posterior: group.posterior,
            commits: (group.members.iter())
                .filter_map(|index| match space.hypotheses()[*index] {
                    Hypothesis::From(first) => Some((inputs.names)(first)),
                    Hypothesis::Same | Hypothesis::Each | Hypothesis::Setting { .. } => None,
                })
                .collect(),
        };
        let groups = &state.look.groups;
        let first = space.hypotheses()[groups[0].members[0]];
        let counted = state.seen.counts.iter().any(|runs| runs.of > 0);
        let is_change = counted && !matches!(first, Hypothesis::Same | Hypothesis::Each);
        let side = |bad: bool| {
            // Builds inside a range are not made, so any member gives the same sums.
            let of_side = (0..space.builds()).filter(|build| space.is_bad(first, *build) == bad);
            let (hung, of) = of_side.fold((0, 0), |(hung, of), build| {
                (hung + state.seen.counts[build].hung, of + state.seen.counts[build].of)
            });
            is_change.then(|| Rate::exact(hung, of, CONFIDENCE))
        };
        let trials: Vec<_> = journal.iter().filter_map(Entry::trial).collect();
        let signature = state.signature.as_deref();
        let seconds = journal.iter().map(|entry| match entry {
            Entry::Build(make) => make.seconds,
            Entry::Run(trial) => trial.seconds,
        });
        let over = matches!(inputs.end, End::Found | End::NoDifference | End::NotOneSetting);
        BisectFile {
            schema: "hangscope/bisect/1".to_owned(),
            name: inputs.name.to_owned(),
            end: inputs.end,
            confidence: task.search.confidence,
            candidates: groups.iter().take(MOST_CANDIDATES).map(candidate).collect(),
            no_difference: (space.hypotheses().iter().zip(&state.look.belief.weights))
                .filter(|(hypothesis, _)| **hypothesis == Hypothesis::Same)
                .map(|(_, weight)| weight)
                .sum(),
            before: side(false),
            after: side(true),
            builds: builds(inputs),
            runs: trials.len() as u32,
            hangs: trials.iter().filter(|trial| trial.outcome == RunOutcome::Hung).count() as u32,
            not_counted: trials.iter().filter(|trial| trial.hung(signature).is_none()).count() as u32,
            signature: state.signature.clone(),
            signatures: signatures(inputs),
            seconds: seconds.fold(0.0, |sum, seconds| sum + seconds),
            would_change_it: if counted { would_change(inputs) } else { vec![] },
            go_on: (!over).then(|| shell_line(inputs.go_on)),
        }
    }

    /// Writes `bisect.json`, `report.md` and `report.ja.md`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join("bisect.json"), self)?;
        atomic::write_text(&out.join("report.md"), &self.markdown(Lang::En))?;
        atomic::write_text(&out.join("report.ja.md"), &self.markdown(Lang::Ja))
    }
}

fn builds(inputs: &Inputs<'_>) -> Vec<BuildLine> {
    let (space, state) = (&inputs.task.search.space, inputs.state);
    let mut makes: Vec<_> = inputs.journal.iter().filter_map(Entry::make).collect();
    makes.sort_by_key(|make| make.build);
    let line = |make: &&crate::analysis::bisect::Make| {
        let Counts { hung, of } = state.seen.counts[make.build];
        let own = space.hypotheses().iter().position(|h| *h == Hypothesis::From(make.build));
        let useless = state.seen.built[make.build] == Built::Failed && make.failed.is_none();
        BuildLine {
            build: (inputs.names)(make.build),
            sha1: make.sha1.clone(),
            skipped: make.failed.clone().or_else(|| useless.then(|| Line::NotBuilt {}.said())),
            rate: Rate::exact(hung, of, CONFIDENCE),
            posterior: own.map_or(0.0, |own| state.look.belief.weights[own]),
        }
    };
    makes.iter().map(line).collect()
}

fn signatures(inputs: &Inputs<'_>) -> Vec<SignatureLine> {
    let mut lines: BTreeMap<&str, SignatureLine> = BTreeMap::new();
    for trial in inputs.journal.iter().filter_map(Entry::trial) {
        let Some(signed) = trial.signature() else { continue };
        let line = lines.entry(&signed.id).or_insert_with(|| SignatureLine {
            id: signed.id.clone(),
            what: signed.words.clone(),
            hangs: 0,
            counted: 0,
        });
        line.hangs += 1;
        line.counted += u32::from(trial.hung(inputs.state.signature.as_deref()) == Some(true));
    }
    lines.into_values().collect()
}

fn would_change(inputs: &Inputs<'_>) -> Vec<Text> {
    let Some(overturn) = inputs.task.overturn(inputs.state) else { return vec![] };
    let label = |build: usize| (inputs.names)(build).label;
    let hangs =
        overturn.hangs_before.map(|n| say!(Line::HangsBefore { n, label: label(overturn.before) }).said());
    let good = overturn.good_at.map(|n| say!(Line::GoodAt { n, label: label(overturn.at) }).said());
    hangs.into_iter().chain(good).collect()
}
