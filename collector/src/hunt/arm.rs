//! Arms: the same benchmark with the pinned DSO, with another build, or with a change of the DSO's file in
//! the middle of the run. Each changed run has its own copy of the DSO.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::analysis::facts::{PINNED, STATS};
use crate::analysis::{Integrity, RunFacts, RunOutcome, stats};
use crate::files::pin;
use crate::text::message::say;
use crate::text::note::Note;

/// When a run's DSO is changed, before a good run has shown how long a run takes.
const FIRST_CHANGE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arm {
    pub(crate) name: String,
    pub(crate) treatment: Treatment,
}

/// What an arm does to its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// The control: the pinned copy, unchanged.
    Pinned,
    /// The DSO's file is removed, replaced (another file moved over it), or overwritten (a copy in place).
    Change(Integrity),
    /// Another build, pinned as well.
    Build(PathBuf),
}

impl Arm {
    pub(crate) fn pinned() -> Arm {
        Arm { name: PINNED.to_owned(), treatment: Treatment::Pinned }
    }

    /// Reads an argument: `pinned`, `deleted`, `replaced`, `overwritten`, `so=PATH`, `so=NAME:PATH`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Arm, String> {
        let change = |word| Ok(Arm { name: text.to_owned(), treatment: Treatment::Change(word) });
        match text {
            PINNED => return Ok(Arm::pinned()),
            "deleted" => return change(Integrity::Deleted),
            "replaced" => return change(Integrity::Replaced),
            "overwritten" => return change(Integrity::Overwritten),
            _ => {}
        }
        let unknown = "give pinned, deleted, replaced, overwritten, so=PATH or so=NAME:PATH";
        let given = text.strip_prefix("so=").filter(|rest| !rest.is_empty()).ok_or(unknown)?;
        // A path may have colons, so the text before a colon is a name only if it could be one.
        let named =
            given.split_once(':').filter(|(name, path)| pin::check_name(name).is_ok() && !path.is_empty());
        let (name, path) = match named {
            Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
            None => (pin::name_of(Path::new(given)), PathBuf::from(given)),
        };
        if pin::check_name(&name).is_err()
            || [PINNED, STATS, "deleted", "replaced", "overwritten"].contains(&&*name)
        {
            return Err(format!("{name:?} cannot be the name of a build's arm: give another, so=NAME:PATH"));
        }
        Ok(Arm { name, treatment: Treatment::Build(path) })
    }

    /// Checks the arms of a hunt against each other.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn check(arms: &[Arm]) -> Result<(), String> {
        for (at, arm) in arms.iter().enumerate() {
            if arms[..at].iter().any(|other| other.name == arm.name) {
                return Err(format!(
                    "--arm {} is there twice: builds can be told apart by so=NAME:PATH",
                    arm.name
                ));
            }
        }
        match arms.iter().any(|arm| arm.treatment == Treatment::Pinned) {
            true => Ok(()),
            false => Err("the other arms need a control: give --arm pinned, too".to_owned()),
        }
    }
}

/// The runs of a hunt, in rounds: arm (by index) and number. Each arm has one run in a round. The order in a
/// round is shuffled, so that a slow change of the machine affects all arms. The same seed gives the same
/// order.
pub(crate) fn rounds(arms: usize, runs: u32, seed: u64) -> impl Iterator<Item = (usize, u32)> {
    let mut random = fastrand::Rng::with_seed(seed);
    (1..=runs).flat_map(move |number| {
        let mut order: Vec<usize> = (0..arms).collect();
        random.shuffle(&mut order);
        order.into_iter().map(move |arm| (arm, number))
    })
}

/// When a run's DSO is changed: after half of the time of a good run of the pinned arm.
pub(crate) fn halfway(runs: &[RunFacts]) -> Duration {
    let good = runs.iter().filter(|r| r.arm == PINNED && r.outcome == RunOutcome::Ok);
    let seconds: Vec<f64> = good.map(|r| r.seconds).collect();
    stats::spread(&seconds).map_or(FIRST_CHANGE, |s| Duration::from_secs_f64(s.median / 2.0))
}

/// The change of the DSO of one run. The run has its own copy, which is removed on drop unless it is kept.
#[derive(Debug)]
pub(crate) struct Change {
    word: Integrity,
    path: PathBuf,
    /// The new bytes.
    bytes: Vec<u8>,
    after: Duration,
    made: Option<Duration>,
    keep: bool,
}

impl Change {
    /// A change of the file at `path`, `after` the start of the run. `bytes` come in its place, unless it is
    /// deleted.
    pub(crate) fn new(word: Integrity, path: &Path, bytes: Vec<u8>, after: Duration) -> Change {
        Change { word, path: path.to_owned(), bytes, after, made: None, keep: false }
    }

    /// When to make the change; none if it was made.
    pub(crate) fn due(&self, started: Instant) -> Option<Instant> {
        self.made.is_none().then(|| started + self.after)
    }

    /// Makes the change. `since` is the time from the start of the run.
    ///
    /// # Errors
    /// A file operation failed.
    pub(crate) fn make(&mut self, since: Duration) -> io::Result<()> {
        match self.word {
            Integrity::Deleted => fs::remove_file(&self.path)?,
            Integrity::Overwritten => {
                // Like `cp -f`: the same inode, truncated, then written.
                let mut file = fs::File::options().write(true).truncate(true).open(&self.path)?;
                file.write_all(&self.bytes)?;
            }
            _ => {
                let new = self.path.with_extension("so.new");
                fs::write(&new, &self.bytes)?;
                fs::rename(&new, &self.path)?;
            }
        }
        self.made = Some(since);
        Ok(())
    }

    /// Keeps the file, as evidence.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Puts the change into the facts of its run. A copy in place of the same bytes leaves no other trace in
    /// a run that ends well.
    pub(crate) fn record(&self, facts: &mut RunFacts) -> Note {
        let word = self.word;
        let Some(made) = self.made else {
            return say!(Note::NotChanged { word, seconds: format!("{:.2}", self.after.as_secs_f64()) });
        };
        if facts.integrity_start == Integrity::Intact {
            facts.integrity_end = facts.integrity_end.max(word);
        }
        say!(Note::Changed { word, seconds: format!("{:.2}", made.as_secs_f64()) })
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.keep {
            // The change may have removed it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn arms_as_they_are_given() {
        let build = |text: &str| match Arm::parse(text).unwrap() {
            Arm { name, treatment: Treatment::Build(path) } => (name, path.display().to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(build("so=old/libhz4.so"), ("hz4".into(), "old/libhz4.so".into()));
        assert_eq!(build("so=v1:old/libhz4.so"), ("v1".into(), "old/libhz4.so".into()));
        assert_eq!(build("so=./a:b/libx.so"), ("x".into(), "./a:b/libx.so".into()));
        for bad in ["", "so=", "so", "removed", "so=pinned:x.so", "so=libdeleted.so", "so=/"] {
            assert!(Arm::parse(bad).is_err(), "{bad}");
        }
        let check = |texts: &[&str]| {
            Arm::check(&texts.iter().map(|text| Arm::parse(text).unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(check(&["deleted", "pinned", "so=x.so"]), Ok(()));
        assert!(check(&["pinned", "so=a/x.so", "so=b/x.so"]).unwrap_err().contains("--arm x is there twice"));
        assert!(check(&["deleted"]).unwrap_err().contains("give --arm pinned"));
    }

    #[test]
    fn every_round_has_every_arm_once_and_a_seed_repeats_the_order() {
        let order = |seed| rounds(3, 50, seed).collect::<Vec<_>>();
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        for (number, round) in (1..).zip(order(7).chunks(3)) {
            assert!(round.iter().all(|(_, run)| *run == number));
            let mut arms: Vec<usize> = round.iter().map(|(arm, _)| *arm).collect();
            arms.sort_unstable();
            assert_eq!(arms, [0, 1, 2]);
        }
        assert!(order(7).chunks(3).any(|round| round[0].0 != 0), "it is shuffled");
        assert!(rounds(1, 3, 7).eq([(0, 1), (0, 2), (0, 3)]));
    }

    #[test]
    fn what_happens_to_the_file_and_that_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        for word in [Integrity::Deleted, Integrity::Replaced, Integrity::Overwritten] {
            fs::write(&path, "old").unwrap();
            let before = fs::metadata(&path).unwrap().ino();
            let held = fs::File::open(&path).unwrap();
            let mut change = Change::new(word, &path, b"new one".to_vec(), Duration::ZERO);
            let started = Instant::now();
            assert_eq!(change.due(started), Some(started));
            change.make(Duration::from_millis(5)).unwrap();
            assert_eq!(change.due(started), None);
            let now = fs::metadata(&path).ok().map(|meta| (meta.ino() == before, meta.size()));
            let expected = match word {
                Integrity::Deleted => None,
                Integrity::Replaced => Some((false, 7)),
                _ => Some((true, 7)),
            };
            assert_eq!(now, expected, "{word}");
            drop((change, held));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{word}");
        }
    }
}
