//! What a hunt that was to decide a question says about that.

use super::headline::given;
use super::lines::Line;
use crate::analysis::decision::{DecidedArm, Decision, Versus};
use crate::analysis::facts::HuntFacts;
use crate::analysis::message::say;
use crate::analysis::sequential::{Against, Answer};

/// Decided, and how; or not.
pub(super) fn evidence(decision: &Decision, facts: &HuntFacts) -> Vec<Line> {
    let until = decision.until;
    let (rate, confidence) = (given(until.rate), given(until.confidence));
    let mut lines = vec![];
    for (arm, versus) in compared(decision) {
        let (of, pairs) = (&arm.name, versus.pairs);
        let (more, needed) = (figure(versus.more), figure(decision.needed));
        lines.push(match versus.less {
            None => say!(Line::ArmEvidence { arm: of, pairs, more, needed }),
            Some(less) => {
                say!(Line::BuildEvidence { arm: of, pairs, more, less: figure(less), needed })
            }
        });
    }
    let of = |against| names(decision, |versus| versus.answer == Some(against));
    match decision.answer {
        None if facts.arms.is_empty() => lines.push(say!(Line::Undecided { rate, confidence })),
        None => lines.push(say!(Line::UndecidedArms { rate, confidence })),
        Some(Answer::Hangs) => lines.push(Line::DecidedHangs {}),
        Some(Answer::HangsIntact) => lines.push(Line::DecidedIntact {}),
        Some(Answer::ChangeHangs) => {
            lines.push(say!(Line::DecidedChange { arms: of(Against::More), confidence }))
        }
        Some(Answer::BelowRate) => {
            let counted = decision.arms.iter().map(|arm| arm.counted).min().unwrap_or(0);
            lines.push(match facts.arms.is_empty() {
                true => say!(Line::DecidedBelow { counted, rate, confidence }),
                false => say!(Line::DecidedNoArm { counted, rate, confidence }),
            });
        }
        Some(Answer::BuildsTold) => {}
    }
    // Of builds it may be known before the whole is.
    for (arm, versus) in compared(decision).filter(|(_, versus)| versus.less.is_some()) {
        let (arm, confidence) = (&arm.name, given(until.confidence));
        lines.extend(match versus.answer {
            Some(Against::More) => Some(say!(Line::BuildMore { arm, confidence })),
            Some(Against::Less) => Some(say!(Line::BuildLess { arm, confidence })),
            Some(Against::BelowRate) | None => None,
        });
    }
    lines
}

/// What would decide it.
pub(super) fn missing(decision: &Decision) -> Vec<Line> {
    match (decision.answer, decision.missing) {
        (Some(_), _) => vec![],
        (None, Some(runs)) if decision.arms.len() == 1 => vec![say!(Line::CleanRunsWould { runs })],
        (None, Some(runs)) => vec![say!(Line::CleanRoundsWould { runs })],
        (None, None) => compared(decision)
            .filter(|(_, versus)| versus.answer.is_none())
            .filter_map(|(arm, versus)| {
                let rounds = versus.missing?;
                Some(say!(Line::RoundsWould { arm: &arm.name, rounds }))
            })
            .collect(),
    }
}

fn compared(decision: &Decision) -> impl Iterator<Item = (&DecidedArm, &Versus)> {
    decision.arms.iter().filter_map(|arm| Some((arm, arm.against.as_ref()?)))
}

fn names(decision: &Decision, wanted: impl Fn(&Versus) -> bool) -> String {
    let named = compared(decision).filter(|(_, versus)| wanted(versus)).map(|(arm, _)| arm.name.as_str());
    named.collect::<Vec<_>>().join(", ")
}

/// Evidence for people: `23.7`, `4.10e7`.
fn figure(evidence: f64) -> String {
    if evidence < 1e4 { format!("{evidence:.1}") } else { format!("{evidence:.2e}") }
}
