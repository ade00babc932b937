//! What a shrink says: `shrink.json`, `shrink.md` and `shrink.ja.md`, and the summary on the terminal.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::analysis::message::{Say as _, Text, say};
use crate::analysis::shrink::command::shell_line;
use crate::analysis::shrink::lines::Line;
use crate::analysis::shrink::{End, Measure, Shape, State, Task, Trial, Values, Verdict, Why, cost};
use crate::analysis::stats::Counts;
use crate::analysis::verdict::percent;
use crate::analysis::{Class, Lang, RunOutcome};
use crate::preload;
use crate::store::atomic::{self, WriteError};

/// Errors of candidates that are told, each a line.
const MOST_ERRORS: usize = 5;

/// `shrink.json`. Times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShrinkFile {
    /// `hangscope/shrink/1`.
    pub schema: String,
    /// Short name of the allocator.
    pub name: String,
    /// How it ended.
    pub end: End,
    /// Class that was looked for; null if none was seen.
    pub class: Option<Class>,
    /// Rate that is wanted, 0 to 1.
    pub rate: f64,
    /// Confidence of the test and of the intervals.
    pub confidence: f64,
    /// The original command.
    pub before: Side,
    /// The smallest that was accepted; the original where none was.
    pub after: Side,
    /// Every number of the command.
    pub numbers: Vec<NumberLine>,
    /// What was accepted, in order, the original first.
    pub steps: Vec<Step>,
    /// The sequential test.
    pub test: Test,
    /// Fresh runs of the smallest one.
    pub confirm: u32,
    /// Commands that were tried.
    pub candidates: u32,
    /// Runs that were made.
    pub runs: u32,
    /// Wall clock of all of them together.
    pub seconds: f64,
    /// Hangs of other classes; null is one of which no class is known.
    pub other_classes: Vec<OtherClass>,
    /// Candidates that ended in an error.
    pub errors: Vec<ErrorLine>,
    /// A line for a shell that catches the hang of `after` again.
    pub catch: String,
    /// A line for a shell with which it goes on; null where there is nothing more to do.
    pub go_on: Option<String>,
}

/// A command and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Its words.
    pub command: Vec<String>,
    /// As a line for a shell.
    pub line: String,
    /// What its runs say.
    #[serde(flatten)]
    pub measure: Measure,
    /// Folder in OUT of its first hang; null if it has none.
    pub snapshot: Option<String>,
}

/// A number of the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberLine {
    /// Index of the argument, from 1.
    pub argument: usize,
    /// As it was given.
    pub from: u64,
    /// As it is now.
    pub to: u64,
    /// The least that it might have become; null if it was to stay as it is.
    pub least: Option<u64>,
}

/// A candidate that was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// As a line for a shell.
    pub line: String,
    /// Hangs in its test.
    pub hung: u32,
    /// Runs of its test.
    pub of: u32,
    /// Deadline of what came after it; null where only a stall counts.
    pub next_hang_after_s: Option<f64>,
}

/// The sequential test, as in [`crate::analysis::sprt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// `wald-sprt`.
    pub method: String,
    /// Accepted at this rate.
    pub rate: f64,
    /// Rejected at this one.
    pub below: f64,
    /// Error on either side.
    pub error: f64,
    /// Fewest runs that are accepted.
    pub fewest: u32,
    /// Most runs of a candidate.
    pub most: u32,
}

/// Hangs of another class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherClass {
    /// The class.
    pub class: Option<Class>,
    /// Runs.
    pub count: u32,
    /// The first of them; its evidence is kept.
    pub run: u32,
    /// What was run then, as a line for a shell.
    pub line: String,
}

/// A candidate that ended in an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLine {
    /// `failed` or `crashed`.
    pub outcome: RunOutcome,
    /// The run.
    pub run: u32,
    /// As a line for a shell.
    pub line: String,
    /// What is known of it, in English.
    #[serde(serialize_with = "english")]
    pub note: Text,
}

/// What the file is made from.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Short name of the allocator.
    pub name: &'a str,
    /// The command.
    pub shape: &'a Shape,
    /// What was to be done.
    pub task: &'a Task,
    /// The runs.
    pub journal: &'a [Trial],
    /// What they say.
    pub state: &'a State,
    /// Runs whose evidence is there.
    pub evidence: &'a BTreeSet<u32>,
    /// How it ended.
    pub end: End,
    /// Rate that is wanted.
    pub rate: f64,
    /// Confidence.
    pub confidence: f64,
    /// The words of a command that catches a hang, up to the benchmark's and without a deadline.
    pub catch: &'a [String],
    /// The words of the command with which it goes on.
    pub go_on: &'a [String],
}

impl ShrinkFile {
    /// Of what was found.
    pub fn of(told: &Told<'_>) -> ShrinkFile {
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
        let deadline = cost::deadline(task, &state.path, journal);
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

    /// The headline.
    pub fn headline(&self, lang: Lang) -> String {
        let class = self.class.map_or("unknown", Class::as_str);
        let rate = self.after.measure.rate;
        let (hung, of, low, high) = (rate.hung, rate.of, percent(rate.low), percent(rate.high));
        let sure = percent(self.confidence);
        let line = match self.end {
            End::Minimal if self.after.line == self.before.line => {
                say!(Line::NothingLess { class, hung, of, low, high, sure })
            }
            End::Minimal => say!(Line::Smallest { class, hung, of, low, high, sure }),
            End::BelowRate | End::Refused => {
                say!(Line::TooSeldom { hung, of, low, high, sure, rate: percent(self.rate) })
            }
            End::Interrupted | End::OutOfTime if self.steps.is_empty() => {
                say!(Line::NoReference { hung, of })
            }
            End::Interrupted | End::OutOfTime => say!(Line::SoFar { class, hung, of }),
        };
        line.text(lang)
    }

    /// Headline, the command, and what else there is to say: for a terminal.
    pub fn summary(&self, lang: Lang) -> String {
        let mut text = format!("{}\n\n{}\n\n", self.headline(lang), self.after.line);
        for line in self.lines(lang) {
            text += &line;
            text.push('\n');
        }
        text
    }

    /// The lines below the headline.
    fn lines(&self, lang: Lang) -> Vec<String> {
        let mut lines = vec![];
        let mut say = |line: Line| lines.push(line.text(lang));
        say(say!(Line::Before { text: self.before.cost(lang) }));
        if self.after.line != self.before.line {
            say(say!(Line::After { text: self.after.cost(lang) }));
        }
        if self.class.is_some() {
            say(say!(Line::Catch { line: self.catch.as_str() }));
        }
        if let Some(line) = &self.go_on {
            say(say!(Line::GoOn { line }));
        }
        for other in &self.other_classes {
            let class = other.class.map_or("unknown", Class::as_str);
            say(say!(Line::OtherClass {
                class,
                count: other.count,
                run: other.run,
                values: other.line.as_str()
            }));
        }
        for error in self.errors.iter().take(MOST_ERRORS) {
            let (values, note, run) = (error.line.as_str(), error.note.clone(), error.run);
            say(match error.outcome {
                RunOutcome::Crashed => say!(Line::Crashed { values, note, run }),
                _ => say!(Line::Refused { values, note, run }),
            });
        }
        if let Some(more) = self.errors.len().checked_sub(MOST_ERRORS).filter(|more| *more > 0) {
            say(say!(Line::MoreErrors { more }));
        }
        match (&self.before.snapshot, &self.after.snapshot) {
            (Some(before), Some(after)) if before != after => say(say!(Line::Evidence { before, after })),
            (Some(before), _) => say(say!(Line::EvidenceOne { before })),
            (None, _) => {}
        }
        let minutes = format!("{:.1}", self.seconds / 60.0);
        say(say!(Line::Made { runs: self.runs, candidates: self.candidates, minutes }));
        lines
    }

    /// The report.
    pub fn markdown(&self, lang: Lang) -> String {
        let heading = |line: Line| format!("\n{}\n\n", line.text(lang));
        let title = say!(Line::Title { name: self.name.as_str() }).text(lang);
        let mut text = format!("{title}\n\n**{}**\n\n    {}\n\n", self.headline(lang), self.after.line);
        for line in self.lines(lang) {
            text += &format!("{line}\n");
        }
        text += &heading(Line::Arguments {});
        text += &format!("{}\n|---|---|---|---|\n", Line::ArgumentTable {}.text(lang));
        for number in &self.numbers {
            let least = number.least.map_or("-".to_owned(), |least| least.to_string());
            text += &format!("| {} | {} | {} | {least} |\n", number.argument, number.from, number.to);
        }
        if !self.steps.is_empty() {
            text += &heading(Line::Steps {});
            text += &format!("{}\n|---|---|---|\n", Line::StepTable {}.text(lang));
        }
        for step in &self.steps {
            let line = step.line.replace('|', "\\|");
            let deadline = step.next_hang_after_s.map_or("-".to_owned(), |s| seconds(s, lang));
            text += &format!("| `{line}` | {}/{} | {deadline} |\n", step.hung, step.of);
        }
        text += &heading(Line::Method {});
        let Test { rate, below, error, fewest, most, .. } = &self.test;
        let (rate, below, error) = (percent(*rate), percent(*below), percent(*error));
        for line in [
            Line::MethodSearch {},
            say!(Line::MethodTest { rate, below, error, fewest, most }),
            say!(Line::MethodConfirm { runs: self.confirm }),
            Line::MethodDeadline {},
        ] {
            text += &format!("{}\n", line.text(lang));
        }
        text
    }

    /// Writes the three files to OUT.
    ///
    /// # Errors
    /// [`WriteError`]; a file is written whole or not at all.
    pub fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join("shrink.json"), self)?;
        for (name, lang) in [("shrink.md", Lang::En), ("shrink.ja.md", Lang::Ja)] {
            atomic::write(&out.join(name), self.markdown(lang).as_bytes())?;
        }
        Ok(())
    }
}

impl Side {
    fn cost(&self, lang: Lang) -> String {
        let Measure { rate, good_run_s, slow_runs: slow, seconds_per_hang, .. } = self.measure;
        let good = good_run_s.map_or_else(|| Line::NotSeen {}.text(lang), |s| seconds(s, lang));
        let line = match seconds_per_hang {
            Some(s) => say!(Line::Cost { hung: rate.hung, of: rate.of, good, hang: seconds(s, lang) }),
            None => say!(Line::CostNoHang { of: rate.of, good }),
        };
        let text = line.text(lang);
        if slow > 0 { say!(Line::SlowRuns { text, slow }).text(lang) } else { text }
    }
}

fn seconds(s: f64, lang: Lang) -> String {
    say!(Line::Seconds { s: format!("{s:.2}") }).text(lang)
}

fn steps(told: &Told<'_>) -> Vec<Step> {
    let deadlines = cost::deadlines(told.task, &told.state.path, told.journal);
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
pub fn error_note(trial: &Trial) -> Text {
    let status = trial.rc.map_or_else(|| Line::NoStatus {}.said(), |rc| say!(Line::Status { rc }).said());
    let all: Vec<Text> = std::iter::once(status).chain(trial.note.clone()).collect();
    Text::joined(&all).unwrap_or_default()
}

fn english<S: serde::Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    text.en().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::shrink::{self, Ask};
    use crate::analysis::sprt::Sprt;

    /// Shrinks `./bench 16 2000 64 --x=3` (the last stays) in the head, at most so many runs.
    fn shrunk(
        most: usize,
        end: Option<End>,
        bench: impl Fn(&Ask, u32) -> (RunOutcome, Option<Class>),
    ) -> ShrinkFile {
        let command = ["./bench", "16", "2000", "64", "--x=3"].map(str::to_owned);
        let shape = Shape::of(&command, 1, &[4], &[]).unwrap();
        let task = Task {
            numbers: shape.numbers(),
            class: None,
            test: Sprt::of(0.5, 0.95),
            confirm: 6,
            hang_after_s: Some(5.0),
        };
        let mut journal: Vec<Trial> = vec![];
        let mut state = shrink::look(&task, &journal);
        while let Some(ask) = state.next.clone().ok().filter(|_| journal.len() < most) {
            let run = journal.len() as u32 + 1;
            let (outcome, class) = bench(&ask, run);
            let hung = outcome == RunOutcome::Hung;
            let seconds = match outcome {
                RunOutcome::Hung => ask.hang_after_s.unwrap() + 2.0,
                _ => ask.values[1] as f64 / 1000.0,
            };
            journal.push(Trial {
                run,
                values: ask.values,
                outcome,
                class,
                seconds,
                hang_after_s: ask.hang_after_s,
                rc: (!hung).then_some(if outcome == RunOutcome::Failed { 2 } else { 0 }),
                note: (outcome == RunOutcome::Failed).then(|| Text::Same("bench: too few".to_owned())),
                snapshot: hung.then(|| format!("hang_run_{run}")),
            });
            state = shrink::look(&task, &journal);
        }
        let catch = ["hangscope", "hunt", "--so", "my lib.so"].map(str::to_owned);
        let go_on = ["hangscope", "shrink", "--resume", "/out"].map(str::to_owned);
        ShrinkFile::of(&Told {
            name: "hz4",
            shape: &shape,
            task: &task,
            journal: &journal,
            state: &state,
            evidence: &shrink::kept(&task, &state, &journal),
            end: end.unwrap_or_else(|| state.next.clone().unwrap_err()),
            rate: 0.5,
            confidence: 0.95,
            catch: &catch,
            go_on: &go_on,
        })
    }

    fn bench(ask: &Ask, run: u32) -> (RunOutcome, Option<Class>) {
        match ask.values[..] {
            [1, ..] => (RunOutcome::Failed, None),
            [threads, iterations, _] if threads < 3 || iterations < 100 => (RunOutcome::Ok, None),
            _ if run == 3 => (RunOutcome::Hung, Some(Class::Deadlock)),
            _ if run.is_multiple_of(5) => (RunOutcome::Ok, None),
            _ => (RunOutcome::Hung, Some(Class::LostWakeup)),
        }
    }

    #[test]
    fn the_end_of_a_shrink() {
        let file = shrunk(1000, None, bench);
        insta::assert_snapshot!("shrink_md", file.markdown(Lang::En));
        insta::assert_snapshot!("shrink_ja_md", file.markdown(Lang::Ja));
        insta::assert_snapshot!("shrink_summary", file.summary(Lang::En));
        let text = serde_json::to_string(&file).unwrap();
        let read: ShrinkFile = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text, "it can be read again");
    }

    #[test]
    fn what_is_said_of_one_that_came_to_nothing_or_was_stopped() {
        let lines = |file: &ShrinkFile| [file.headline(Lang::En), file.headline(Lang::Ja)].join("\n");
        let good = |_: &Ask, _| (RunOutcome::Ok, None);
        let hung = |_: &Ask, _| (RunOutcome::Hung, Some(Class::LostWakeup));
        let stays = |ask: &Ask, run| match ask.values[..] {
            [16, 2000, 64] => hung(ask, run),
            _ => good(ask, run),
        };
        let stopped = shrunk(20, Some(End::OutOfTime), hung);
        let all = [
            lines(&shrunk(1000, None, good)),
            lines(&shrunk(1000, None, stays)),
            lines(&shrunk(3, Some(End::Interrupted), hung)),
            lines(&stopped),
        ];
        insta::assert_snapshot!("shrink_ends", all.join("\n\n"));
        assert!(stopped.summary(Lang::En).contains("- To go on: `hangscope shrink --resume /out`\n"));
    }
}
