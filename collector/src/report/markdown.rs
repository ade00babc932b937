//! `report.md`: the short report, then the evidence, then the method.

use std::collections::BTreeMap;

use super::counters;
use super::extra::Extra;
use super::page::{Page, escaped, plain};
use super::same::{self, Same};
use super::shards;
use super::stirred;
use super::terminal::short_report;
use super::tree;
use crate::analysis::facts::{STATS, SideBySide};
use crate::analysis::stats::Counts;
use crate::analysis::verdict::{self, Tally, given, percent};
use crate::analysis::{ArmFacts, Conclusion, HuntFacts, RunFacts, RunOutcome, decision};
use crate::evidence::threads_file::ThreadsFile;
use crate::evidence::{loop_file, stacks};
use crate::text::labels::Label;
use crate::text::message::Lang;
use crate::text::message::say;

/// Most different hangs whose wait trees are in the report.
const MOST_HANGS: usize = 4;
/// Most frames of a stack in the report.
const MOST_FRAMES: usize = 24;

/// The report in one language.
///
/// `snapshots`: `threads.json` of the hangs, by folder.
pub(crate) fn report(
    facts: &HuntFacts,
    conclusion: &Conclusion,
    extra: &Extra,
    snapshots: &[(String, ThreadsFile)],
    lang: Lang,
) -> String {
    let mut page = Page::new(lang);
    page.line(&say!(Label::Title { name: facts.name.as_str() }));
    page.raw(&format!("\n**{}**\n\n", escaped(&conclusion.headline(lang))));
    for line in short_report(facts, conclusion, lang) {
        page.raw(&format!("{line}\n"));
    }
    waits(&mut page, snapshots);
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
    page.raw(&shards::sections(facts, lang));
    stirred::table(&mut page, facts);
    counters::section(&mut page, extra);
    page.list(&Label::Notes {}, extra.notes.iter().map(|note| note.text(lang).to_owned()).collect());
    page.heading(&Label::Method {});
    method(&mut page, facts, conclusion, extra);
    page.finish()
}

/// The sentences of a verdict in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sentences {
    pub(super) headline: String,
    pub(super) evidence: Vec<String>,
    pub(super) would_change: Vec<String>,
}

/// The sentences of the verdict, read back from a report that [`report`] wrote in this language. None where
/// the text is not such a report.
pub(super) fn sentences(report: &str, lang: Lang) -> Option<Sentences> {
    let bold = |line: &'_ str| Some(plain(line.strip_prefix("**")?.strip_suffix("**")?));
    let list = |heading: Label| {
        let heading = heading.text(lang);
        let lines = report.lines().skip_while(|line| *line != heading).skip(1);
        let lines = lines.skip_while(|line| line.is_empty()).map_while(|line| line.strip_prefix("- "));
        lines.map(plain).collect()
    };
    Some(Sentences {
        headline: report.lines().find_map(bold)?,
        evidence: list(Label::Evidence {}),
        would_change: list(Label::WouldChange {}),
    })
}

/// Who waits for whom in each hang, and the stacks that tell the most. Equal hangs are shown once.
fn waits(page: &mut Page, snapshots: &[(String, ThreadsFile)]) {
    let hangs = Same::groups(snapshots);
    if hangs.is_empty() {
        return;
    }
    page.heading(&Label::Waits {});
    for (n, hang) in hangs.iter().take(MOST_HANGS).enumerate() {
        if n > 0 {
            page.raw("\n");
        }
        page.line(&match &hang.names[..] {
            [name] => say!(Label::WaitsOf { name }),
            names => say!(Label::WaitsTimes { count: names.len(), names: names.join(", ") }),
        });
        page.raw("\n");
        let lang = page.lang;
        let tree = tree::lines(hang.file);
        page.block(tree.iter().map(|line| format!("{}{}", "  ".repeat(line.depth), line.text.text(lang))));
        for thread in same::culprits(hang.file) {
            let heading = stacks::heading(&[thread], &hang.file.finding).text(lang).to_owned();
            let frames = stacks::frames(thread, lang).into_iter().take(MOST_FRAMES);
            page.block(std::iter::once(heading).chain(frames.map(|frame| format!("  {frame}"))));
        }
        if let Some(one) = &hang.file.finding.hot_loop {
            let sentence = loop_file::sentence(one).text(lang).to_owned();
            let lines = loop_file::short(one).into_iter().map(|line| format!("  {line}"));
            page.block(std::iter::once(sentence).chain(lines));
        }
    }
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
        let confidence = finding.map(|f| f.confidence.said()).unwrap_or_default();
        page.row([
            run.run.to_string().as_str(),
            &run.arm,
            finding.map_or("unknown", |f| f.class.as_str()),
            finding.map_or("-", |_| confidence.text(page.lang)),
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
    page.raw("|---|---|---|---|---|---|---|---|\n");
    for arm in verdict::arms::arms(facts) {
        let dso = match arm.facts.as_ref() {
            Some(ArmFacts { change: Some(word), .. }) => say!(Label::ArmChanged { word }),
            _ if arm.name == STATS => Label::ArmStats {},
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
        let (bad, made, tally) = (arm.changed_runs, arm.tally.made, arm.tally);
        let whole =
            |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.0}"));
        page.row([
            arm.name.as_str(),
            &dso.text(page.lang),
            &format!("{bad}/{made}"),
            &share(Counts { hung: tally.hung, of: tally.could_hang() }),
            &format!("{}/{made}", tally.crashed + tally.failed),
            &whole(arm.ops_s),
            &whole(arm.max_rss_kib),
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
    if let Some(plan) = facts.stir {
        page.line(&stirred::method(facts, plan));
    }
    if let Some(SideBySide { cpus }) = &facts.side_by_side {
        page.line(&say!(Label::SideBySide { jobs: cpus.len(), sets: cpus.join(" / ") }));
    }
    page.line(&match conclusion.proven {
        true => say!(Label::DsoIs { path: facts.dso.path.as_str(), sha1: facts.dso.sha1.as_str() }),
        false => say!(Label::DsoPreloaded { path: facts.dso.path.as_str() }),
    });
    page.line(&match &extra.preload {
        Some(line) => say!(Label::Verified { line }),
        None => Label::NotVerified {},
    });
    page.line(&say!(Label::Interval { method: conclusion.rate.method }));
    if let Some(per_hour) = &conclusion.per_hour {
        page.line(&say!(Label::Hourly { method: per_hour.method }));
    }
    if conclusion.ops.is_some() {
        page.line(&Label::Figures {});
    }
    page.line(&Label::Integrity {});
    page.line(&Label::Classes {});
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Class, conclude};
    use crate::testkit::hunt::{Hunt, finding, hung};

    #[test]
    fn the_sentences_of_a_report_are_read_back() {
        let hang = hung(2, Some(finding(Class::OwnerSpinning)));
        for facts in [Hunt::new(1).push(hang).facts(), Hunt::new(50).facts()] {
            let conclusion = conclude(&facts);
            for lang in Lang::ALL {
                let text = report(&facts, &conclusion, &Extra::default(), &[], lang);
                let read = sentences(&text, lang).unwrap();
                assert_eq!(read.headline, conclusion.headline(lang));
                assert_eq!(read.evidence, conclusion.evidence(lang));
                assert_eq!(read.would_change, conclusion.would_change_it(lang));
            }
        }
        assert_eq!(sentences("# another file\n", Lang::Ja), None);
    }
}
