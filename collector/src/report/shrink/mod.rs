//! What a shrink says: `shrink.json` here; `text`: `shrink.md` and `shrink.ja.md`, and the summary on the terminal.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::analysis::shrink::command::shell_line;
use crate::analysis::shrink::lines::Line;
use crate::analysis::shrink::{
    End, Measure, Shape, State, Task, Trial, Values, Verdict, Why, cost, deadline,
};
use crate::analysis::stats::Counts;
use crate::analysis::{Class, RunOutcome};
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::launch::preload;
use crate::text::message::Lang;
use crate::text::message::{Say as _, Text, say};

#[cfg(test)]
mod tests;
mod text;

/// `shrink.json`. Times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShrinkFile {
    /// `hangscope/shrink/1`.
    pub(crate) schema: String,
    /// Short name of the allocator.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) end: End,
    /// Class that was looked for; null if none was seen.
    pub(crate) class: Option<Class>,
    /// Rate that is wanted, 0 to 1.
    pub(crate) rate: f64,
    /// Confidence of the test and of the intervals.
    pub(crate) confidence: f64,
    /// The original command.
    pub(crate) before: Side,
    /// The smallest that was accepted; the original where none was.
    pub(crate) after: Side,
    /// Every number of the command.
    pub(crate) numbers: Vec<NumberLine>,
    /// What was accepted, in order, the original first.
    pub(crate) steps: Vec<Step>,
    /// The sequential test.
    pub(crate) test: Test,
    /// Fresh runs of the smallest one.
    pub(crate) confirm: u32,
    /// Commands that were tried.
    pub(crate) candidates: u32,
    /// Runs that were made.
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
    /// Its words.
    pub(crate) command: Vec<String>,
    /// As a line for a shell.
    pub(crate) line: String,
    /// What its runs say.
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
    /// As it was given.
    pub(crate) from: u64,
    /// As it is now.
    pub(crate) to: u64,
    /// The least that it might have become; null if it was to stay as it is.
    pub(crate) least: Option<u64>,
}

/// A candidate that was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// As a line for a shell.
    pub(crate) line: String,
    /// Hangs in its test.
    pub(crate) hung: u32,
    /// Runs of its test.
    pub(crate) of: u32,
    /// Deadline of what came after it; null where only a stall counts.
    pub(crate) next_hang_after_s: Option<f64>,
}

/// The sequential test, as in [`crate::analysis::sprt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Test {
    /// `wald-sprt`.
    pub(crate) method: String,
    /// Accepted at this rate.
    pub(crate) rate: f64,
    /// Rejected at this one.
    pub(crate) below: f64,
    /// Error on either side.
    pub(crate) error: f64,
    /// Fewest runs that are accepted.
    pub(crate) fewest: u32,
    /// Most runs of a candidate.
    pub(crate) most: u32,
}

/// Hangs of another class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OtherClass {
    /// The class.
    pub(crate) class: Option<Class>,
    /// Runs.
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
    /// The run.
    pub(crate) run: u32,
    /// As a line for a shell.
    pub(crate) line: String,
    /// What is known of it, in English.
    #[serde(serialize_with = "english")]
    pub(crate) note: Text,
}

/// What the file is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// Short name of the allocator.
    pub(crate) name: &'a str,
    /// The command.
    pub(crate) shape: &'a Shape,
    /// What was to be done.
    pub(crate) task: &'a Task,
    /// The runs.
    pub(crate) journal: &'a [Trial],
    /// What they say.
    pub(crate) state: &'a State,
    /// Runs whose evidence is there.
    pub(crate) evidence: &'a BTreeSet<u32>,
    /// How it ended.
    pub(crate) end: End,
    /// Rate that is wanted.
    pub(crate) rate: f64,
    /// Confidence.
    pub(crate) confidence: f64,
    /// The words of a command that catches a hang, up to the benchmark's and without a deadline.
    pub(crate) catch: &'a [String],
    /// The words of the command with which it goes on.
    pub(crate) go_on: &'a [String],
}

impl ShrinkFile {
    /// Of what was found.
    pub(crate) fn of(told: &Told<'_>) -> ShrinkFile {
        let Told { shape, task, journal, state, .. } = *told;
        let best = state.best(task);
        let side = |values: &Values| Side {
            command: shape.command(values),
            line: shape.line(values),
            measure: cost::measure(task, state, journal, values, told.confidence),
            snapshot: journal
                .iter()
                .filter(|t| t.values == *values && t.outcome == RunOutcome::Hung && t.class == state.class)
                .find(|t| told.evidence.contains(&t.run))
                .and_then(|t| t.snapshot.clone()),
        };
        let numbers = shape.places().iter().map(|place| NumberLine {
            argument: place.argument,
            from: place.number.from,
            to: shape.value(place.argument, &best).unwrap_or(place.number.from),
            least: place.free.then_some(place.number.least),
        });
        let deadline = deadline::deadline(task, &state.path, journal);
        let after = side(&best);
        let mut catch = told.catch.to_vec();
        if let Some(seconds) = deadline {
            let text = preload::duration(Duration::from_secs_f64(seconds));
            catch.extend(["--hang-after".to_owned(), text]);
        }
        catch.push("--".to_owned());
        catch.extend(after.command.iter().cloned());
        let unfinished = matches!(told.end, End::Interrupted | End::OutOfTime);
        ShrinkFile {
            schema: "hangscope/shrink/1".to_owned(),
            name: told.name.to_owned(),
            end: told.end,
            class: state.class,
            rate: told.rate,
            confidence: told.confidence,
            before: side(&task.original()),
            after,
            numbers: numbers.collect(),
            steps: steps(told),
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
            other_classes: other_classes(told),
            errors: errors(told),
            catch: shell_line(&catch),
            go_on: unfinished.then(|| shell_line(told.go_on)),
        }
    }

    /// Writes the three files to OUT.
    ///
    /// # Errors
    /// [`WriteError`]; a file is written whole or not at all.
    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join("shrink.json"), self)?;
        for (name, lang) in [("shrink.md", Lang::En), ("shrink.ja.md", Lang::Ja)] {
            atomic::write(&out.join(name), self.markdown(lang).as_bytes())?;
        }
        Ok(())
    }
}

fn steps(told: &Told<'_>) -> Vec<Step> {
    let deadlines = deadline::deadlines(told.task, &told.state.path, told.journal);
    let steps = told.state.path.iter().zip(deadlines);
    steps
        .map(|(values, next_hang_after_s)| {
            let judged = told.state.judged(values);
            let Counts { hung, of } = judged.map_or(Counts { hung: 0, of: 0 }, |judged| judged.test);
            Step { line: told.shape.line(values), hung, of, next_hang_after_s }
        })
        .collect()
}

fn other_classes(told: &Told<'_>) -> Vec<OtherClass> {
    let mut others: Vec<OtherClass> = vec![];
    let class = told.state.class;
    let other = |t: &&Trial| t.outcome == RunOutcome::Hung && (class.is_none() || t.class != class);
    for trial in told.journal.iter().filter(other) {
        match others.iter_mut().find(|other| other.class == trial.class) {
            Some(other) => other.count += 1,
            None => others.push(OtherClass {
                class: trial.class,
                count: 1,
                run: trial.run,
                line: told.shape.line(&trial.values),
            }),
        }
    }
    others
}

fn errors(told: &Told<'_>) -> Vec<ErrorLine> {
    let rejected = told.state.candidates.iter().filter(|candidate| {
        matches!(candidate.judged.verdict, Verdict::Rejected(Why::Refused | Why::Crashed))
    });
    rejected
        .filter_map(|candidate| {
            let in_error = |t: &&Trial| matches!(t.outcome, RunOutcome::Failed | RunOutcome::Crashed);
            let trial = told.journal.iter().filter(in_error).find(|t| t.values == candidate.values)?;
            let line = told.shape.line(&trial.values);
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
