//! The arms of a hunt, ready to run: a lane each, and what is pinned for it.

use super::arm::{self, Treatment};
use super::config::Config;
use super::lane::Lane;
use super::rows::Rows;
use super::run;
use super::screen::Screen;
use crate::analysis::{ArmFacts, RunFacts};
use crate::console::cancel::Cancel;
use crate::files::pin;
use crate::files::pin::Pinned;

/// The arms, by the index that they have in [`Config::arms`].
#[derive(Debug)]
pub(super) struct Arms(Vec<(Lane, Pinned)>);

impl Arms {
    /// Pins the builds of other arms, and verifies that they are what provides `malloc`.
    pub(super) fn new(
        config: &Config,
        pinned: &Pinned,
        screen: &Screen,
        cancel: &Cancel,
    ) -> anyhow::Result<Arms> {
        let mut arms = vec![];
        for (index, arm) in config.arms.iter().enumerate() {
            let pinned = match &arm.treatment {
                Treatment::Build(so) => {
                    let (dir, sums) =
                        (config.out.join("arms").join(&arm.name), format!("{}_so.sha1", arm.name));
                    let pinned = pin::pin_as(so, &dir, &arm.name, &sums).map_err(super::pin_error)?;
                    super::verified(config, &pinned, &dir, screen, cancel)?;
                    pinned
                }
                Treatment::Pinned | Treatment::Change(_) => pinned.clone(),
            };
            arms.push((Lane::arm(config, &pinned, index)?, pinned));
        }
        Ok(Arms(arms))
    }

    /// Begins the rows of all, and says in which order they take turns.
    pub(super) fn begin(&self, config: &Config, rows: &mut Rows, screen: &Screen) -> anyhow::Result<()> {
        for arm in config.arms.iter().filter(|arm| arm.treatment != Treatment::Pinned) {
            rows.arm(&config.out, &arm.name)?;
        }
        if config.arms.len() > 1 {
            let names: Vec<&str> = config.arms.iter().map(|arm| arm.name.as_str()).collect();
            let (names, runs, seed) = (names.join(", "), config.runs, config.seed);
            let until = if config.limits.until.is_some() { "until decided, at most " } else { "" };
            let line = format!("arms {names}: {until}{runs} runs each, in turns shuffled by --seed {seed}");
            rows.progress(&format!("[ARMS] {line}"))?;
            screen.say(&line);
        }
        Ok(())
    }

    /// The lane of one.
    pub(super) fn lane(&self, arm: usize) -> &Lane {
        &self.0[arm].0
    }

    /// Makes a run of one, after those that were made.
    pub(super) fn run(
        &self,
        config: &Config,
        arm: usize,
        number: u32,
        made: &[RunFacts],
        screen: &Screen,
        cancel: &Cancel,
    ) -> anyhow::Result<RunFacts> {
        let lane = self.lane(arm);
        let Treatment::Change(word) = &config.arms[arm].treatment else {
            return run::run(config, lane, number, None, screen, cancel);
        };
        let (lane, change) = lane.own_copy(config, number, *word, arm::halfway(made))?;
        run::run(config, &lane, number, Some(change), screen, cancel)
    }

    /// What is known of them; nothing where there is only the pinned one.
    pub(super) fn facts(&self, config: &Config) -> Vec<ArmFacts> {
        let several = config.arms.len() > 1;
        let both = config.arms.iter().zip(&self.0).filter(|_| several);
        both.map(|(arm, (_, pinned))| ArmFacts {
            name: arm.name.clone(),
            change: match arm.treatment {
                Treatment::Change(word) => Some(word),
                Treatment::Pinned | Treatment::Build(_) => None,
            },
            other_build: matches!(arm.treatment, Treatment::Build(_)),
            path: pinned.path.display().to_string(),
            sha1: pinned.sha1.clone(),
        })
        .collect()
    }
}
