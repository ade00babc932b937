//! The arms of a hunt, ready to run: a lane for each, and its pinned DSO.

use super::arm::{self, Change, Treatment};
use super::config::Config;
use super::lane::Lane;
use super::preflight::{pin_error, verify_preload};
use super::run_files::RunFiles;
use super::screen::Screen;
use crate::analysis::{ArmFacts, RunFacts};
use crate::console::cancel::Cancel;
use crate::files::atomic::WriteError;
use crate::files::pin::{self, Pinned};
use crate::history::model::Build;
use crate::text::message::say;
use crate::text::progress::JobLine;

/// The arms, in the order of [`Config::arms`].
#[derive(Debug)]
pub(super) struct Arms(Vec<(Lane, Pinned)>);

impl Arms {
    /// Pins the builds of other arms, and verifies that each of them provides `malloc`.
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
                    let pinned = pin::pin_as(so, &dir, &arm.name, &sums).map_err(pin_error)?;
                    verify_preload(config, &pinned, &dir, screen, cancel)?;
                    pinned
                }
                Treatment::Pinned | Treatment::Change(_) => pinned.clone(),
            };
            arms.push((Lane::arm(config, &pinned, index)?, pinned));
        }
        Ok(Arms(arms))
    }

    /// Begins the files of all arms.
    pub(super) fn begin_files(&self, config: &Config, files: &mut RunFiles) -> Result<(), WriteError> {
        let others = config.arms.iter().filter(|arm| arm.treatment != Treatment::Pinned);
        others.into_iter().try_for_each(|arm| files.arm(&config.out, &arm.name))
    }

    /// A line on the order of the runs; none if there is one arm.
    pub(super) fn turns(&self, config: &Config) -> Option<JobLine> {
        if config.arms.len() == 1 {
            return None;
        }
        let names: Vec<&str> = config.arms.iter().map(|arm| arm.name.as_str()).collect();
        let (names, runs, seed) = (names.join(", "), config.planned(), config.seed);
        Some(match config.limits.until {
            Some(_) => say!(JobLine::ArmsUntil { names, runs, most: config.runs, seed }),
            None => say!(JobLine::Arms { names, runs, seed }),
        })
    }

    /// The build that an arm runs, for the history.
    pub(super) fn build(&self, config: &Config, arm: usize) -> Build {
        Build::of(&config.name, &self.0[arm].1)
    }

    /// The lane of an arm, by its index.
    pub(super) fn lane(&self, arm: usize) -> &Lane {
        &self.0[arm].0
    }

    /// For a run of an arm that changes the DSO: its lane with the run's own copy, and the change. `before`
    /// are the runs of all arms so far.
    ///
    /// # Errors
    /// The copy cannot be made.
    pub(super) fn own(
        &self,
        config: &Config,
        arm: usize,
        number: u32,
        before: &[RunFacts],
    ) -> anyhow::Result<Option<(Lane, Change)>> {
        let Treatment::Change(word) = &config.arms[arm].treatment else { return Ok(None) };
        self.lane(arm).own_copy(config, number, *word, arm::halfway(before)).map(Some)
    }

    /// Facts on each arm; empty if there is only the pinned one.
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
