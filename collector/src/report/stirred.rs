//! How the runs were disturbed, for the report.

use super::page::Page;
use crate::analysis::HuntFacts;
use crate::analysis::stir::{Choice, Kind, StirPlan};
use crate::analysis::stirred::{StrategyRates, by_strategy};
use crate::text::labels::Label;
use crate::text::message::say;

/// The line on the method.
pub(super) fn method(facts: &HuntFacts, plan: StirPlan) -> Label {
    let StirPlan { choice, seed } = plan;
    let what = match choice.strategy() {
        None if facts.until.is_some() => Label::StirInTurn {},
        None => Label::StirAuto {},
        Some(strategy) => match (strategy.kind(), choice) {
            (Kind::Level, Choice::Fixed(_)) => {
                let level = strategy.level().unwrap_or_default();
                return say!(Label::Stirred { level, seed });
            }
            (Kind::Level, _) => Label::StirLevel {},
            (Kind::Calls, _) => Label::StirCalls {},
            (Kind::Sites, _) => Label::StirSites {},
            (Kind::Both, _) => Label::StirBoth {},
            (Kind::Strict, _) => Label::StirStrict {},
        },
    };
    let seeds = match choice {
        Choice::Replay(_) => say!(Label::SeedOfAll { seed }),
        Choice::Auto | Choice::Fixed(_) => say!(Label::SeedOfRun { seed }),
    };
    say!(Label::StirredBy { options: plan.options(), what, seeds })
}

/// The table of the strategies; nothing where all runs had the same one.
pub(super) fn table(page: &mut Page, facts: &HuntFacts) {
    let all = by_strategy(facts);
    if all.is_empty() {
        return;
    }
    let arms = !facts.arms.is_empty();
    page.heading(&Label::Strategies {});
    page.line(if arms { &Label::StrategyTableArms {} } else { &Label::StrategyTable {} });
    page.raw(if arms { "|---|---|---|---|---|---|---|\n" } else { "|---|---|---|---|---|---|\n" });
    for StrategyRates { arm, strategy, runs, near, seconds, per_hour } in &all {
        let hourly = per_hour.map_or_else(
            || "-".to_owned(),
            |hourly| {
                let [rate, low, high] = [hourly.rate, hourly.low, hourly.high].map(|x| format!("{x:.1}"));
                say!(Label::RateBetween { rate, low, high }).text(page.lang)
            },
        );
        let cells = [
            strategy.to_string(),
            runs.made.to_string(),
            format!("{}/{}", runs.hung_here(), runs.could_hang()),
            near.to_string(),
            format!("{seconds:.1}"),
            hourly,
        ];
        let arm = arms.then_some(arm.as_str());
        page.row(arm.into_iter().chain(cells.iter().map(String::as_str)));
    }
    page.raw("\n");
    page.line(&Label::NearHangs {});
}
