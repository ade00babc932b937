//! `hangscope plan`.

use serde::Serialize;

use super::args::share;
use crate::analysis::stats::{self, Rate};
use crate::analysis::verdict::{given, percent};
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::text::message::{messages, say};

/// How many runs a hunt needs, or the detection power of a number of runs.
///
/// With --rate: the number of runs in which a hang of that rate occurs at least once with the probability
/// --confidence. With --runs: the rate of hangs that this number of runs without a hang rules out. Both are
/// exact, from the binomial distribution: the smallest N with 1 - (1 - rate)^N >= confidence, and 1 - (1 -
/// confidence)^(1/N).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hangscope plan --rate 0.02 --confidence 0.95   # 149 runs\n  \
    hangscope plan --rate 1/500                     # a hang in 500 runs\n  \
    hangscope plan --runs 50                        # 0 hangs in 50 runs: the rate is below 5.8 %")]
pub(crate) struct Args {
    /// How often one run hangs: 0.02, 2% or 1/50.
    #[arg(long, value_name = "RATE", value_parser = share, required_unless_present = "runs", conflicts_with = "runs")]
    rate: Option<f64>,
    /// Number of runs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Probability of being right: 0.95 or 95%.
    #[arg(long, value_name = "SHARE", default_value_t = stats::CONFIDENCE, value_parser = share)]
    confidence: f64,
    /// Only one line of JSON on stdout: rate, confidence, runs.
    #[arg(long)]
    json: bool,
}

messages! {
    /// The answer of `plan`.
    pub(crate) Plan {
        Needed { runs: "run", rate, sure } => "{runs}: a hang in {rate} % of the runs shows itself at least once with {sure} % \
            probability",
            "{runs} 回の実行が必要: ハング率が {rate} % なら、{sure} % の確率で 1 回以上ハングが起きる";
        Excluded { runs: "run", rate, sure } => "0 hangs in {runs}: the rate of hangs is below {rate} % with {sure} % confidence",
            "{runs} 回の実行で 1 回もハングしなければ、ハング率は {sure} % 信頼で {rate} % 未満";
    }
}

/// The answer, and the question.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Answer {
    rate: f64,
    confidence: f64,
    runs: u32,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (answer, line) = answer(args.rate, args.runs, args.confidence)?;
    match args.json {
        true => out::json(&answer)?,
        false => out::say(&line),
    }
    Ok(Status::NoHang)
}

fn answer(rate: Option<f64>, runs: Option<u32>, confidence: f64) -> anyhow::Result<(Answer, Plan)> {
    let sure = given(confidence);
    let Some(runs) = runs else {
        let rate = rate.ok_or_else(|| usage("give --rate or --runs"))?;
        let runs = stats::plan(rate, confidence).ok_or_else(|| {
            usage(format!("--rate {rate} needs more than {} runs; give a higher one", u32::MAX))
        })?;
        let line = say!(Plan::Needed { runs, rate: given(rate), sure });
        return Ok((Answer { rate, confidence, runs }, line));
    };
    let rate = Rate::exact(0, runs, confidence).high;
    let line = say!(Plan::Excluded { runs, rate: percent(rate), sure });
    Ok((Answer { rate, confidence, runs }, line))
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("plan: {what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_and_what_could_be_seen() {
        let (needed, line) = answer(Some(0.02), None, 0.95).unwrap();
        assert_eq!(needed.runs, 149);
        insta::assert_snapshot!(line.en(), @"149 runs: a hang in 2 % of the runs shows itself at least once with 95 % probability");
        let (seen, line) = answer(None, Some(50), 0.95).unwrap();
        assert!((seen.rate - 0.058_155).abs() < 1e-6, "{seen:?}");
        insta::assert_snapshot!(line.en(), @"0 hangs in 50 runs: the rate of hangs is below 5.8 % with 95 % confidence");
        insta::assert_snapshot!(answer(None, Some(1), 0.95).unwrap().1.en(), @"0 hangs in 1 run: the rate of hangs is below 95.0 % with 95 % confidence");
        assert!(answer(Some(1e-12), None, 0.95).is_err());
    }
}
