//! A search for people: headline, summary and report, in both languages.

use super::file::BisectFile;
use super::lines::Line;
use crate::analysis::bisect::End;
use crate::analysis::stats::Rate;
use crate::text::message::{Lang, say};

/// Of the other candidates, so many are named.
const OTHERS: usize = 3;
/// Candidates below this posterior are not named.
const LEAST: f64 = 0.001;

/// A share as a percentage. A probability that is not 1 is not rounded to 100.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        99.95..100.0 => "> 99.9".to_owned(),
        _ => format!("{percent:.1}"),
    }
}

impl BisectFile {
    pub(crate) fn headline(&self, lang: Lang) -> String {
        let Some(first) = self.candidates.first() else { return String::new() };
        let (what, posterior) = (&first.what, percent(first.posterior));
        let line = match self.end {
            _ if !self.counted() => Line::NothingTried {},
            End::Found if first.commits.len() > 1 => say!(Line::FoundRange { what, posterior }),
            End::Found => say!(Line::Found { what, posterior }),
            End::NoDifference => say!(Line::NoDifference { posterior, runs: self.runs }),
            End::NotOneSetting => say!(Line::NotOneSetting { posterior }),
            End::OutOfRuns | End::OutOfTime | End::Interrupted => say!(Line::Undecided { what, posterior }),
        };
        line.text(lang)
    }

    /// Whether a run counts.
    fn counted(&self) -> bool {
        self.runs > self.not_counted
    }

    /// Headline and what else there is to say: for a terminal.
    pub(crate) fn summary(&self, lang: Lang) -> String {
        let lines = self.lines(lang).into_iter().map(|line| line + "\n");
        format!("{}\n\n{}", self.headline(lang), lines.collect::<String>())
    }

    /// The lines below the headline.
    fn lines(&self, lang: Lang) -> Vec<String> {
        let mut lines = vec![];
        let mut say = |line: Line| lines.push(line.text(lang));
        let first = self.candidates.first().filter(|_| self.counted());
        let commits = first.map_or(&[][..], |first| &first.commits);
        for commit in commits {
            let (hash, subject, date) = (&commit.hash, &commit.subject, &commit.date);
            say(say!(Line::Commit { hash, subject, date }));
            if commit.merge && self.end == End::Found {
                say(say!(Line::Merge { hash }));
            }
        }
        if let Some(Rate { hung, of, low, high, .. }) = self.before {
            say(say!(Line::Before { hung, of, low: percent(low), high: percent(high) }));
        }
        if let Some(Rate { hung, of, low, high, .. }) = self.after {
            say(say!(Line::With { hung, of, low: percent(low), high: percent(high) }));
        }
        let others = self.candidates.iter().skip(1).take(if self.counted() { OTHERS } else { 0 });
        let others = others.filter(|other| other.posterior >= LEAST);
        let others: Vec<String> =
            others.map(|other| format!("{} {} %", other.what.text(lang), percent(other.posterior))).collect();
        if !others.is_empty() {
            say(say!(Line::Others { what: others.join(", ") }));
        }
        let minutes = format!("{:.1}", self.seconds / 60.0);
        say(say!(Line::Spent { runs: self.runs, builds: self.builds.len(), minutes }));
        if self.not_counted > 0 {
            say(say!(Line::NotCounted { runs: self.not_counted }));
        }
        if self.signatures.len() > 1 {
            say(say!(Line::Signatures { count: self.signatures.len() }));
        }
        lines.extend(self.would_change_it.iter().map(|line| line.text(lang).to_owned()));
        let mut say = |line: Line| lines.push(line.text(lang));
        let of_commits = self.candidates.iter().any(|candidate| !candidate.commits.is_empty());
        say(if of_commits { Line::Assumes {} } else { Line::AssumesSettings {} });
        if let Some(line) = &self.go_on {
            say(say!(Line::GoOn { line }));
        }
        lines
    }

    pub(crate) fn markdown(&self, lang: Lang) -> String {
        let title = say!(Line::Title { name: self.name.as_str() }).text(lang);
        let mut text = format!("{title}\n\n**{}**\n\n", self.headline(lang));
        for line in self.lines(lang) {
            text += &format!("{line}\n");
        }
        text += &format!("\n{}\n|---|---|---|---|---|\n", Line::Table {}.text(lang));
        for line in &self.builds {
            let Rate { hung, of, low, high, .. } = line.rate;
            let why = line.skipped.as_ref().map_or(&line.build.subject[..], |why| why.text(lang));
            let (label, why) = (line.build.label.replace('|', "\\|"), why.replace('|', "\\|"));
            let (low, high, posterior) = (percent(low), percent(high), percent(line.posterior));
            text += &format!("| {label} | {hung}/{of} | {low} % - {high} % | {posterior} % | {why} |\n");
        }
        if !self.signatures.is_empty() {
            text += &format!("\n{}\n|---|---|---|---|\n", Line::SignatureTable {}.text(lang));
        }
        for line in &self.signatures {
            let what = line.what.replace('|', "\\|");
            text += &format!("| {} | {} | {} | {what} |\n", line.id, line.hangs, line.counted);
        }
        text += &format!("\n{}\n", Line::Method {}.text(lang));
        text
    }
}
