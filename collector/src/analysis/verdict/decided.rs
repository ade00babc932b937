//! The evidence of a hunt with a question (`--until-decided`).

use super::headline::given;
use super::lines::Line;
use crate::analysis::decision::{DecidedArm, Decision, Versus};
use crate::analysis::sequential::{Against, Answer};
use crate::text::message::say;

/// Sentences on what is decided, and what is not.
pub(super) fn evidence(decision: &Decision) -> Vec<Line> {
    let until = decision.until;
    let (rate, confidence) = (given(until.rate), given(until.confidence));
    let (one, mut lines) = (decision.arms.len() == 1, vec![]);
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
        None if one => lines.push(say!(Line::Undecided { rate, confidence })),
        None => lines.push(say!(Line::UndecidedArms { rate, confidence })),
        Some(Answer::Hangs) => lines.push(Line::DecidedHangs {}),
        Some(Answer::HangsIntact) => lines.push(Line::DecidedIntact {}),
        Some(Answer::ChangeHangs) => {
            lines.push(say!(Line::DecidedChange { arms: of(Against::More), confidence }))
        }
        Some(Answer::BelowRate) => {
            let counted = decision.arms.iter().map(|arm| arm.counted).min().unwrap_or(0);
            lines.push(match one {
                true => say!(Line::DecidedBelow { counted, rate, confidence }),
                false => say!(Line::DecidedNoArm { counted, rate, confidence }),
            });
        }
        Some(Answer::BuildsTold) => {}
    }
    // The answer about a build may come before the answer to the whole question.
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

/// Sentences on what would decide the question.
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

/// An amount of evidence as text: `23.7`, `4.10e7`.
fn figure(evidence: f64) -> String {
    if evidence < 1e4 { format!("{evidence:.1}") } else { format!("{evidence:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::super::tests::experiment;
    use crate::analysis::sequential::Until;
    use crate::analysis::verdict::conclude;
    use crate::analysis::{HuntFacts, Integrity, RunOutcome, Stopped, Verdict};
    use crate::testkit::hunt::{Hunt, run};
    use crate::text::message::Lang;

    const OVERWRITTEN: Option<Integrity> = Some(Integrity::Overwritten);

    fn asked(mut facts: HuntFacts) -> HuntFacts {
        facts.until = Until::new(0.02, 0.95);
        facts.planned = 149;
        facts
    }

    /// The sentences about the decision, in both languages.
    fn said(facts: &HuntFacts) -> String {
        let conclusion = conclude(facts);
        let mut text = String::new();
        for lang in [Lang::En, Lang::Ja] {
            let of = |word: &str| word.contains("decide") || word.contains("確定");
            let would = conclusion.would_change_it(lang);
            let lines =
                conclusion.evidence(lang).into_iter().chain(would.into_iter().map(|w| format!("would: {w}")));
            text.extend(lines.filter(|line| of(line)).map(|line| line + "\n"));
        }
        text
    }

    #[test]
    fn one_arm() {
        let undecided = asked(Hunt::new(50).facts());
        insta::assert_snapshot!(said(&undecided), @"
        not decided: no run hung, but there are too few runs to say that the rate is below 2 % at 95 % (progress.log)
        would: 99 more runs without a hang, or one hang, would decide it
        未確定: ハングはないが、ハング率が 95 % 信頼で 2 % 未満と言うには実行回数が足りない (progress.log)
        would: あと 99 回ハングがないか、1 回でもハングすれば確定する
        ");
        let decided = asked(Hunt::new(149).facts());
        assert_eq!(decided.stopped(), Stopped::Decided);
        insta::assert_snapshot!(said(&decided), @"
        decided: no hang in 149 runs that can show one, so the rate is below 2 % at 95 % (progress.log)
        確定: ハング率に数える 149 回でハングなし。ハング率は 95 % 信頼で 2 % 未満 (progress.log)
        ");
        let mut crashed = Hunt::new(148);
        for number in 149..160 {
            let mut r = run(number);
            (r.outcome, r.signal) = (RunOutcome::Crashed, Some(11));
            crashed = crashed.push(r);
        }
        assert!(said(&asked(crashed.facts())).contains("1 more run without a hang, or one hang"));
    }

    #[test]
    fn an_arm_that_hangs() {
        let decided = asked(experiment(&[("pinned", None, 4, 0), ("overwritten", OVERWRITTEN, 4, 4)]));
        assert_eq!((conclude(&decided).verdict, decided.stopped()), (Verdict::DsoMixup, Stopped::Decided));
        insta::assert_snapshot!(said(&decided), @"
        arm overwritten against the pinned one, run by run, 4 pairs: evidence that it hangs more often 77.7, decided at 20.0 (e-value for two proportions, Turner, Ly, Grunwald 2024) (runs.jsonl)
        decided at 95 %: arm overwritten hangs more often than the pinned one (progress.log)
        実行 overwritten/1: 分類 owner-spinning、確定 (hang_run_1/threads.json)
        ほかのハング: 分類 owner-spinning、確定、3 件: 実行 overwritten/2-4 (runs.jsonl)
        アーム overwritten と pinned を 1 回ずつ比較、4 組: ハングがより多いことの証拠の強さ 77.7 (20.0 で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)
        95 % 信頼で確定: アーム overwritten は pinned よりハングが多い (progress.log)
        ");
    }

    /// Fisher's p-value is valid only for a number of runs that was fixed beforehand. It decides nothing
    /// where somebody looked after every run.
    #[test]
    fn a_hunt_that_looks_after_every_run_needs_more_than_one_that_does_not() {
        let mut facts = experiment(&[("pinned", None, 30, 0), ("overwritten", OVERWRITTEN, 30, 5)]);
        // The hangs come last. If they came first, the hunt would have stopped before the other runs.
        facts.runs.reverse();
        assert_eq!(conclude(&facts).verdict, Verdict::DsoMixup, "p = 0.026");
        let sequential = asked(facts);
        assert_eq!(conclude(&sequential).verdict, Verdict::Inconclusive);
        insta::assert_snapshot!(said(&sequential), @"
        arm overwritten against the pinned one, run by run, 30 pairs: evidence that it hangs more often 12.5, decided at 20.0 (e-value for two proportions, Turner, Ly, Grunwald 2024) (runs.jsonl)
        not decided at 95 %: neither which arms hang more often than the others, nor that every arm hangs in fewer than 2 % of its runs (progress.log)
        would: about 6 more runs of arm overwritten, and as many of the pinned one, would decide it if they hang as often as so far
        実行 overwritten/5: 分類 owner-spinning、確定 (hang_run_5/threads.json)
        ほかのハング: 分類 owner-spinning、確定、4 件: 実行 overwritten/4, 3, 2, 1 (runs.jsonl)
        アーム overwritten と pinned を 1 回ずつ比較、30 組: ハングがより多いことの証拠の強さ 12.5 (20.0 で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)
        95 % 信頼では未確定: どのアームのハングが多いかも、全アームのハング率が 2 % 未満かどうかも、まだ言えない (progress.log)
        would: アーム overwritten と pinned をあと約 6 回ずつ実行し、これまでと同じ頻度でハングすれば確定する
        ");
    }

    #[test]
    fn builds_and_changes_that_kill() {
        let deleted = Some(Integrity::Deleted);
        let arms = [("pinned", None, 12, 0), ("deleted", deleted, 12, 0), ("old", None, 12, 6)];
        insta::assert_snapshot!(said(&asked(experiment(&arms))), @"
        arm deleted against the pinned one, run by run, 12 pairs: evidence that it hangs more often 1.0, decided at 60.0 (e-value for two proportions, Turner, Ly, Grunwald 2024) (runs.jsonl)
        build old against the pinned one, run by run, 12 pairs: evidence that it hangs more often 946.8, less often 1.0, decided at 60.0 (e-value for two proportions, Turner, Ly, Grunwald 2024) (runs.jsonl)
        not decided at 95 %: neither which arms hang more often than the others, nor that every arm hangs in fewer than 2 % of its runs (progress.log)
        decided at 95 %: build old hangs more often than the pinned one (runs.jsonl)
        would: 137 more runs of each arm without a hang would decide it; so would hangs of one arm only, or one with the DSO intact
        実行 old/1: 分類 owner-spinning、確定 (hang_run_1/threads.json)
        ほかのハング: 分類 owner-spinning、確定、5 件: 実行 old/2-6 (runs.jsonl)
        アーム deleted と pinned を 1 回ずつ比較、12 組: ハングがより多いことの証拠の強さ 1.0 (60.0 で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)
        ビルド old と pinned を 1 回ずつ比較、12 組: ハングがより多いことの証拠の強さ 946.8、より少ないことの証拠の強さ 1.0 (60.0 で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)
        95 % 信頼では未確定: どのアームのハングが多いかも、全アームのハング率が 2 % 未満かどうかも、まだ言えない (progress.log)
        95 % 信頼で確定: ビルド old は pinned よりハングが多い (runs.jsonl)
        would: 各アームであと 137 回ハングがなければ確定する。1 つのアームだけがハングするか、DSO の改変なしに 1 回ハングしても確定する
        ");
        let mut none = experiment(&[("pinned", None, 149, 0), ("overwritten", OVERWRITTEN, 149, 0)]);
        for run in none.runs.iter_mut().filter(|run| run.arm == "overwritten") {
            (run.outcome, run.signal) = (RunOutcome::Crashed, Some(7));
        }
        let none = asked(none);
        assert_eq!(
            (conclude(&none).verdict, none.stopped()),
            (Verdict::DsoMixup, Stopped::Decided),
            "it kills"
        );
        insta::assert_snapshot!(said(&none), @"
        arm overwritten against the pinned one, run by run, 149 pairs: evidence that it hangs more often 1.0, decided at 20.0 (e-value for two proportions, Turner, Ly, Grunwald 2024) (runs.jsonl)
        decided: no arm hangs, none did in at least 149 runs of each; an arm with a rate of 2 % or more would have hung at least once with 95 % probability (progress.log)
        アーム overwritten と pinned を 1 回ずつ比較、149 組: ハングがより多いことの証拠の強さ 1.0 (20.0 で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)
        確定: どのアームもハングしない。各アーム 149 回以上でハングなし。ハング率が 2 % 以上のアームがあれば、95 % の確率で 1 回以上ハングしたはず (progress.log)
        ");
    }
}
