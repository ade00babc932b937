//! The settings of a shrink. `shrink_settings.json` in OUT keeps them, so that the shrink can be resumed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::analysis::shrink::command::BadNumbers;
use crate::analysis::shrink::{Shape, Task};
use crate::analysis::sprt::Sprt;
use crate::analysis::{Choice, Class, StirPlan};
use crate::files::atomic::{self, WriteError};
use crate::files::settings;
use crate::launch::program;

/// Name of the file in OUT.
pub(crate) const FILE: &str = "shrink_settings.json";
const SCHEMA: &str = "hangscope/shrink-settings/1";

/// The settings of a shrink. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// `hangscope/shrink-settings/1`.
    pub(crate) schema: String,
    /// The allocator's DSO, absolute path.
    pub(crate) so: PathBuf,
    /// SHA-1 of the pinned copy, hex; empty until it is pinned.
    pub(crate) sha1: String,
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The profile of the user; none: a built-in one.
    pub(crate) profile: Option<PathBuf>,
    /// The working directory of the command.
    pub(crate) dir: PathBuf,
    /// The command of the benchmark.
    pub(crate) command: Vec<String>,
    /// The lowest rate of hangs of an accepted candidate, 0 to 1.
    pub(crate) rate: f64,
    /// Confidence of the test and the intervals, 0 to 1.
    pub(crate) confidence: f64,
    /// The class of hang to look for; none: that of the first hang.
    pub(crate) class: Option<Class>,
    /// Deadline; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
    /// A run without progress for this time hangs; none: only the deadline counts.
    pub(crate) stall_s: Option<f64>,
    /// Time between two looks of the shim; none: a quarter of the deadline.
    pub(crate) tick_s: Option<f64>,
    /// How the scheduling of the runs is disturbed; none: not at all.
    pub(crate) stir: Option<StirPlan>,
    /// Of a run that is replayed: offsets in the allocator at which threads are held more often.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) preferred_sites: BTreeSet<u32>,
    /// Processors of the runs, as in the option.
    pub(crate) cpus: Option<String>,
    /// Environment variables for the benchmark.
    pub(crate) env: Vec<(String, String)>,
    /// Names of the watched programs, as in the option.
    pub(crate) only: Option<String>,
    /// Indices of the arguments that do not change.
    pub(crate) keep: Vec<usize>,
    /// Indices of arguments with their least values.
    pub(crate) least: Vec<(usize, u64)>,
    /// Number of fresh runs of the smallest command.
    pub(crate) confirm: u32,
    /// Number of runs of the preload verification.
    pub(crate) verify_runs: u32,
    /// Arguments of a small run, for the verification.
    #[serde(default)]
    pub(crate) verify_args: Option<Vec<String>>,
    /// The shim, as in the option; none: the installed one.
    pub(crate) shim: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn schema() -> String {
        SCHEMA.to_owned()
    }

    /// Reads the settings of the shrink in `out`; none: there is no shrink.
    ///
    /// # Errors
    /// One line that says what is wrong with the file.
    pub(crate) fn load(out: &Path) -> Result<Option<Settings>, String> {
        settings::load(&out.join(FILE), "shrink", |settings: &Settings| settings.schema == SCHEMA)
    }

    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join(FILE), self)
    }

    /// These settings belong to the same shrink as `read`, whatever the file of the DSO is now. If the user
    /// gave no seed (`given_seed`), the seed of `read` counts.
    pub(crate) fn same(&self, read: &Settings, given_seed: bool) -> bool {
        let own = |plan: StirPlan| StirPlan { seed: read.stir.map_or(plan.seed, |read| read.seed), ..plan };
        let stir = if given_seed { self.stir } else { self.stir.map(own) };
        settings::are_same(&Settings { sha1: read.sha1.clone(), stir, ..self.clone() }, read)
    }

    /// The numbers of the command.
    pub(crate) fn shape(&self) -> Result<Shape, BadNumbers> {
        let benchmark = program::benchmark(&self.command);
        let at = self.command.iter().position(|word| benchmark.is_some_and(|b| std::ptr::eq(b, word)));
        Shape::of(&self.command, at.map_or(1, |at| at + 1), &self.keep, &self.least)
    }

    pub(crate) fn task(&self, shape: &Shape) -> Task {
        Task {
            numbers: shape.numbers(),
            class: self.class,
            test: Sprt::of(self.rate, self.confidence),
            confirm: self.confirm,
            hang_after_s: self.hang_after_s,
            chooses: self.stir.is_some_and(|plan| plan.choice == Choice::Auto),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_were_written_are_the_same_shrink_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let plan = |text: &str, seed| StirPlan { choice: Choice::Fixed(text.parse().unwrap()), seed };
        let settings = Settings {
            schema: Settings::schema(),
            so: "/a/libx.so".into(),
            sha1: "ab".into(),
            name: "x".into(),
            profile: None,
            dir: "/a".into(),
            command: ["env", "A=1", "./bench", "16", "2000000"].map(str::to_owned).to_vec(),
            rate: 0.333_333_333_333_333_37,
            confidence: 1.0 - 0.05,
            class: Some(Class::LostWakeup),
            hang_after_s: Some(0.1 + 0.2),
            stall_s: None,
            tick_s: None,
            stir: Some(plan("2", 7)),
            preferred_sites: BTreeSet::from([5]),
            cpus: Some("0-1".into()),
            env: vec![("A".into(), "b c".into())],
            only: None,
            keep: vec![1],
            least: vec![(2, 10)],
            confirm: 20,
            verify_runs: 0,
            verify_args: Some(vec!["2".into()]),
            shim: None,
        };
        assert_eq!(Settings::load(dir.path()), Ok(None));
        settings.write(dir.path()).unwrap();
        let read = Settings::load(dir.path()).unwrap().expect("settings");
        assert!(Settings { sha1: String::new(), ..settings.clone() }.same(&read, true));
        assert!(!Settings { confirm: 21, ..settings.clone() }.same(&read, false));
        let stir = |level, seed| Settings { stir: Some(plan(level, seed)), ..settings.clone() };
        let (seed, level) = (stir("2", 8), stir("1", 7));
        assert!(seed.same(&read, false) && !seed.same(&read, true) && !level.same(&read, false));
        let task = read.task(&read.shape().unwrap());
        assert_eq!(
            task.numbers.len(),
            1,
            "the numbers of the wrapper do not count, and the first one is kept"
        );
        assert_eq!(task.numbers[0].least, 10);

        std::fs::write(dir.path().join(FILE), "{}").unwrap();
        assert!(
            Settings::load(dir.path()).unwrap_err().contains("not the settings of a shrink: missing field")
        );
        Settings { schema: "hangscope/shrink-settings/9".into(), ..settings }.write(dir.path()).unwrap();
        assert!(Settings::load(dir.path()).unwrap_err().contains("written by another version"));
    }
}
