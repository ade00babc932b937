//! What counters over the runs come to, as data: what `counters.json` holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::Moment;
use crate::analysis::RunOutcome;
use crate::analysis::stats;
use crate::text::message::{Text, english_or_none};

/// Figures of good runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Good runs that had it.
    pub n: u32,
    /// Median.
    #[serde(serialize_with = "whole")]
    pub median: f64,
    /// Smallest.
    #[serde(serialize_with = "whole")]
    pub min: f64,
    /// Largest.
    #[serde(serialize_with = "whole")]
    pub max: f64,
    /// Skew between runs: the relative range, (max - min) / |median|. With the few runs that a lane has it tells more than
    /// a deviation (for 2 to 10 figures the range is nearly as efficient: W. J. Dixon, F. J. Massey, Introduction to
    /// statistical analysis, 1969, 9-4). None where the median is 0.
    pub skew: Option<f64>,
}

impl Figures {
    /// None without any figure.
    pub(super) fn of(figures: &[f64]) -> Option<Figures> {
        let spread = stats::spread(figures)?;
        let skew = (spread.max - spread.min) / spread.median.abs();
        Some(Figures {
            n: spread.n,
            median: spread.median,
            min: spread.min,
            max: spread.max,
            skew: skew.is_finite().then_some(skew),
        })
    }

    /// Whether a figure is outside of the range.
    pub(super) fn excludes(&self, figure: f64) -> bool {
        figure < self.min || figure > self.max
    }
}

/// A figure of a hung run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HungFigure {
    /// Run.
    pub run: String,
    /// Its figure; of a ratio none where the counter below the line is 0.
    #[serde(serialize_with = "whole_or_none")]
    pub value: Option<f64>,
    /// Whether it is outside the range of the good runs; none where there is nothing to compare it with.
    pub outside: Option<bool>,
}

/// A counter over the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name; with its line's tag in front where several lines have that name.
    pub name: String,
    /// Whether it was read of memory only.
    pub memory_only: bool,
    /// Good runs; none where none of them had it.
    pub good: Option<Figures>,
    /// Hung runs.
    pub hung: Vec<HungFigure>,
}

/// A quotient of two counters over the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioSummary {
    /// What it is called.
    pub name: String,
    /// Counter above the line.
    pub of: String,
    /// Counter below it.
    pub to: String,
    /// Good runs: statistics of each run's own quotient.
    pub good: Option<Figures>,
    /// Good runs in which the counter below the line was 0.
    pub zero: u32,
    /// Counters of the two that no run had (or that several lines have, so that the name does not tell).
    pub unknown: Vec<String>,
    /// Hung runs.
    pub hung: Vec<HungFigure>,
}

/// A hung run without counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HungWithout {
    /// Run.
    pub run: String,
    /// Why.
    #[serde(serialize_with = "english")]
    pub why: Text,
}

/// Whether memory says what good runs printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Good runs that had both.
    pub runs: u32,
    /// Counters that were in both.
    pub counters: u32,
    /// Of them, those that were not always 0: two zeros prove no place in memory.
    pub telling: u32,
    /// Counters that were not the same: of a hung run they are left out.
    pub differs: Vec<Differs>,
}

/// A counter whose memory said something else than its line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Differs {
    /// Counter.
    pub name: String,
    /// Run in which that was first seen.
    pub run: String,
    /// Printed.
    #[serde(serialize_with = "whole")]
    pub printed: f64,
    /// Read.
    #[serde(serialize_with = "whole")]
    pub memory: f64,
}

/// What one run told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunTable {
    /// Run.
    pub run: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// What it printed.
    #[serde(serialize_with = "whole_each")]
    pub printed: BTreeMap<String, f64>,
    /// What was read of its memory.
    #[serde(serialize_with = "whole_each")]
    pub memory: BTreeMap<String, f64>,
    /// When that was read.
    pub moment: Option<Moment>,
    /// Why it was not, where it should have been.
    #[serde(serialize_with = "english_or_none")]
    pub not_read: Option<Text>,
    /// What came of having it print them at its hang.
    #[serde(default, serialize_with = "english_or_none")]
    pub called: Option<Text>,
}

/// The counters of a lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneCounters {
    /// `pinned`, `stats`, or another arm.
    pub lane: String,
    /// Good runs that had counters.
    pub good: u32,
    /// Hung runs that had counters.
    pub hung: Vec<String>,
    /// Hung runs that had none, and why.
    pub hung_without: Vec<HungWithout>,
    /// Counters that were not 0 in all of these runs, in the order in which they were printed.
    pub counters: Vec<Summary>,
    /// Counters that were.
    pub zeros: Vec<String>,
    /// Ratios that the profile names.
    pub ratios: Vec<RatioSummary>,
    /// Memory against lines, where good runs had both.
    pub check: Option<Check>,
    /// Variables that are not in the build as the profile has them, or could not be read of a run.
    #[serde(serialize_with = "english_each")]
    pub missing: Vec<Text>,
    /// Words in counter lines that are no `name=number`, over all runs.
    pub passed_over: u32,
    /// Times that a counter came again within a run, over all runs.
    pub repeated: u32,
    /// The runs themselves.
    pub runs: Vec<RunTable>,
}

impl LaneCounters {
    /// Probability that a run like the good ones would be outside the range of a counter by chance alone: one more of
    /// n + 1 figures that could have come in any order is the smallest or the largest with probability 2 / (n + 1)
    /// (S. S. Wilks, Determination of sample sizes for setting tolerance limits, Annals of Mathematical Statistics 12
    /// (1941), 91-96).
    pub fn by_chance(&self) -> f64 {
        (2.0 / (f64::from(self.good) + 1.0)).min(1.0)
    }
}

/// A figure in a file: a whole number is written as one.
struct Whole(f64);

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = (1u64 << 53) as f64;
        if self.0.fract() == 0.0 && self.0.abs() <= EXACT {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

fn whole<S: Serializer>(figure: &f64, to: S) -> Result<S::Ok, S::Error> {
    Whole(*figure).serialize(to)
}

fn whole_or_none<S: Serializer>(figure: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    figure.map(Whole).serialize(to)
}

fn whole_each<S: Serializer>(figures: &BTreeMap<String, f64>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(figures.iter().map(|(name, figure)| (name, Whole(*figure))))
}

fn english<S: Serializer>(text: &Text, to: S) -> Result<S::Ok, S::Error> {
    text.en().serialize(to)
}

fn english_each<S: Serializer>(texts: &[Text], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(texts.iter().map(Text::en))
}
