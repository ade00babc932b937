//! `hangscope plan`.

use serde::Serialize;

use super::args::share;
use crate::analysis::stats::{self, Rate};
use crate::analysis::verdict::{given, percent};
use crate::console::exit::{Ended, Status};
use crate::console::out;

/// How many runs a hunt needs, or what a number of runs could have seen.
///
/// With --rate: the runs after which a hang of that rate has shown itself at least once, with the probability
/// --confidence. With --runs: the rate that so many runs without a hang exclude. Both are exact, of the binomial: the
/// smallest N with 1 - (1 - rate)^N >= confidence, and 1 - (1 - confidence)^(1/N).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hangscope plan --rate 0.02 --confidence 0.95   # 149 runs\n  \
    hangscope plan --runs 50                        # 0 hangs in 50 runs: the rate is below 5.8 %")]
pub(crate) struct Args {
    /// How often one run hangs, between 0 and 1: 0.02 is one in fifty.
    #[arg(long, value_name = "RATE", value_parser = share, required_unless_present = "runs", conflicts_with = "runs")]
    rate: Option<f64>,
    /// Runs that were made or can be afforded.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Probability of being right, between 0 and 1.
    #[arg(long, value_name = "SHARE", default_value_t = stats::CONFIDENCE, value_parser = share)]
    confidence: f64,
    /// Only one line of JSON on stdout: rate, confidence, runs.
    #[arg(long)]
    json: bool,
}

/// The answer, and what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Answer {
    rate: f64,
    confidence: f64,
    runs: u32,
}

/// Says it.
pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (answer, line) = answer(args.rate, args.runs, args.confidence)?;
    match args.json {
        true => out::json(&answer)?,
        false => out::line(line),
    }
    Ok(Status::NoHang)
}

fn answer(rate: Option<f64>, runs: Option<u32>, confidence: f64) -> anyhow::Result<(Answer, String)> {
    let sure = given(confidence);
    let Some(runs) = runs else {
        let rate = rate.ok_or_else(|| usage("give --rate or --runs"))?;
        let runs = stats::plan(rate, confidence).ok_or_else(|| {
            usage(format!("--rate {rate} needs more than {} runs; give a higher one", u32::MAX))
        })?;
        let line = format!(
            "{runs} runs: a hang in {} % of the runs shows itself at least once with {sure} % probability",
            given(rate)
        );
        return Ok((Answer { rate, confidence, runs }, line));
    };
    let rate = Rate::exact(0, runs, confidence).high;
    let line = format!(
        "0 hangs in {runs} runs: the rate of hangs is below {} % at {sure} %; one that hangs more often would have \
         shown itself",
        percent(rate)
    );
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
        insta::assert_snapshot!(line, @"149 runs: a hang in 2 % of the runs shows itself at least once with 95 % probability");
        let (seen, line) = answer(None, Some(50), 0.95).unwrap();
        assert!((seen.rate - 0.058_155).abs() < 1e-6, "{seen:?}");
        insta::assert_snapshot!(line, @"0 hangs in 50 runs: the rate of hangs is below 5.8 % at 95 %; one that hangs more often would have shown itself");
        assert!(answer(Some(1e-12), None, 0.95).is_err());
        for bad in ["0", "1", "-0.1", "2 %", "NaN", "inf", ""] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
