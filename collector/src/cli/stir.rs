//! `--stir`, `--stir-seed` and `--stir-replay`.

use std::collections::BTreeSet;

use crate::analysis::stir::{AUTO, KNOWN};
use crate::analysis::{Choice, Stir, StirPlan, Strategy};
use crate::console::exit::{Ended, Status};
use crate::hunt::replay;

/// Value of `--stir` for nothing.
const OFF: &str = "0";

/// How the runs of a hunt are disturbed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StirArgs {
    /// Disturb the runs from inside, so that rare races hang more often. `auto`, or no value: each run gets
    /// the strategy that promises most hangs for its time, by what the runs before did. 0: nothing.
    /// Strategies, to choose one yourself: calls holds threads for up to milliseconds at calls of
    /// synchronisation functions, sites at atomic instructions of the allocator, both at both; strict runs
    /// all threads on one CPU with strict priorities. calls:3 is calls with strength 3, of 1 to 3
    /// [default: 2]. 1, 2, 3: threads get other CPUs and priorities; are also crowded on few CPUs; are also
    /// stopped inside the allocator. It ends with the first dump. ops/s of such runs say nothing.
    #[arg(
        id = "stir", long = "stir", value_name = "STRATEGY", num_args = 0..=1, default_missing_value = AUTO,
        value_parser = wanted
    )]
    wanted: Option<Wanted>,
    /// Seed of --stir [default: a new one, printed].
    #[arg(id = "stir_seed", long = "stir-seed", value_name = "N", requires = "stir")]
    seed: Option<u32>,
    /// Disturb each run as run RUN of an earlier hunt was, with its strategy and its seed. RUN is the folder
    /// of a hang (OUT/hang_run_8), or OUT:8. It repeats what is done when, but not how the system reacts.
    #[arg(id = "stir_replay", long = "stir-replay", value_name = "RUN", conflicts_with_all = ["stir", "stir_seed"])]
    replay: Option<String>,
}

/// A value of `--stir`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Off,
    Choice(Choice),
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        OFF => Ok(Wanted::Off),
        AUTO => Ok(Wanted::Choice(Choice::Auto)),
        _ => match text.parse() {
            Ok(strategy) => Ok(Wanted::Choice(Choice::Fixed(strategy))),
            Err(bad) => Err(format!("{bad}; or {AUTO}, or {OFF} for nothing")),
        },
    }
}

impl StirArgs {
    /// Whether the user gave the seed, or a run that has one.
    pub(crate) fn has_seed(&self) -> bool {
        self.seed.is_some() || self.replay.is_some()
    }

    /// The plan, and the preferred sites of a run that is replayed. No plan for nothing. `command` is the
    /// subcommand, for errors; `usual` is the seed where the user gives none.
    ///
    /// # Errors
    /// There is no such run to replay, or it was not disturbed.
    pub(crate) fn plan(
        &self,
        command: &str,
        usual: Option<u32>,
    ) -> anyhow::Result<(Option<StirPlan>, BTreeSet<u32>)> {
        if let Some(run) = &self.replay {
            let usage = |e| Ended::new(Status::Usage, format!("{command}: --stir-replay {run}: {e}"));
            let (Stir { strategy, seed }, preferred) = replay::stir_of(run).map_err(usage)?;
            return Ok((Some(StirPlan { choice: Choice::Replay(strategy), seed }), preferred));
        }
        let plan = match self.wanted {
            Some(Wanted::Choice(choice)) => Some(StirPlan { choice, seed: seed(self.seed.or(usual)) }),
            Some(Wanted::Off) | None => None,
        };
        Ok((plan, BTreeSet::new()))
    }
}

/// How one process is disturbed that hangscope does not start itself.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct PlainStirArgs {
    /// Disturb the process from inside, so that rare races hang more often: 0 (nothing), 1, 2, 3 or
    /// strict (with a strength: strict:3). `hangscope hunt --help` says what they do. The other strategies of
    /// hunt need a plan for each run.
    #[arg(
        id = "stir", long = "stir", value_name = "STRATEGY", num_args = 0..=1, default_missing_value = AUTO,
        value_parser = plain
    )]
    wanted: Option<Plain>,
    /// Seed of --stir [default: a new one, in the hello].
    #[arg(id = "stir_seed", long = "stir-seed", value_name = "N", requires = "stir")]
    seed: Option<u32>,
}

/// A value of `--stir`: none for nothing.
#[derive(Clone, Copy, Debug)]
struct Plain(Option<Strategy>);

fn plain(text: &str) -> Result<Plain, String> {
    let remedy = "give 1, 2, 3 or strict[:N] here, or use hangscope hunt --stir";
    match wanted(text) {
        Ok(Wanted::Off) => Ok(Plain(None)),
        Ok(Wanted::Choice(Choice::Auto)) => {
            Err(format!("{AUTO} chooses a strategy for each run of a hunt: {remedy}"))
        }
        Ok(Wanted::Choice(Choice::Fixed(strategy) | Choice::Replay(strategy))) => match strategy.holds() {
            true => {
                Err(format!("{strategy} holds threads by a plan that a hunt makes for each run: {remedy}"))
            }
            false => Ok(Plain(Some(strategy))),
        },
        Err(_) => Err(format!("no strategy ({KNOWN}): {remedy}")),
    }
}

impl PlainStirArgs {
    /// None for nothing.
    pub(crate) fn stir(self) -> Option<Stir> {
        let strategy = self.wanted?.0?;
        Some(Stir { strategy, seed: seed(self.seed) })
    }
}

fn seed(given: Option<u32>) -> u32 {
    given.unwrap_or_else(|| fastrand::u32(..))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Hunt {
        #[command(flatten)]
        stir: StirArgs,
        #[arg(long)]
        runs: Option<u32>,
        #[arg(last = true)]
        command: Vec<String>,
    }

    #[derive(clap::Parser)]
    struct Env {
        #[command(flatten)]
        stir: PlainStirArgs,
    }

    fn hunt(words: &[&str]) -> Result<Hunt, String> {
        Hunt::try_parse_from([&["hunt"], words].concat()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_value_is_left_out_for_auto() {
        for words in
            [&["--stir", "--runs", "3"][..], &["--runs", "3", "--stir", "--", "calls"], &["--stir=auto"]]
        {
            let hunt = hunt(words).unwrap();
            assert_eq!(hunt.stir.plan("hunt", None).unwrap().0.map(|plan| plan.choice), Some(Choice::Auto));
            assert_eq!(hunt.runs.is_some(), words.len() > 1);
            assert_eq!(hunt.command.len(), words.len() / 5);
        }
        let choice = |words: &[&str]| {
            hunt(words).unwrap().stir.plan("hunt", None).unwrap().0.map(|plan| plan.options())
        };
        assert_eq!(choice(&["--stir", "3", "--stir-seed", "7"]).unwrap(), "--stir 3 --stir-seed 7");
        assert_eq!(choice(&["--stir", "sites", "--stir-seed", "7"]).unwrap(), "--stir sites:2 --stir-seed 7");
        assert_eq!((choice(&["--stir", "0"]), choice(&[])), (None, None));
        assert!(hunt(&["--stir-seed", "7"]).is_err());
        assert!(hunt(&["--stir-replay", "x:1", "--stir"]).is_err());
        let error = hunt(&["--stir", "cals"]).err().unwrap();
        assert!(error.contains("did you mean calls?") && error.contains("auto"), "{error}");
    }

    #[test]
    fn a_process_that_is_not_started_here_has_no_plan() {
        let env = |words: &[&str]| Env::try_parse_from([&["env"], words].concat()).map_err(|e| e.to_string());
        let stir =
            |words: &[&str]| env(words).unwrap().stir.stir().map(|stir| (stir.strategy.code(), stir.seed));
        assert_eq!(stir(&["--stir", "strict", "--stir-seed", "7"]), Some((66, 7)));
        assert_eq!((stir(&["--stir", "0"]), stir(&[])), (None, None));
        for (words, says) in [
            (
                &["--stir"][..],
                "auto chooses a strategy for each run of a hunt: give 1, 2, 3 or strict[:N] here",
            ),
            (
                &["--stir", "both:3"],
                "both:3 holds threads by a plan that a hunt makes for each run: give 1, 2, 3",
            ),
            (&["--stir", "9"], "no strategy (1, 2, 3, calls[:N]"),
        ] {
            let error = env(words).err().unwrap();
            assert!(error.contains(says), "{error}");
        }
    }
}
