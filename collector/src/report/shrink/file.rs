//! `shrink.json`: how a shrink ended, and what is known of the command before and after.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hangscope_protocol::duration;
use serde::{Deserialize, Serialize};

use crate::analysis::shrink::command::shell_line;
use crate::analysis::shrink::lines::Line;
use crate::analysis::shrink::{
    Acceptance, End, Measure, Rejection, Shape, State, Task, Trial, Values, choose, cost, deadline,
};
use crate::analysis::stats::Counts;
use crate::analysis::{Class, RunOutcome, Strategy};
use crate::files::atomic::{self, WriteError};
use crate::text::message::Lang;
use crate::text::message::{Say as _, Text, say};

/// `shrink.json`. Times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShrinkFile {
    /// `hangscope/shrink/1`.
    pub(crate) schema: String,
    /// Short name of the allocator.
    pub(crate) name: String,
    pub(crate) end: End,
    /// Class that was looked for; null if none was seen.
    pub(crate) class: Option<Class>,
    /// Rate that is wanted, 0 to 1.
    pub(crate) rate: f64,
    /// Confidence of the test and of the intervals.
    pub(crate) confidence: f64,
    pub(crate) before: Side,
    /// The smallest that was accepted; the original where none was.
    pub(crate) after: Side,
    /// What `--stir auto` chose; absent where nothing was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<Strategy>,
    /// How often the original command hung under each strategy, in the runs that chose one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) strategies: Vec<StrategyLine>,
    /// Every number of the command.
    pub(crate) numbers: Vec<NumberLine>,
    /// What was accepted, in order, the original first.
    pub(crate) steps: Vec<Step>,
    pub(crate) test: Test,
    /// Fresh runs of the smallest one.
    pub(crate) confirm: u32,
    /// Commands that were tried.
    pub(crate) candidates: u32,
    pub(crate) runs: u32,
    /// Wall clock of all of them together.
    pub(crate) seconds: f64,
    /// Hangs of other classes; null is one of which no class is known.
    pub(crate) other_classes: Vec<OtherClass>,
    /// Candidates that ended in an error.
    pub(crate) errors: Vec<ErrorLine>,
    /// A line for a shell that catches the hang of `after` again.
    pub(crate) catch: String,
    /// A line for a shell with which it goes on; null where there is nothing more to do.
    pub(crate) go_on: Option<String>,
}

/// A command and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) command: Vec<String>,
    pub(crate) line: String,
    #[serde(flatten)]
    pub(crate) measure: Measure,
    /// Folder in OUT of its first hang; null if it has none.
    pub(crate) snapshot: Option<String>,
}

/// A number of the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NumberLine {
    /// Index of the argument, from 1.
    pub(crate) argument: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The least that it might have become; null if it was to stay as it is.
    pub(crate) least: Option<u64>,
}

/// The runs with a strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StrategyLine {
    pub(crate) strategy: Strategy,
    pub(crate) hung: u32,
    pub(crate) of: u32,
}

/// A candidate that was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) line: String,
    pub(crate) hung: u32,
    pub(crate) of: u32,
    /// Deadline of what came after it; null where only a stall counts.
    pub(crate) next_hang_after_s: Option<f64>,
}

/// The sequential test, as in [`crate::analysis::sprt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Test {
    /// `wald-sprt`.
    pub(crate) method: String,
    pub(crate) rate: f64,
    pub(crate) below: f64,
    pub(crate) error: f64,
    /// Fewest runs that are accepted.
    pub(crate) fewest: u32,
    /// Most runs of a candidate.
    pub(crate) most: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OtherClass {
    pub(crate) class: Option<Class>,
    pub(crate) count: u32,
    /// The first of them; its evidence is kept.
    pub(crate) run: u32,
    /// What was run then, as a line for a shell.
    pub(crate) line: String,
}

/// A candidate that ended in an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorLine {
    /// `failed` or `crashed`.
    pub(crate) outcome: RunOutcome,
    pub(crate) run: u32,
    pub(crate) line: String,
    /// What is known of it, in English.
    #[serde(serialize_with = "english")]
    pub(crate) note: Text,
}

/// What the file is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// Short name of the allocator.
    pub(crate) name: &'a str,
    pub(crate) shape: &'a Shape,
    pub(crate) task: &'a Task,
    pub(crate) journal: &'a [Trial],
    pub(crate) state: &'a State,
    /// Runs whose evidence is there.
    pub(crate) evidence: &'a BTreeSet<u32>,
    pub(crate) end: End,
    pub(crate) rate: f64,
    pub(crate) confidence: f64,
    /// The words of a command that catches a hang, up to the benchmark's and without a deadline.
    pub(crate) catch: &'a [String],
    /// The words of the command with which it goes on.
    pub(crate) go_on: &'a [String],
}

impl ShrinkFile {
    pub(crate) fn of(inputs: &Inputs<'_>) -> ShrinkFile {
        let Inputs { shape, task, journal, state, .. } = *inputs;
        let best = state.best(task);
        let side = |values: &Values| Side {
            command: shape.command(values),
            line: shape.line(values),
            measure: cost::measure(task, state, journal, values, inputs.confidence),
            snapshot: journal
                .iter()
                .filter(|t| t.values == *values && t.outcome == RunOutcome::Hung && t.class == state.class)
                .find(|t| inputs.evidence.contains(&t.run))
                .and_then(|t| t.snapshot.clone()),
        };
        let numbers = shape.slots().iter().map(|slot| NumberLine {
            argument: slot.argument,
            from: slot.number.from,
            to: shape.value(slot.argument, &best).unwrap_or(slot.number.from),
            least: slot.free.then_some(slot.number.least),
        });
        let deadline = deadline::deadline(task, &state.path, &deadline::counting(journal));
        let after = side(&best);
        let mut catch = inputs.catch.to_vec();
        if let Some(strategy) = state.strategy {
            catch.extend(["--stir".to_owned(), strategy.to_string()]);
        }
        let strategies = choose::chosen_by(journal, state.class).into_iter();
        if let Some(seconds) = deadline {
            let text = duration::Text(Duration::from_secs_f64(seconds)).to_string();
            catch.extend(["--hang-after".to_owned(), text]);
        }
        catch.push("--".to_owned());
        catch.extend(after.command.iter().cloned());
        let unfinished = matches!(inputs.end, End::Interrupted | End::OutOfTime);
        ShrinkFile {
            schema: "hangscope/shrink/1".to_owned(),
            name: inputs.name.to_owned(),
            end: inputs.end,
            class: state.class,
            rate: inputs.rate,
            confidence: inputs.confidence,
            before: side(&task.original()),
            after,
            strategy: state.strategy,
            strategies: strategies
                .map(|(strategy, Counts { hung, of })| StrategyLine { strategy, hung, of })
                .collect(),
            numbers: numbers.collect(),
            steps: steps(inputs),
            test: Test {
                method: "wald-sprt".to_owned(),
                rate: task.test.rate,
                below: task.test.below,
                // As it was given: 1 - 0.95 is not quite 0.05.
                error: (task.test.error * 1e12).round() / 1e12,
                fewest: task.test.fewest(),
                most: task.test.most(),
            },
            confirm: task.confirm,
            candidates: state.candidates.len() as u32,
            runs: journal.len() as u32,
            seconds: journal.iter().map(|trial| trial.seconds).sum(),
            other_classes: other_classes(inputs),
            errors: errors(inputs),
            catch: shell_line(&catch),
            go_on: unfinished.then(|| shell_line(inputs.go_on)),
        }
    }

    /// Writes the three files to OUT.
    ///
    /// # Errors
    /// [`WriteError`]; a file is written whole or not at all.
    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join("shrink.json"), self)?;
        for (name, lang) in [("shrink.md", Lang::En), ("shrink.ja.md", Lang::Ja)] {
            atomic::write_text(&out.join(name), &self.markdown(lang))?;
        }
        Ok(())
    }
}

fn steps(inputs: &Inputs<'_>) -> Vec<Step> {
    let counting = deadline::counting(inputs.journal);
    let deadlines = deadline::deadlines(inputs.task, &inputs.state.path, &counting);
    let steps = inputs.state.path.iter().zip(deadlines);
    steps
        .map(|(values, next_hang_after_s)| {
            let judged = inputs.state.judged(values);
            let Counts { hung, of } = judged.map_or(Counts { hung: 0, of: 0 }, |judged| judged.test);
            Step { line: inputs.shape.line(values), hung, of, next_hang_after_s }
        })
        .collect()
}

fn other_classes(inputs: &Inputs<'_>) -> Vec<OtherClass> {
    let mut others: Vec<OtherClass> = vec![];
    let class = inputs.state.class;
    let other = |t: &&Trial| t.outcome == RunOutcome::Hung && (class.is_none() || t.class != class);
    for trial in inputs.journal.iter().filter(other) {
        match others.iter_mut().find(|other| other.class == trial.class) {
            Some(other) => other.count += 1,
            None => others.push(OtherClass {
                class: trial.class,
                count: 1,
                run: trial.run,
                line: inputs.shape.line(&trial.values),
            }),
        }
    }
    others
}

fn errors(inputs: &Inputs<'_>) -> Vec<ErrorLine> {
    let rejected = inputs.state.candidates.iter().filter(|candidate| {
        matches!(candidate.judged.acceptance, Acceptance::Rejected(Rejection::Refused | Rejection::Crashed))
    });
    rejected
        .filter_map(|candidate| {
            let in_error = |t: &&Trial| matches!(t.outcome, RunOutcome::Failed | RunOutcome::Crashed);
            let trial = inputs.journal.iter().filter(in_error).find(|t| t.values == candidate.values)?;
            let line = inputs.shape.line(&trial.values);
            Some(ErrorLine { outcome: trial.outcome, run: trial.run, line, note: error_note(trial) })
        })
        .collect()
}

/// What is known of a run that ended in an error.
pub(crate) fn error_note(trial: &Trial) -> Text {
    let status = trial.rc.map_or_else(|| Line::NoStatus {}.said(), |rc| say!(Line::Status { rc }).said());
    let all: Vec<Text> = std::iter::once(status).chain(trial.note.clone()).collect();
    Text::joined(&all).unwrap_or_default()
}

fn english<S: serde::Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    text.en().serialize(serializer)
}
