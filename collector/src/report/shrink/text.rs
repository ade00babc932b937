//! A shrink for people: headline, summary and report, in both languages.

use super::file::{ShrinkFile, Side, StrategyLine, Test};
use crate::analysis::shrink::lines::Line;
use crate::analysis::shrink::{End, Measure};
use crate::analysis::verdict::percent;
use crate::analysis::{Class, RunOutcome};
use crate::text::message::Lang;
use crate::text::message::say;

/// Most errors of candidates in a report, a line for each.
const MOST_ERRORS: usize = 5;

impl ShrinkFile {
    pub(crate) fn headline(&self, lang: Lang) -> String {
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
    pub(crate) fn summary(&self, lang: Lang) -> String {
        let mut text = format!("{}\n\n{}\n\n", self.headline(lang), self.after.line);
        for line in self.lines(lang) {
            text += &line;
            text.push('\n');
        }
        text
    }

    /// The lines below the headline.
    pub(crate) fn lines(&self, lang: Lang) -> Vec<String> {
        let mut lines = vec![];
        let mut say = |line: Line| lines.push(line.text(lang));
        say(say!(Line::Before { text: self.before.cost(lang) }));
        if self.after.line != self.before.line {
            say(say!(Line::After { text: self.after.cost(lang) }));
        }
        if let Some(strategy) = self.strategy {
            let with = |line: &&StrategyLine| line.strategy == strategy;
            let (hung, of) = self.strategies.iter().find(with).map_or((0, 0), |line| (line.hung, line.of));
            let runs: u32 = self.strategies.iter().map(|line| line.of).sum();
            say(say!(Line::Stirred { strategy, hung, of, runs }));
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

    pub(crate) fn markdown(&self, lang: Lang) -> String {
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
