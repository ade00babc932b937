//! The journal of a search: builds that were made and runs that were made. The next step follows from it alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::{Ask, Built, Costs};
use super::search::{End, Look, Search, Seen};
use super::space::Hypothesis;
use crate::analysis::facts::RunOutcome;
use crate::analysis::stats::Counts;
use crate::text::message::Text;

/// A build with so many runs that do not count, and none that does, is given up: its runs crash or fail.
const MOST_USELESS: u32 = 5;
/// A good run takes so long until one was seen, seconds.
const GOOD_S: f64 = 1.0;
/// A build takes so long until one was made, seconds.
const BUILD_S: f64 = 10.0;

/// What is searched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) search: Search,
    /// The bad end of a line and its good end, which must exist before the first run. Empty for settings.
    pub(crate) ends: Vec<usize>,
    /// Which hangs count.
    pub(crate) counted: Counted,
    /// A hang takes at least so long, seconds.
    pub(crate) hang_s: f64,
}

/// Which hangs count. A run with another hang counts as no run: its own end is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Counted {
    All,
    /// Those with the signature of the first hang: of the bad end, if there is one.
    Same,
    /// Those with this signature.
    Signature(String),
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Entry {
    Build(Make),
    Run(Trial),
}

/// A build that was made, or could not be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Make {
    pub(crate) build: usize,
    pub(crate) seconds: f64,
    /// SHA-1 of the DSO, hex; none: the build failed.
    pub(crate) sha1: Option<String>,
    /// Why the build failed.
    pub(crate) failed: Option<Text>,
}

/// A run that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// From 1.
    pub(crate) run: u32,
    pub(crate) build: usize,
    /// Never `Interrupted`: such a run is not in the journal.
    pub(crate) outcome: RunOutcome,
    /// The run hung, or came to its end without a hang, and it was proven to run this build.
    pub(crate) counts: bool,
    /// Wall clock, with the capture, seconds.
    pub(crate) seconds: f64,
    /// Exit status, 128+n for a signal n.
    pub(crate) rc: Option<i32>,
    /// Why the run does not count, or another remark.
    pub(crate) note: Option<Text>,
    pub(crate) hang: Option<Hang>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hang {
    /// Folder of the evidence in OUT.
    pub(crate) snapshot: String,
    /// What the hang is; none: the shim sent nothing.
    pub(crate) signature: Option<Signed>,
}

/// A signature: [`crate::analysis::signature::Signature`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) id: String,
    pub(crate) words: String,
    /// No lock and no function has a name.
    pub(crate) bare: bool,
}

/// What a journal shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) seen: Seen,
    pub(crate) look: Look,
    /// The signature that counts; none: all hangs count.
    pub(crate) signature: Option<String>,
    /// Bits that are missing to an answer, about.
    pub(crate) bits_to_go: f64,
    /// The next step; it may be a build without a run.
    pub(crate) next: Result<Ask, Over>,
}

/// Why there is no next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    End(End),
    /// This end of the line cannot be built.
    EndFails(usize),
    /// No run of any build came to a good end.
    NothingCounts,
}

impl Task {
    /// Reads the journal.
    pub(crate) fn look(&self, journal: &[Entry]) -> State {
        let trials = || journal.iter().filter_map(Entry::trial);
        let signature = self.signature(journal);
        let seen = self.seen(journal, signature.as_deref());
        let look = self.search.look(&seen);
        let (made, counted) = (trials().count() as u32, seen.counts.iter().any(|runs| runs.of > 0));
        let missing = self.ends.iter().find(|end| seen.built[**end] != Built::Yes);
        let next = match missing {
            Some(end) if seen.built[*end] == Built::Failed => Err(match trials().any(|t| t.build == *end) {
                true => Over::NothingCounts,
                false => Over::EndFails(*end),
            }),
            Some(end) => Ok(Ask { build: *end, runs: 0, bits: 0.0, seconds: seen.costs.build_s }),
            None if seen.built.iter().all(|built| *built == Built::Failed) => Err(Over::NothingCounts),
            // Runs that do not count cannot go on for ever.
            None if made >= self.search.max_runs && !counted => Err(Over::NothingCounts),
            None if made >= self.search.max_runs.saturating_mul(2) && look.next.is_ok() => {
                Err(Over::End(End::OutOfRuns))
            }
            None => look.next.map_err(Over::End),
        };
        let bits_to_go = bits_to_go(&look, self.search.confidence);
        State { seen, look, signature, bits_to_go, next }
    }

    /// The signature that counts.
    fn signature(&self, journal: &[Entry]) -> Option<String> {
        match &self.counted {
            Counted::All => None,
            Counted::Signature(id) => Some(id.clone()),
            Counted::Same => {
                let bad = self.ends.first();
                let trials = journal.iter().filter_map(Entry::trial);
                let mut trials = trials.filter(|trial| bad.is_none_or(|bad| trial.build == *bad));
                let signed = trials.find_map(|trial| trial.signature().filter(|signed| !signed.bare));
                signed.map(|signed| signed.id.clone())
            }
        }
    }

    fn seen(&self, journal: &[Entry], signature: Option<&str>) -> Seen {
        let builds = self.search.space.builds();
        let mut counts = vec![Counts { hung: 0, of: 0 }; builds];
        let (mut built, mut useless) = (vec![Built::NotYet; builds], vec![0_u32; builds]);
        let mut sums: BTreeMap<usize, &str> = BTreeMap::new();
        let (mut good, mut hangs, mut makes) = (vec![], vec![self.hang_s], vec![]);
        for entry in journal {
            match entry {
                Entry::Build(make) => {
                    built[make.build] = if make.sha1.is_some() { Built::Yes } else { Built::Failed };
                    sums.extend(make.sha1.as_deref().map(|sha1| (make.build, sha1)));
                    makes.push(make.seconds);
                }
                Entry::Run(trial) => match trial.hung(signature) {
                    Some(hung) => {
                        counts[trial.build].of += 1;
                        counts[trial.build].hung += u32::from(hung);
                        if hung { &mut hangs } else { &mut good }.push(trial.seconds);
                    }
                    None => useless[trial.build] += 1,
                },
            }
        }
        for build in 0..builds {
            if useless[build] >= MOST_USELESS && counts[build].of == 0 {
                built[build] = Built::Failed;
            }
        }
        // A commit whose DSO has the bytes of the one before it did not change the rate.
        let same = |first: usize| {
            first > 0 && sums.contains_key(&first) && sums.get(&first) == sums.get(&(first - 1))
        };
        let all = self.search.space.hypotheses().iter().enumerate();
        let excluded =
            all.filter(|(_, hypothesis)| matches!(hypothesis, Hypothesis::From(first) if same(*first)));
        let excluded: BTreeSet<usize> = excluded.map(|(index, _)| index).collect();
        let costs = Costs {
            good_s: median(&good).unwrap_or(GOOD_S).max(0.001),
            hang_s: median(&hangs).unwrap_or(self.hang_s).max(0.001),
            build_s: median(&makes).unwrap_or(BUILD_S),
        };
        Seen { counts, built, excluded, costs }
    }

    /// What later runs would have to show for another answer to become the most probable one; for a line only.
    pub(crate) fn overturn(&self, state: &State) -> Option<Overturn> {
        let space = &self.search.space;
        let answer = &state.look.groups[0].members;
        let of = |index: usize| match space.hypotheses()[index] {
            Hypothesis::From(first) => Some(first),
            Hypothesis::Same | Hypothesis::Each | Hypothesis::Setting { .. } => None,
        };
        let (first, last) = (of(answer[0])?, of(*answer.last()?)?);
        let before = (0..first).rev().find(|build| state.seen.built[*build] != Built::Failed)?;
        let at = (last..space.builds()).find(|build| state.seen.built[*build] != Built::Failed)?;
        let falls = |build: usize, runs: Counts| {
            let mut seen = state.seen.clone();
            seen.counts[build].hung += runs.hung;
            seen.counts[build].of += runs.of;
            self.search.look(&seen).groups[0].members != *answer
        };
        let fewest = |most: u32, fails: &dyn Fn(u32) -> bool| {
            if !fails(most) {
                return None;
            }
            let (mut low, mut high) = (0, most);
            while high - low > 1 {
                let middle = low.midpoint(high);
                if fails(middle) { high = middle } else { low = middle }
            }
            Some(high)
        };
        Some(Overturn {
            before,
            hangs_before: fewest(64, &|n| falls(before, Counts { hung: n, of: n })),
            at,
            good_at: fewest(4096, &|n| falls(at, Counts { hung: 0, of: n })),
        })
    }
}

/// See [`Task::overturn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overturn {
    /// The build before the answer.
    pub(crate) before: usize,
    /// So many hangs in a row there.
    pub(crate) hangs_before: Option<u32>,
    /// The first build of the answer that can be run.
    pub(crate) at: usize,
    /// So many runs without a hang there.
    pub(crate) good_at: Option<u32>,
}

impl Entry {
    /// The build that it is about.
    pub(crate) fn build(&self) -> usize {
        match self {
            Entry::Build(make) => make.build,
            Entry::Run(trial) => trial.build,
        }
    }

    pub(crate) fn trial(&self) -> Option<&Trial> {
        match self {
            Entry::Run(trial) => Some(trial),
            Entry::Build(_) => None,
        }
    }

    pub(crate) fn make(&self) -> Option<&Make> {
        match self {
            Entry::Build(make) => Some(make),
            Entry::Run(_) => None,
        }
    }
}

impl Trial {
    pub(crate) fn signature(&self) -> Option<&Signed> {
        self.hang.as_ref().filter(|_| self.outcome == RunOutcome::Hung)?.signature.as_ref()
    }

    /// Whether the run hung, with this signature if one is given; none: the run does not count.
    pub(crate) fn hung(&self, signature: Option<&str>) -> Option<bool> {
        let is_other = || {
            let own = self.signature().map(|signed| signed.id.as_str());
            signature.is_some() && own != signature
        };
        match self.outcome {
            _ if !self.counts => None,
            RunOutcome::Hung if is_other() => None,
            RunOutcome::Hung => Some(true),
            _ => Some(false),
        }
    }
}

/// The doubt there is now, less the doubt at the end of the search: the first group has the wanted posterior
/// then, and the others share the rest as they do now. Bits.
fn bits_to_go(look: &Look, confidence: f64) -> f64 {
    let bits = |share: f64| if share > 0.0 { -share * share.log2() } else { 0.0 };
    let first = look.groups[0].posterior;
    let others: f64 = look.groups[1..].iter().map(|group| bits(group.posterior / (1.0 - first))).sum();
    let doubt = |first: f64| bits(first) + bits(1.0 - first) + (1.0 - first) * others;
    (doubt(first) - doubt(confidence)).max(0.0)
}

/// The middle one; the lower of two.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}
