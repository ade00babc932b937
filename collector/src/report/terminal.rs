//! Headline and short report.

use crate::analysis::facts::SideBySide;
use crate::analysis::verdict::{self, arms::ArmResult};
use crate::analysis::{Conclusion, HuntFacts, NextAction, RunOutcome, Stopped};
use crate::text::labels::Label;
use crate::text::message::Lang;
use crate::text::message::say;

/// The short report: five lines, fields word for word as in the template.
pub(crate) fn short_report(facts: &HuntFacts, conclusion: &Conclusion, lang: Lang) -> Vec<String> {
    let answer = |yes: bool| if yes { "yes" } else { "no" };
    let (hung, made, planned) = (conclusion.runs.hung, conclusion.runs.made, conclusion.runs.planned);
    let reproduced = if facts.interrupted && made < planned {
        say!(Label::ReproducedInterrupted { hung, made, planned })
    } else if facts.stop_at_first && hung > 0 && made < planned {
        say!(Label::ReproducedEarly { hung, made, planned })
    } else {
        match facts.stopped() {
            Stopped::Decided if made < planned => say!(Label::ReproducedDecided { hung, made, planned }),
            Stopped::MaxTime if made < planned => say!(Label::ReproducedInTime { hung, made, planned }),
            _ => say!(Label::Reproduced { hung, made }),
        }
    };
    let hung_runs = || facts.runs.iter().filter(|r| r.outcome == RunOutcome::Hung);
    let pinned =
        facts.dso.pinned && hung_runs().any(|r| r.arm == crate::analysis::facts::PINNED && r.has_dso());
    let top = match conclusion.futex_wait_share {
        Some((waits, workers)) => {
            let percent = format!("{:.1}", conclusion.futex_share() * 100.0);
            say!(Label::TopWait { percent, waits, workers })
        }
        None if !conclusion.hung() => Label::TopWaitNoHang {},
        None => Label::TopWaitNone {},
    };
    let action = match conclusion.next_action {
        NextAction::FixCode => Label::FixCode {},
        NextAction::FixProcedure => Label::FixProcedure {},
        NextAction::FixBenchmark => Label::FixBenchmark {},
        NextAction::MoreRuns => Label::MoreRuns {},
        NextAction::None => Label::Nothing {},
    };
    let lines = [
        reproduced,
        say!(Label::WithPinned { answer: answer(pinned) }),
        say!(Label::Deleted { answer: answer(conclusion.deleted_seen) }),
        top,
        say!(Label::Next { action: action.text(lang) }),
    ];
    let mut lines: Vec<String> = lines.iter().map(|label| label.text(lang)).collect();
    lines[0] += &other_arms(facts, lang);
    lines
}

/// `; deleted `2 / 2`, overwritten `0 / 6` (6 died or failed)`; empty if there is one arm.
fn other_arms(facts: &HuntFacts, lang: Lang) -> String {
    let arms = verdict::arms::arms(facts);
    let one = |arm: &ArmResult| {
        let (hung, made, bad) = (arm.tally.hung, arm.tally.made, arm.tally.crashed + arm.tally.failed);
        let died = if bad > 0 { say!(Label::ArmDied { bad }).text(lang) } else { String::new() };
        format!("{} `{hung} / {made}`{died}", arm.name)
    };
    let others: Vec<String> = arms.iter().skip(1).map(one).collect();
    let (begin, comma) = if lang == Lang::Ja { ("、", "、") } else { ("; ", ", ") };
    if others.is_empty() { String::new() } else { format!("{begin}{}", others.join(comma)) }
}

/// Headline and short report, ending with a line end.
pub(crate) fn summary(facts: &HuntFacts, conclusion: &Conclusion, lang: Lang) -> String {
    let mut text = conclusion.headline(lang) + "\n\n";
    for line in short_report(facts, conclusion, lang) {
        text += &line;
        text.push('\n');
    }
    if let Some(SideBySide { cpus }) = &facts.side_by_side {
        text += &format!("\n{}\n", say!(Label::NoFigures { jobs: cpus.len() }).text(lang));
    }
    text
}
