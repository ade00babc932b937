//! How a process is disturbed, so that rare races hang more often (`--stir`).

use std::fmt;
use std::str::FromStr;

use hangscope_protocol::stir::strategy;
use serde::{Deserialize, Serialize};

use crate::session::Identity;

/// What a strategy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Threads get other processors and priorities, and are stopped: levels 1 to 3.
    Level,
    /// Threads are held at calls of synchronisation functions.
    Calls,
    /// Threads are held at atomic instructions of the allocator.
    Sites,
    /// Both.
    Both,
    /// Strict priorities on one processor.
    Strict,
}

/// Kinds that have a word. A level is a number alone.
const WORDS: [(&str, Kind); 4] =
    [("calls", Kind::Calls), ("sites", Kind::Sites), ("both", Kind::Both), ("strict", Kind::Strict)];

/// The strength of a word without one: `calls` is `calls:2`.
const STRENGTH: u8 = 2;

/// A way to disturb a process. Its text is what `--stir` takes: `3` for a level, else `calls:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Strategy {
    kind: Kind,
    /// 1 to [`strategy::MOST`].
    strength: u8,
}

impl Strategy {
    /// All strategies, in the order in which a hunt tries them. Holds come first: they find the most races
    /// for their time. A level costs most time.
    pub(crate) const ALL: [Strategy; 15] = [
        Strategy::new(Kind::Both, 2),
        Strategy::new(Kind::Calls, 2),
        Strategy::new(Kind::Sites, 2),
        Strategy::new(Kind::Calls, 3),
        Strategy::new(Kind::Sites, 3),
        Strategy::new(Kind::Both, 3),
        Strategy::new(Kind::Both, 1),
        Strategy::new(Kind::Calls, 1),
        Strategy::new(Kind::Sites, 1),
        Strategy::new(Kind::Strict, 2),
        Strategy::new(Kind::Strict, 3),
        Strategy::new(Kind::Strict, 1),
        Strategy::new(Kind::Level, 3),
        Strategy::new(Kind::Level, 2),
        Strategy::new(Kind::Level, 1),
    ];

    const fn new(kind: Kind, strength: u8) -> Strategy {
        Strategy { kind, strength }
    }

    /// The code that the shim and the plan have.
    pub(crate) fn code(self) -> u32 {
        let kind = match self.kind {
            Kind::Level => 0,
            Kind::Calls => strategy::CALLS,
            Kind::Sites => strategy::SITES,
            Kind::Both => strategy::BOTH,
            Kind::Strict => strategy::STRICT,
        };
        kind + u32::from(self.strength)
    }

    /// None for 0 (nothing is disturbed), and for a code of another version.
    pub(crate) fn from_code(code: u32) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.code() == code)
    }

    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    /// The level, of a strategy that is one.
    pub(crate) fn level(self) -> Option<u8> {
        (self.kind == Kind::Level).then_some(self.strength)
    }

    /// Threads are held at instructions of the allocator.
    pub(crate) fn holds_at_sites(self) -> bool {
        matches!(self.kind, Kind::Sites | Kind::Both)
    }

    /// Threads are held, by a plan that is made for the run.
    pub(crate) fn holds(self) -> bool {
        strategy::holds(self.code())
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match WORDS.iter().find(|(_, kind)| *kind == self.kind) {
            Some((word, _)) => f.pad(&format!("{word}:{}", self.strength)),
            None => f.pad(&self.strength.to_string()),
        }
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> String {
        strategy.to_string()
    }
}

impl TryFrom<String> for Strategy {
    type Error = BadStrategy;

    fn try_from(text: String) -> Result<Strategy, BadStrategy> {
        text.parse()
    }
}

/// What texts name a strategy, for a person.
pub(crate) const KNOWN: &str = "1, 2, 3, calls[:N], sites[:N], both[:N] or strict[:N], with N from 1 to 3";

/// A text that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadStrategy {
    #[error("give {KNOWN}")]
    Unknown,
    #[error("did you mean {0}? Give {KNOWN}")]
    Near(&'static str),
    #[error("the strength after {0}: is 1, 2 or 3")]
    Strength(&'static str),
}

impl FromStr for Strategy {
    type Err = BadStrategy;

    fn from_str(text: &str) -> Result<Strategy, BadStrategy> {
        let strength = |text: &str| {
            let number = text.parse::<u8>().ok().filter(|n| (1..=strategy::MOST).contains(&u32::from(*n)));
            number.filter(|n| n.to_string() == text)
        };
        if let Some(level) = strength(text) {
            return Ok(Strategy::new(Kind::Level, level));
        }
        let (word, given) = text.split_once(':').map_or((text, None), |(word, n)| (word, Some(n)));
        let Some((word, kind)) = WORDS.iter().find(|(known, _)| *known == word) else {
            let near = |known: &&str| strsim::damerau_levenshtein(known, word) <= 2;
            let near = WORDS.iter().map(|(known, _)| *known).find(near).filter(|_| word.len() > 2);
            return Err(near.map_or(BadStrategy::Unknown, BadStrategy::Near));
        };
        let strength = given.map_or(Some(STRENGTH), strength).ok_or(BadStrategy::Strength(word))?;
        Ok(Strategy::new(*kind, strength))
    }
}

/// How one run is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub(crate) struct Stir {
    pub(crate) strategy: Strategy,
    /// Seed of the random choices. The same seed repeats the same disturbances, not the same schedule.
    pub(crate) seed: u32,
}

impl Stir {
    /// The setting that the shim reported in its hello; none if it disturbs nothing.
    pub(crate) fn of(identity: &Identity) -> Option<Stir> {
        let strategy = Strategy::from_code(identity.fixed.stir_level)?;
        Some(Stir { strategy, seed: identity.fixed.stir_seed })
    }
}

/// What a run counted whose threads were held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldCounts {
    /// Holds at calls of synchronisation functions.
    pub(crate) at_calls: u64,
    /// Holds at atomic instructions of the allocator.
    pub(crate) at_sites: u64,
    /// Time in all holds, milliseconds.
    pub(crate) held_ms: f64,
    /// Waits that were far longer than any hold explains, and ended: near-hangs.
    pub(crate) long_waits: u64,
    /// The longest wait in a synchronisation function, milliseconds.
    pub(crate) longest_wait_ms: f64,
    /// Atomic instructions that a thread came by.
    pub(crate) live_sites: u64,
    /// Threads were to be held at instructions of the allocator, but none could be replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_sites: bool,
}

/// How the strategy of each run of a hunt is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// By what the runs before did ([`super::choice`]).
    Auto,
    /// All runs have this one.
    Fixed(Strategy),
    /// All runs have this one, and the same seed (`--stir-replay`).
    Replay(Strategy),
}

impl Choice {
    /// The strategy of all runs; none where each run has its own.
    pub(crate) fn strategy(self) -> Option<Strategy> {
        match self {
            Choice::Auto => None,
            Choice::Fixed(strategy) | Choice::Replay(strategy) => Some(strategy),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.strategy() {
            Some(strategy) => strategy.fmt(f),
            None => f.pad(AUTO),
        }
    }
}

/// What `--stir` takes for [`Choice::Auto`].
pub(crate) const AUTO: &str = "auto";

/// How the runs of a hunt are disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub(crate) struct StirPlan {
    pub(crate) choice: Choice,
    /// Seed of run 1.
    pub(crate) seed: u32,
}

impl StirPlan {
    /// The setting of one run, from 1, with a strategy that was chosen for it. Run N has the seed of the hunt
    /// plus N - 1; each run of a replay has the seed of the hunt.
    pub(crate) fn of_run(self, strategy: Strategy, run: u32) -> Stir {
        let seed = match self.choice {
            Choice::Replay(_) => self.seed,
            Choice::Auto | Choice::Fixed(_) => self.seed.wrapping_add(run.wrapping_sub(1)),
        };
        Stir { strategy, seed }
    }

    /// The options that give it again: `--stir 3 --stir-seed 42`.
    pub(crate) fn options(self) -> String {
        let StirPlan { choice, seed } = self;
        format!("--stir {choice} --stir-seed {seed}")
    }
}

/// [`Stir`] and [`StirPlan`] in files. Files of older versions have a level and no strategy.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    /// What `--stir` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    /// Only of a level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
    seed: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replay: bool,
}

impl From<StirPlan> for Written {
    fn from(plan: StirPlan) -> Written {
        let strategy = plan.choice.strategy();
        Written {
            strategy: Some(plan.choice.to_string()),
            level: strategy.and_then(Strategy::level),
            seed: plan.seed,
            replay: matches!(plan.choice, Choice::Replay(_)),
        }
    }
}

impl TryFrom<Written> for StirPlan {
    type Error = BadStrategy;

    fn try_from(written: Written) -> Result<StirPlan, BadStrategy> {
        let text = written.strategy.or_else(|| written.level.map(|level| level.to_string()));
        let choice = match text.as_deref() {
            Some(AUTO) => Choice::Auto,
            Some(text) if written.replay => Choice::Replay(text.parse()?),
            Some(text) => Choice::Fixed(text.parse()?),
            None => return Err(BadStrategy::Unknown),
        };
        Ok(StirPlan { choice, seed: written.seed })
    }
}

impl From<Stir> for Written {
    fn from(Stir { strategy, seed }: Stir) -> Written {
        Written::from(StirPlan { choice: Choice::Fixed(strategy), seed })
    }
}

impl TryFrom<Written> for Stir {
    type Error = BadStrategy;

    fn try_from(written: Written) -> Result<Stir, BadStrategy> {
        let StirPlan { choice, seed } = written.try_into()?;
        Ok(Stir { strategy: choice.strategy().ok_or(BadStrategy::Unknown)?, seed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_every_name_is_one_strategy() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::from_code(strategy.code()), Some(strategy));
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        let known = (1..200).filter(|code| strategy::is_known(*code));
        let all: Vec<u32> = known.filter_map(Strategy::from_code).map(Strategy::code).collect();
        assert_eq!(all.len(), Strategy::ALL.len());
        assert_eq!(Strategy::from_code(0), None);
        assert_eq!("calls".parse::<Strategy>().unwrap().to_string(), "calls:2");
        assert_eq!("3".parse::<Strategy>().unwrap().level(), Some(3));
    }

    #[test]
    fn what_names_no_strategy_is_told_what_does() {
        let bad = |text: &str| text.parse::<Strategy>().unwrap_err().to_string();
        insta::assert_snapshot!(
            ["4", "cals:3", "site", "calls:4", "both:", "x", ""].map(bad).join("\n"),
            @r"
        give 1, 2, 3, calls[:N], sites[:N], both[:N] or strict[:N], with N from 1 to 3
        did you mean calls? Give 1, 2, 3, calls[:N], sites[:N], both[:N] or strict[:N], with N from 1 to 3
        did you mean sites? Give 1, 2, 3, calls[:N], sites[:N], both[:N] or strict[:N], with N from 1 to 3
        the strength after calls: is 1, 2 or 3
        the strength after both: is 1, 2 or 3
        give 1, 2, 3, calls[:N], sites[:N], both[:N] or strict[:N], with N from 1 to 3
        give 1, 2, 3, calls[:N], sites[:N], both[:N] or strict[:N], with N from 1 to 3
        "
        );
    }

    #[test]
    fn files_of_older_versions_are_read() {
        let read = |text| serde_json::from_str::<Stir>(text).unwrap();
        let level = Stir { strategy: "3".parse().unwrap(), seed: 42 };
        assert_eq!(read(r#"{"level":3,"seed":42}"#), level);
        let written = serde_json::to_string(&level).unwrap();
        assert_eq!(written, r#"{"strategy":"3","level":3,"seed":42}"#);
        assert_eq!(read(&written), level);
        let calls = Stir { strategy: "calls".parse().unwrap(), seed: 7 };
        assert_eq!(serde_json::to_string(&calls).unwrap(), r#"{"strategy":"calls:2","seed":7}"#);
        for bad in [r#"{"seed":1}"#, r#"{"strategy":"auto","seed":1}"#, r#"{"level":4,"seed":1}"#] {
            assert!(serde_json::from_str::<Stir>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plans_are_read_back_and_give_the_runs_their_seeds() {
        let both: Strategy = "both:2".parse().unwrap();
        for (choice, text) in [
            (Choice::Auto, r#"{"strategy":"auto","seed":4294967295}"#),
            (Choice::Fixed(both), r#"{"strategy":"both:2","seed":4294967295}"#),
            (Choice::Replay(both), r#"{"strategy":"both:2","seed":4294967295,"replay":true}"#),
        ] {
            let plan = StirPlan { choice, seed: u32::MAX };
            assert_eq!(serde_json::to_string(&plan).unwrap(), text);
            assert_eq!(serde_json::from_str::<StirPlan>(text).unwrap(), plan);
            let same = matches!(choice, Choice::Replay(_));
            assert_eq!(plan.of_run(both, 3).seed, if same { u32::MAX } else { 1 });
        }
    }
}
