//! Which runs a shard has.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One part of a job that is cut into parts.
///
/// Run N of the whole belongs to shard (N - 1) modulo `of`, plus 1: shard 2 of 4 makes runs 2, 6, 10 and so
/// on. A run keeps the number that it has in the whole. All arms of a hunt with this number, and all cells of
/// a matrix with it, are of the same shard, so what is compared with each other ran on the same machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// From 1 to `of`.
    #[serde(rename = "shard")]
    pub(crate) index: u32,
    /// Number of shards.
    #[serde(rename = "shards")]
    pub(crate) of: u32,
}

impl Shard {
    /// Most shards of a job. An array of Slurm has fewer tasks.
    pub(crate) const MOST: u32 = 100_000;

    /// The only shard of a job that is not cut.
    pub(crate) const WHOLE: Shard = Shard { index: 1, of: 1 };

    /// None: `index` is not one of 1 to `of`, or there are too many shards.
    pub(crate) fn new(index: u32, of: u32) -> Option<Shard> {
        (of <= Shard::MOST && (1..=of).contains(&index)).then_some(Shard { index, of })
    }

    /// Reads `3/4`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Shard, String> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let both = text.split_once('/').and_then(|(index, of)| number(index).zip(number(of)));
        let shard = both.and_then(|(index, of)| Shard::new(index, of));
        shard.ok_or_else(|| format!("give i/n with i from 1 to n, as 3/4, n at most {}; or off", Shard::MOST))
    }

    /// Whether the run with this number, from 1, is one of the shard's.
    pub(crate) fn has(self, run: u32) -> bool {
        run >= 1 && (run - 1) % self.of == self.index - 1
    }

    /// Numbers of its runs, of `runs` of the whole.
    pub(crate) fn runs(self, runs: u32) -> impl Iterator<Item = u32> {
        (self.index..=runs).step_by(self.of as usize)
    }

    /// How many they are.
    pub(crate) fn count(self, runs: u32) -> u32 {
        (runs + self.of - self.index) / self.of
    }

    /// The first numbers of its runs, for people: `3, 7, 11, ...`.
    pub(crate) fn numbers(self, runs: u32) -> String {
        const SHOWN: usize = 3;
        let shown: Vec<String> = self.runs(runs).take(SHOWN).map(|run| run.to_string()).collect();
        let more = if self.count(runs) as usize > SHOWN { ", ..." } else { "" };
        shown.join(", ") + more
    }

    /// The folder of the shard in the job's OUT.
    pub(crate) fn folder(self, out: &Path) -> PathBuf {
        out.join(format!("shard_{}_of_{}", self.index, self.of))
    }

    /// The shard whose folder has this name. None: it is no shard's.
    pub(crate) fn of_folder(name: &str) -> Option<Shard> {
        let (index, of) = name.strip_prefix("shard_")?.split_once("_of_")?;
        Shard::new(index.parse().ok()?, of.parse().ok()?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_run_is_of_one_shard() {
        for of in 1..=17 {
            for runs in 0..=40 {
                let shards = (1..=of).map(|index| Shard::new(index, of).unwrap());
                let mut all: Vec<u32> = shards
                    .flat_map(|shard| {
                        let own: Vec<u32> = shard.runs(runs).collect();
                        assert_eq!(own.len() as u32, shard.count(runs), "{shard} of {runs}");
                        assert!((0..=runs).all(|run| shard.has(run) == own.contains(&run)));
                        own
                    })
                    .collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(1..=runs), "{of} shards of {runs}");
            }
        }
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_nearly_equal(of in 1u32..5000, runs in 0u32..100_000, run in 1u32..100_000) {
            let shards = || (1..=of).map(|index| Shard { index, of });
            prop_assert_eq!(shards().filter(|shard| shard.has(run)).count(), 1);
            let counts: Vec<u32> = shards().map(|shard| shard.count(runs)).collect();
            prop_assert_eq!(counts.iter().sum::<u32>(), runs);
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }

        #[test]
        fn text_and_folder_are_read_back(of in 1..=Shard::MOST, index in 1u32..) {
            let shard = Shard { index: (index - 1) % of + 1, of };
            prop_assert_eq!(Shard::parse(&shard.to_string()), Ok(shard));
            let folder = shard.folder(Path::new("night"));
            prop_assert_eq!(Shard::of_folder(folder.file_name().unwrap().to_str().unwrap()), Some(shard));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,12}") {
            let _ = (Shard::parse(&text), Shard::of_folder(&text));
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for bad in ["0/4", "5/4", "1/0", "4", "-1/4", "1/4/2", "a/b", "", "/", "1/99999999999", "1/100001"] {
            assert!(Shard::parse(bad).unwrap_err().contains("as 3/4"), "{bad}");
        }
        for bad in ["shard_0_of_4", "shard_5_of_4", "shard_1", "hang_run_8", "shard_1_of_4_old"] {
            assert_eq!(Shard::of_folder(bad), None, "{bad}");
        }
        assert!(Shard::runs(Shard { index: 2, of: 4 }, 50).take(3).eq([2, 6, 10]));
        let numbers = |index, runs| Shard { index, of: 4 }.numbers(runs);
        assert_eq!(
            (numbers(3, 50), numbers(3, 11), numbers(4, 3)),
            ("3, 7, 11, ...".into(), "3, 7, 11".into(), "".into())
        );
        assert!(!Shard::WHOLE.has(0) && Shard::WHOLE.count(50) == 50);
    }
}
