//! What counters over the runs come to, as data: what `counters.json` holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::analysis::facts::RunOutcome;
use crate::analysis::run_counters::Moment;
use crate::analysis::stats;
use crate::text::message::{Text, english_or_none};

/// Two counters whose quotient is worth looking at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    /// What it is called in a report.
    pub(crate) name: String,
    /// Counter above the line: its name, or `TAG name` where several lines have that name.
    pub(crate) of: String,
    /// Counter below it.
    pub(crate) to: String,
}

/// Figures of good runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Good runs that had it.
    pub(crate) n: u32,
    /// Median.
    #[serde(serialize_with = "whole")]
    pub(crate) median: f64,
    /// Smallest.
    #[serde(serialize_with = "whole")]
    pub(crate) min: f64,
    /// Largest.
    #[serde(serialize_with = "whole")]
    pub(crate) max: f64,
    /// Skew between runs: the relative range, (max - min) / |median|. With the few runs that a lane has it tells more than
    /// a deviation (for 2 to 10 figures the range is nearly as efficient: W. J. Dixon, F. J. Massey, Introduction to
    /// statistical analysis, 1969, 9-4). None where the median is 0.
    pub(crate) skew: Option<f64>,
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
pub(crate) struct HungFigure {
    /// Run.
    pub(crate) run: String,
    /// Its figure; of a ratio none where the counter below the line is 0.
    #[serde(serialize_with = "whole_or_none")]
    pub(crate) value: Option<f64>,
    /// Whether it is outside the range of the good runs; none where there is nothing to compare it with.
    pub(crate) outside: Option<bool>,
}

/// A counter over the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Its name; with its line's tag in front where several lines have that name.
    pub(crate) name: String,
    /// Whether it was read of memory only.
    pub(crate) memory_only: bool,
    /// Good runs; none where none of them had it.
    pub(crate) good: Option<Figures>,
    /// Hung runs.
    pub(crate) hung: Vec<HungFigure>,
}

/// A quotient of two counters over the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RatioSummary {
    /// What it is called.
    pub(crate) name: String,
    /// Counter above the line.
    pub(crate) of: String,
    /// Counter below it.
    pub(crate) to: String,
    /// Good runs: statistics of each run's own quotient.
    pub(crate) good: Option<Figures>,
    /// Good runs in which the counter below the line was 0.
    pub(crate) zero: u32,
    /// Counters of the two that no run had (or that several lines have, so that the name does not tell).
    pub(crate) unknown: Vec<String>,
    /// Hung runs.
    pub(crate) hung: Vec<HungFigure>,
}

/// A hung run without counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HungWithout {
    /// Run.
    pub(crate) run: String,
    /// Why.
    #[serde(serialize_with = "english")]
    pub(crate) why: Text,
}

/// Whether memory says what good runs printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// Good runs that had both.
    pub(crate) runs: u32,
    /// Counters that were in both.
    pub(crate) counters: u32,
    /// Of them, those that were not always 0: two zeros prove no place in memory.
    pub(crate) telling: u32,
    /// Counters that were not the same: of a hung run they are left out.
    pub(crate) differs: Vec<Differs>,
}

/// A counter whose memory said something else than its line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Differs {
    /// Counter.
    pub(crate) name: String,
    /// Run in which that was first seen.
    pub(crate) run: String,
    /// Printed.
    #[serde(serialize_with = "whole")]
    pub(crate) printed: f64,
    /// Read.
    #[serde(serialize_with = "whole")]
    pub(crate) memory: f64,
}

/// What one run told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunTable {
    /// Run.
    pub(crate) run: String,
    /// How it ended.
    pub(crate) outcome: RunOutcome,
    /// What it printed.
    #[serde(serialize_with = "whole_each")]
    pub(crate) printed: BTreeMap<String, f64>,
    /// What was read of its memory.
    #[serde(serialize_with = "whole_each")]
    pub(crate) memory: BTreeMap<String, f64>,
    /// When that was read.
    pub(crate) moment: Option<Moment>,
    /// Why it was not, where it should have been.
    #[serde(serialize_with = "english_or_none")]
    pub(crate) not_read: Option<Text>,
}

/// The counters of a lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaneCounters {
    /// `pinned`, `stats`, or another arm.
    pub(crate) lane: String,
    /// Good runs that had counters.
    pub(crate) good: u32,
    /// Hung runs that had counters.
    pub(crate) hung: Vec<String>,
    /// Hung runs that had none, and why.
    pub(crate) hung_without: Vec<HungWithout>,
    /// Counters that were not 0 in all of these runs, in the order in which they were printed.
    pub(crate) counters: Vec<Summary>,
    /// Counters that were.
    pub(crate) zeros: Vec<String>,
    /// Ratios that the profile names.
    pub(crate) ratios: Vec<RatioSummary>,
    /// Memory against lines, where good runs had both.
    pub(crate) check: Option<Check>,
    /// Variables that are not in the build as the profile has them, or could not be read of a run.
    #[serde(serialize_with = "english_each")]
    pub(crate) missing: Vec<Text>,
    /// Words in counter lines that are no `name=number`, over all runs.
    pub(crate) passed_over: u32,
    /// Times that a counter came again within a run, over all runs.
    pub(crate) repeated: u32,
    /// The runs themselves.
    pub(crate) runs: Vec<RunTable>,
}

impl LaneCounters {
    /// Probability that a run like the good ones would be outside the range of a counter by chance alone: one more of
    /// n + 1 figures that could have come in any order is the smallest or the largest with probability 2 / (n + 1)
    /// (S. S. Wilks, Determination of sample sizes for setting tolerance limits, Annals of Mathematical Statistics 12
    /// (1941), 91-96).
    pub(crate) fn by_chance(&self) -> f64 {
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
