//! The counters over the runs of a lane, as data: the contents of `counters.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::analysis::facts::RunOutcome;
use crate::analysis::run_counters::Moment;
use crate::analysis::stats;
use crate::text::message::{Text, english_or_none};

/// A quotient of two counters that the profile asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    /// The numerator: a counter's name, or `TAG name` where several lines have that name.
    pub(crate) of: String,
    pub(crate) to: String,
}

/// Statistics of a figure over the good runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Number of good runs with this figure.
    pub(crate) n: u32,
    #[serde(serialize_with = "whole")]
    pub(crate) median: f64,
    #[serde(serialize_with = "whole")]
    pub(crate) min: f64,
    #[serde(serialize_with = "whole")]
    pub(crate) max: f64,
    /// The relative range, (max - min) / |median|; none where the median is 0. A lane has few runs, and for 2
    /// to 10 figures the range is nearly as efficient as a deviation (W. J. Dixon, F. J. Massey, Introduction
    /// to statistical analysis, 1969, 9-4).
    pub(crate) skew: Option<f64>,
}

impl Figures {
    /// None: there is no figure.
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

    /// The figure is outside the range.
    pub(super) fn excludes(&self, figure: f64) -> bool {
        figure < self.min || figure > self.max
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HungFigure {
    pub(crate) run: String,
    /// None: a ratio whose denominator is 0.
    #[serde(serialize_with = "whole_or_none")]
    pub(crate) value: Option<f64>,
    /// The figure is outside the range of the good runs; none: no good run has this figure.
    pub(crate) outside: Option<bool>,
}

/// A counter over the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// `TAG name` where several lines have that name.
    pub(crate) name: String,
    /// The counter was read from memory, and never printed.
    pub(crate) memory_only: bool,
    /// None: no good run has this counter.
    pub(crate) good: Option<Figures>,
    pub(crate) hung: Vec<HungFigure>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RatioSummary {
    pub(crate) name: String,
    pub(crate) of: String,
    pub(crate) to: String,
    /// Statistics of the quotients, one quotient for each good run.
    pub(crate) good: Option<Figures>,
    /// Number of good runs whose denominator is 0.
    pub(crate) zero: u32,
    /// Counters of the two that no run has, or whose name several lines have.
    pub(crate) unknown: Vec<String>,
    pub(crate) hung: Vec<HungFigure>,
}

/// A hung run without counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HungWithout {
    pub(crate) run: String,
    #[serde(serialize_with = "english")]
    pub(crate) why: Text,
}

/// The comparison of memory with the printed lines, in good runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// Number of good runs with both.
    pub(crate) runs: u32,
    /// Number of counters with both.
    pub(crate) counters: u32,
    /// Number of those counters that were not always 0. A zero in memory does not prove
    /// that the address is right.
    pub(crate) telling: u32,
    /// Counters that differ. They are left out of hung runs.
    pub(crate) differs: Vec<Differs>,
}

/// A counter whose memory differs from its printed line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Differs {
    pub(crate) name: String,
    /// The first run in which they differ.
    pub(crate) run: String,
    #[serde(serialize_with = "whole")]
    pub(crate) printed: f64,
    #[serde(serialize_with = "whole")]
    pub(crate) memory: f64,
}

/// The counters of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunTable {
    pub(crate) run: String,
    pub(crate) outcome: RunOutcome,
    /// Printed figures by the name of the counter.
    #[serde(serialize_with = "whole_each")]
    pub(crate) printed: BTreeMap<String, f64>,
    /// Figures read from memory, by the name of the counter.
    #[serde(serialize_with = "whole_each")]
    pub(crate) memory: BTreeMap<String, f64>,
    /// When the memory was read.
    pub(crate) moment: Option<Moment>,
    /// Why the memory was not read, where the profile names counters in it.
    #[serde(serialize_with = "english_or_none")]
    pub(crate) not_read: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaneCounters {
    /// `pinned`, `stats`, or another arm.
    pub(crate) lane: String,
    /// Number of good runs with counters.
    pub(crate) good: u32,
    /// Names of the hung runs with counters.
    pub(crate) hung: Vec<String>,
    /// Hung runs without counters, each with the reason.
    pub(crate) hung_without: Vec<HungWithout>,
    /// Counters that are not 0 in at least one of these runs, in the order in which they were printed.
    pub(crate) counters: Vec<Summary>,
    /// Names of the counters that are 0 in all of these runs.
    pub(crate) zeros: Vec<String>,
    /// The ratios that the profile names.
    pub(crate) ratios: Vec<RatioSummary>,
    /// None: no good run has both printed lines and memory.
    pub(crate) check: Option<Check>,
    /// Variables that differ from the profile in this build, or that could not be read in a run.
    #[serde(serialize_with = "english_each")]
    pub(crate) missing: Vec<Text>,
    /// Number of words in counter lines that are not `name=number`, over all runs.
    pub(crate) passed_over: u32,
    /// How often a counter appeared again within a run, over all runs.
    pub(crate) repeated: u32,
    pub(crate) runs: Vec<RunTable>,
}

impl LaneCounters {
    /// The probability that another run like the good ones is outside the range of a counter by chance. The
    /// last of n + 1 figures, in random order, is the smallest or the largest with probability 2 / (n + 1)
    /// (S. S. Wilks, Determination of sample sizes for setting tolerance limits, Annals of Mathematical
    /// Statistics 12 (1941), 91-96).
    pub(crate) fn by_chance(&self) -> f64 {
        (2.0 / (f64::from(self.good) + 1.0)).min(1.0)
    }
}

/// Writes a figure to a file. A whole number is written without a fraction.
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
