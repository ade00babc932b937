//! `report.md`: the short report, then the evidence, then the method.

use std::collections::BTreeMap;

use super::terminal::short_report;
use super::{Extra, counters};
use crate::analysis::stats::Counts;
use crate::analysis::verdict::{self, Tally, given, percent};
use crate::analysis::{ArmFacts, Conclusion, HuntFacts, RunFacts, RunOutcome, Stir, decision};
use crate::text::labels::Label;
use crate::text::message::Lang;
use crate::text::message::say;

/// The report in one language.
pub(crate) fn report(facts: &HuntFacts, conclusion: &Conclusion, extra: &Extra, lang: Lang) -> String {
    let mut page = Page { text: String::new(), lang };
    page.line(&say!(Label::Title { name: facts.name.as_str() }));
    page.raw(&format!("\n**{}**\n\n", escaped(&conclusion.headline(lang))));
    for line in short_report(facts, conclusion, lang) {
        page.raw(&format!("{line}\n"));
    }
    page.list(&Label::Evidence {}, conclusion.evidence(lang));
    page.list(&Label::WouldChange {}, conclusion.would_change_it(lang));
    page.heading(&Label::Hangs {});
    hangs(&mut page, facts);
    if !facts.is_snap() {
        page.heading(&Label::Runs {});
        runs(&mut page, facts);
    }
    if !facts.arms.is_empty() {
        page.heading(&Label::Arms {});
        arms(&mut page, facts);
    }
    counters::section(&mut page, extra);
    page.list(&Label::Notes {}, extra.notes.iter().map(|note| note.text(lang).to_owned()).collect());
    page.heading(&Label::Method {});
    method(&mut page, facts, conclusion, extra);
    page.text
}

/// A page that is being written.
pub(super) struct Page {
    text: String,
    pub(super) lang: Lang,
}

impl Page {
    pub(super) fn raw(&mut self, text: &str) {
        self.text += text;
    }

    pub(super) fn line(&mut self, label: &Label) {
        self.text += &label.text(self.lang);
        self.text.push('\n');
    }

    pub(super) fn heading(&mut self, label: &Label) {
        self.text.push('\n');
        self.line(label);
        self.text.push('\n');
    }

    /// A heading with a list under it; nothing where there is nothing.
    pub(super) fn list(&mut self, heading: &Label, items: Vec<String>) {
        if items.is_empty() {
            return;
        }
        self.heading(heading);
        for item in items {
            self.text += &format!("- {}\n", escaped(&item));
        }
    }

    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.text += "|";
        for cell in cells {
            self.text += &format!(" {} |", cell.replace('|', "\\|"));
        }
        self.text.push('\n');
    }
}

/// Text that may hold names of functions: Markdown's own marks are taken literally, except the backquotes
/// that we put around names.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    for c in text.chars() {
        match c {
            '`' => in_code = !in_code,
            // Within a word an underscore means nothing.
            '_' if out.ends_with(char::is_alphanumeric) => {}
            '*' | '_' | '<' | '[' | '|' if !in_code => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

fn hangs(page: &mut Page, facts: &HuntFacts) {
    let hung: Vec<&RunFacts> = facts.runs.iter().filter(|r| r.outcome == RunOutcome::Hung).collect();
    if hung.is_empty() {
        return page.line(&Label::NoHang {});
    }
    page.line(&Label::HangTable {});
    page.raw("|---|---|---|---|---|---|---|---|\n");
    for run in hung {
        let hang = run.hang.as_ref();
        let finding = hang.and_then(|h| h.finding.as_ref());
        let lock = finding.and_then(|f| f.lock.as_ref());
        let hot = finding.and_then(|f| f.hot.as_ref());
        let code = |text: &str| format!("`{text}`");
        let lock_name = lock.map(|l| code(l.symbol.as_ref().unwrap_or(&l.address)));
        let owner = lock.and_then(|l| l.owner_tid).map(|tid| tid.to_string());
        let culprit = hot.map(|hot| {
            let place = hot.function.as_deref().map(|f| format!(" {}", code(f))).unwrap_or_default();
            let source = hot.source.as_deref().map(|s| format!(" ({s})")).unwrap_or_default();
            format!("{}{place}{source}", hot.tid)
        });
        let none = || "-".to_owned();
        page.row([
            run.run.to_string().as_str(),
            &run.arm,
            finding.map_or("unknown", |f| f.class.as_str()),
            finding.map_or("-", |f| f.confidence.as_str()),
            &lock_name.unwrap_or_else(none),
            &owner.unwrap_or_else(none),
            &culprit.unwrap_or_else(none),
            hang.map_or("-", |h| h.snapshot.as_str()),
        ]);
    }
}

fn runs(page: &mut Page, facts: &HuntFacts) {
    let mut arms: BTreeMap<&str, Vec<&RunFacts>> = BTreeMap::new();
    for run in facts.runs.iter().filter(|r| r.outcome != RunOutcome::Interrupted) {
        arms.entry(&run.arm).or_default().push(run);
    }
    page.line(&Label::RunTable {});
    page.raw("|---|---|---|---|---|---|---|---|\n");
    for (arm, runs) in arms {
        let tally = Tally::of(0, runs);
        let rate = tally.rate();
        let (low, high) = (percent(rate.low), percent(rate.high));
        let between = match tally.could_hang() {
            0 => "-".to_owned(),
            _ => say!(Label::Between { low, high }).text(page.lang),
        };
        let cell = |n: u32| n.to_string();
        page.row([
            arm,
            &cell(tally.made),
            &cell(tally.ok),
            &cell(tally.hung),
            &cell(tally.slow),
            &cell(tally.crashed),
            &cell(tally.failed),
            &between,
        ]);
    }
}

fn arms(page: &mut Page, facts: &HuntFacts) {
    page.line(&Label::ArmTable {});
    page.raw("|---|---|---|---|---|\n");
    for arm in verdict::arms::arms(facts) {
        let dso = match arm.facts.as_ref() {
            Some(ArmFacts { change: Some(word), .. }) => say!(Label::ArmChanged { word }),
            Some(ArmFacts { other_build: true, sha1, .. }) => {
                say!(Label::ArmBuild { sha1: &sha1[..8.min(sha1.len())] })
            }
            _ => Label::ArmLeftAlone {},
        };
        let share = |counts: Counts| format!("{}/{}", counts.hung, counts.of);
        let against = arm.test.map_or_else(
            || "-".to_owned(),
            |test| {
                let sides = if test.one_sided { Label::OneSided {} } else { Label::TwoSided {} };
                let (arm, control, p) = (share(test.arm), share(test.control), verdict::arms::p_text(test.p));
                say!(Label::ArmP { arm, control, p, sides: sides.text(page.lang) }).text(page.lang)
            },
        );
        let (bad, made) = (arm.changed_runs, arm.tally.made);
        page.row([
            arm.name.as_str(),
            &dso.text(page.lang),
            &format!("{bad}/{made}"),
            &share(Counts { hung: arm.tally.hung, of: arm.tally.could_hang() }),
            &against,
        ]);
    }
}

fn method(page: &mut Page, facts: &HuntFacts, conclusion: &Conclusion, extra: &Extra) {
    page.line(&say!(Label::Command { command: facts.command.join(" ") }));
    if facts.is_snap() {
        page.line(&say!(Label::DsoIs { path: facts.dso.path.as_str(), sha1: facts.dso.sha1.as_str() }));
        page.line(&Label::SnapIntegrity {});
        return page.line(&Label::Classes {});
    }
    page.line(&match facts.hang_after_s {
        0.0 => Label::StallOnly {},
        seconds => say!(Label::Deadline { seconds }),
    });
    let decision = decision::of(facts);
    match (facts.seed, &decision) {
        (Some(seed), None) => page.line(&say!(Label::Turns { seed })),
        (Some(seed), Some(_)) => page.line(&say!(Label::TurnsUntil { seed })),
        (None, _) => {}
    }
    if let Some(decision) = &decision {
        let (rate, confidence) = (given(decision.until.rate), given(decision.until.confidence));
        let (runs, needed) = (decision.until.runs, (decision.needed * 10.0).round() / 10.0);
        let error = given(decision.until.error());
        page.line(&match facts.arms.is_empty() {
            true => say!(Label::UntilOne { rate, confidence, runs }),
            false => say!(Label::UntilArms { rate, confidence, error, runs, needed }),
        });
    }
    if let Some(Stir { level, seed }) = facts.stir {
        page.line(&say!(Label::Stirred { level, seed }));
    }
    page.line(&say!(Label::DsoIs { path: facts.dso.path.as_str(), sha1: facts.dso.sha1.as_str() }));
    page.line(&match &extra.preload {
        Some(line) => say!(Label::Verified { line }),
        None => Label::NotVerified {},
    });
    page.line(&say!(Label::Interval { method: crate::analysis::verdict::method(&conclusion.rate) }));
    if let Some(per_hour) = &conclusion.per_hour {
        page.line(&say!(Label::Hourly { method: per_hour.method.as_str() }));
    }
    if conclusion.ops.is_some() {
        page.line(&Label::Figures {});
    }
    page.line(&Label::Integrity {});
    page.line(&Label::Classes {});
}
