//! Intervals, tests and spread, each with its source.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF, Discrete, Gamma, Hypergeometric};

use crate::text::message::{Say as _, Text};
use crate::text::words::Word;

/// Confidence of every interval in a report.
pub const CONFIDENCE: f64 = 0.95;

/// The rate of hangs that a hunt looks for by default: one run in fifty.
pub(crate) const RATE: f64 = 0.02;

/// A rate with its interval, as in `verdict.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    pub hung: u32,
    /// Number of runs that could have hung.
    pub of: u32,
    /// Lower bound, 0 to 1.
    pub low: f64,
    /// Upper bound, 0 to 1.
    pub high: f64,
    /// Confidence of the interval, 0 to 1.
    pub(crate) confidence: f64,
    pub(crate) method: Method,
}

/// The bounds of an interval of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    /// Both bounds, with half of the error on either side.
    #[serde(rename = "clopper-pearson")]
    TwoSided,
    /// One bound with the whole error: no run hung, or all runs did.
    #[serde(rename = "clopper-pearson, one-sided")]
    OneSided,
}

impl Method {
    /// The name of the method in `verdict.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::TwoSided => "clopper-pearson",
            Method::OneSided => "clopper-pearson, one-sided",
        }
    }

    /// The name of the method in a sentence.
    pub(crate) fn said(&self) -> Text {
        match self {
            Method::TwoSided => Word::ClopperPearson {}.said(),
            Method::OneSided => Word::ClopperPearsonOneSided {}.said(),
        }
    }
}

impl Rate {
    /// The exact interval of `hung` of `of` at `confidence` (0 to 1, both excluded).
    ///
    /// C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits illustrated in the case
    /// of the binomial, Biometrika 26 (1934), 404-413. By quantiles of the beta distribution, as in
    /// L. D. Brown, T. T. Cai, A. DasGupta, Interval estimation for a binomial proportion,
    /// Statistical Science 16 (2001), 4.2.1.
    ///
    /// 0 of N: the lower bound is always 0, so the upper one gets the whole error and is 1 - error^(1/N). N
    /// of N is the mirror image. 0 of 0 says nothing: the interval is 0 to 1.
    ///
    /// Each bound alone is wrong with a probability of at most the error. So are both together, except for
    /// rates just outside a one-sided bound: there the probability is at most 1.5 times the error.
    /// `tests/statistics.rs` has the figures. Two-sided bounds for all counts would never exceed the error.
    pub fn exact(hung: u32, of: u32, confidence: f64) -> Self {
        let hung = hung.min(of);
        let error = (1.0 - confidence).clamp(f64::MIN_POSITIVE, 1.0);
        let one_sided = error.powf(1.0 / f64::from(of.max(1)));
        let (low, high, method) = match hung {
            _ if of == 0 => (0.0, 1.0, Method::OneSided),
            0 => (0.0, 1.0 - one_sided, Method::OneSided),
            _ if hung == of => (one_sided, 1.0, Method::OneSided),
            _ => {
                let (x, rest) = (f64::from(hung), f64::from(of - hung));
                let low = beta_quantile(x, rest + 1.0, error / 2.0);
                (low, beta_quantile(x + 1.0, rest, 1.0 - error / 2.0), Method::TwoSided)
            }
        };
        Rate { hung, of, low, high, confidence, method }
    }
}

fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    // Both shapes are at least 1 here, so the distribution exists.
    Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p))
}

/// Hangs per hour of benchmark time, with their interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerHour {
    pub(crate) hung: u32,
    /// Benchmark time, hours.
    pub(crate) hours: f64,
    pub(crate) rate: f64,
    /// Lower bound, hangs per hour.
    pub low: f64,
    /// Upper bound, hangs per hour.
    pub high: f64,
    /// Confidence of the interval, 0 to 1.
    pub(crate) confidence: f64,
    pub(crate) method: Garwood,
}

/// The bounds of an interval of a rate in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Garwood {
    /// Both bounds, with half of the error on either side.
    #[serde(rename = "garwood")]
    TwoSided,
    /// Only the upper bound, with the whole error: no run hung.
    #[serde(rename = "garwood, one-sided")]
    OneSided,
}

impl Garwood {
    /// The name of the method in a sentence.
    pub(crate) fn said(&self) -> Text {
        match self {
            Garwood::TwoSided => Word::Garwood {}.said(),
            Garwood::OneSided => Word::GarwoodOneSided {}.said(),
        }
    }
}

/// The rate of `hung` hangs in `hours`, with the exact interval for a Poisson count.
/// None: `hours` is not positive.
///
/// F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936), 437-442. By quantiles of
/// the gamma distribution. The interval is exact if a hang is equally probable at every moment of the
/// benchmark time. Otherwise (a run hangs at most once) it is too wide, never too narrow. Without a hang the
/// upper bound gets the whole error, as in [`Rate::exact`].
pub fn per_hour(hung: u32, hours: f64, confidence: f64) -> Option<PerHour> {
    if !(hours > 0.0 && hours.is_finite()) {
        return None;
    }
    let error = (1.0 - confidence).clamp(f64::MIN_POSITIVE, 1.0);
    let (count, rate) = (f64::from(hung), f64::from(hung) / hours);
    let (low, high, method) = match hung {
        0 => (0.0, -error.ln(), Garwood::OneSided),
        _ => {
            let (low, high) =
                (gamma_quantile(count, error / 2.0), gamma_quantile(count + 1.0, 1.0 - error / 2.0));
            (low, high, Garwood::TwoSided)
        }
    };
    Some(PerHour { hung, hours, rate, low: low / hours, high: high / hours, confidence, method })
}

fn gamma_quantile(shape: f64, p: f64) -> f64 {
    // The shape is at least 1 here, so the distribution exists.
    Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.inverse_cdf(p))
}

/// Hung runs of all runs: one row of a fourfold table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub hung: u32,
    pub of: u32,
}

/// Fisher's exact test, one-sided: the probability that `a` hangs so much more often than `b` by chance, if
/// both hang at the same rate. R. A. Fisher, On the interpretation of chi-squared from contingency tables,
/// and the calculation of P, J. Royal Statistical Society 85 (1922), 87-94.
pub(crate) fn fisher_more(a: Counts, b: Counts) -> f64 {
    let (population, hung) = (u64::from(a.of) + u64::from(b.of), u64::from(a.hung) + u64::from(b.hung));
    let Ok(chance) = Hypergeometric::new(population, hung, u64::from(a.of)) else { return 1.0 };
    let most = hung.min(u64::from(a.of));
    let p: f64 = (u64::from(a.hung)..=most).map(|x| chance.pmf(x)).sum();
    p.clamp(0.0, 1.0)
}

/// Fisher's exact test, two-sided: the sum over all tables that are no more probable than the observed one.
pub(crate) fn fisher(a: Counts, b: Counts) -> f64 {
    let (population, hung) = (u64::from(a.of) + u64::from(b.of), u64::from(a.hung) + u64::from(b.hung));
    let Ok(chance) = Hypergeometric::new(population, hung, u64::from(a.of)) else { return 1.0 };
    let least = hung.saturating_sub(u64::from(b.of));
    let most = hung.min(u64::from(a.of));
    // Rounding must not leave out tables that are equally probable.
    let observed = chance.pmf(u64::from(a.hung)) * (1.0 + 1e-7);
    let p: f64 = (least..=most).map(|x| chance.pmf(x)).filter(|p| *p <= observed).sum();
    p.clamp(0.0, 1.0)
}

/// The number of runs that show at least one hang with probability `confidence`, if each run hangs with
/// probability `rate`: the smallest N with 1 - (1 - rate)^N >= confidence. A rate of 1 needs one run. None:
/// an argument is not between 0 and 1, or N does not fit into a `u32`.
pub(crate) fn plan(rate: f64, confidence: f64) -> Option<u32> {
    let open = |x: f64| x > 0.0 && x < 1.0;
    if rate == 1.0 && open(confidence) {
        return Some(1);
    }
    if !open(rate) || !open(confidence) {
        return None;
    }
    let runs = ((-confidence).ln_1p() / (-rate).ln_1p()).ceil().max(1.0);
    (runs <= f64::from(u32::MAX)).then_some(runs as u32)
}

/// The probability of at least one hang in `runs` runs, if each run hangs with probability `rate`.
pub(crate) fn power(rate: f64, runs: u32) -> f64 {
    -(f64::from(runs) * (-rate).ln_1p()).exp_m1()
}

/// The number of runs without a hang that puts the upper bound below `rate` ([`Rate::exact`] of 0/N). It
/// is the number of [`plan`].
pub(crate) fn runs_to_exclude(rate: f64, confidence: f64) -> Option<u32> {
    plan(rate, confidence)
}

/// Median and spread of figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) n: u32,
    pub(crate) median: f64,
    /// Lower quartile.
    pub(crate) q1: f64,
    /// Upper quartile.
    pub(crate) q3: f64,
    /// Median absolute deviation from the median, times 1.4826. For a normal distribution it
    /// estimates the standard deviation.
    pub(crate) mad: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Median, quartiles (R. J. Hyndman, Y. Fan, Sample quantiles in statistical packages, The American
/// Statistician 50 (1996), type 7) and median absolute deviation (F. R. Hampel, The influence curve and its
/// role in robust estimation, JASA 69 (1974)). Only finite figures count. None: there is no finite figure.
pub(crate) fn spread(figures: &[f64]) -> Option<Spread> {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let median = quantile(&sorted, 0.5);
    let mut away: Vec<f64> = sorted.iter().map(|x| (x - median).abs()).collect();
    away.sort_by(f64::total_cmp);
    Some(Spread {
        n: sorted.len() as u32,
        median,
        q1: quantile(&sorted, 0.25),
        q3: quantile(&sorted, 0.75),
        mad: 1.4826 * quantile(&away, 0.5),
        min,
        max,
    })
}

/// A quantile of sorted figures. There is at least one.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - at.floor()) * (sorted[high] - sorted[low])
}

/// The indices of outliers. An outlier meets three conditions:
///
/// - It is more than 3.5 robust standard deviations from the median (B. Iglewicz, D. C. Hoaglin, How to
///   detect and handle outliers, ASQC 1993).
/// - It is more than 1.5 times the interquartile range outside the quartiles (J. W. Tukey,
///   Exploratory data analysis, 1977).
/// - It is more than 5 % of the median from the median. Where all figures are nearly equal, a tiny
///   difference is no outlier.
///
/// Fewer than 5 figures have no outliers.
pub(crate) fn outliers(figures: &[f64]) -> Vec<usize> {
    let Some(spread) = spread(figures).filter(|s| s.n >= 5) else { return vec![] };
    let fence = 1.5 * (spread.q3 - spread.q1);
    let far = |x: f64| {
        (x - spread.median).abs() > 3.5 * spread.mad
            && (x < spread.q1 - fence || x > spread.q3 + fence)
            && (x - spread.median).abs() > 0.05 * spread.median.abs()
    };
    figures.iter().enumerate().filter(|(_, x)| x.is_finite() && far(**x)).map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    /// Reference values of R's `binom.test`.
    #[test]
    fn intervals_are_those_of_binom_test() {
        for (hung, of, low, high) in [
            (1, 13, 0.0019, 0.3603),
            (1, 50, 0.0005, 0.1065),
            (1, 3, 0.0084, 0.9057),
            (7, 21, 0.1459, 0.5697),
            (25, 50, 0.3553, 0.6447),
            (49, 50, 0.8935, 0.9995),
        ] {
            let rate = Rate::exact(hung, of, 0.95);
            assert!(near(rate.low, low) && near(rate.high, high), "{hung}/{of}: {rate:?}");
            assert_eq!(rate.method, Method::TwoSided);
        }
    }

    #[test]
    fn none_and_all_have_one_bound() {
        let none = Rate::exact(0, 50, 0.95);
        assert!(none.low == 0.0 && near(none.high, 0.0582), "{none:?}");
        assert_eq!(none.method, Method::OneSided);
        let all = Rate::exact(50, 50, 0.95);
        assert!(all.high == 1.0 && near(all.low, 1.0 - 0.0582), "{all:?}");
        let nothing = Rate::exact(0, 0, 0.95);
        assert_eq!((nothing.low, nothing.high), (0.0, 1.0));
        let one = Rate::exact(1, 1, 0.95);
        assert!(near(one.low, 0.05) && one.high == 1.0, "{one:?}");
    }

    /// Reference values of R's `fisher.test` (tea: Fisher's own table).
    #[test]
    fn fisher_is_that_of_fisher_test() {
        let tea = (Counts { hung: 3, of: 4 }, Counts { hung: 1, of: 4 });
        assert!(near(fisher(tea.0, tea.1), 0.485714) && near(fisher_more(tea.0, tea.1), 0.242857));
        let clear = (Counts { hung: 5, of: 10 }, Counts { hung: 0, of: 30 });
        assert!(near(fisher_more(clear.0, clear.1), 0.000383), "{}", fisher_more(clear.0, clear.1));
        assert!(near(fisher(Counts { hung: 0, of: 5 }, Counts { hung: 0, of: 5 }), 1.0));
        assert_eq!(fisher_more(Counts { hung: 0, of: 0 }, Counts { hung: 0, of: 0 }), 1.0);
    }

    #[test]
    fn plan_is_the_smallest_number_of_runs() {
        assert_eq!(plan(0.02, 0.95), Some(149));
        assert_eq!(plan(1.0 / 13.0, 0.95), Some(38));
        assert_eq!(plan(1.0, 0.95), Some(1));
        for bad in [0.0, -0.1, 1.1, f64::NAN] {
            assert_eq!(plan(bad, 0.95), None);
            assert_eq!(plan(0.5, bad), None);
        }
        assert_eq!(plan(1e-12, 0.95), None, "more than a u32");
        let runs = runs_to_exclude(0.0582, 0.95).expect("the number fits");
        assert!(Rate::exact(0, runs, 0.95).high <= 0.0582 && Rate::exact(0, runs - 1, 0.95).high > 0.0582);
    }

    /// Reference values of R's `poisson.test`.
    #[test]
    fn hangs_per_hour_are_those_of_poisson_test() {
        for (hung, low, high) in
            [(1, 0.02532, 5.57164), (3, 0.61867, 8.76727), (10, 4.79539, 18.39036), (50, 37.11096, 65.91877)]
        {
            let rate = per_hour(hung, 1.0, 0.95).expect("an hour");
            assert!(near(rate.low, low) && near(rate.high, high), "{hung}: {rate:?}");
            assert_eq!((rate.rate, rate.method), (f64::from(hung), Garwood::TwoSided));
        }
        let none = per_hour(0, 2.0, 0.95).expect("two hours");
        assert!(none.low == 0.0 && near(none.high, 2.99573 / 2.0), "{none:?}");
        assert_eq!(none.method, Garwood::OneSided);
        for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(per_hour(1, nothing, 0.95), None);
        }
    }

    #[test]
    fn the_probability_of_a_hang_in_so_many_runs() {
        assert!(near(power(0.02, 50), 0.63583) && near(power(0.02, 149), 0.95071));
        assert_eq!((power(0.0, 50), power(1.0, 1), power(0.5, 0)), (0.0, 1.0, 0.0));
    }

    #[test]
    fn spread_and_outliers() {
        let figures = [7.0, 7.1, 6.9, 7.05, 6.95, f64::NAN, 3.0];
        let s = spread(&figures).expect("six figures");
        assert_eq!((s.n, s.min, s.max), (6, 3.0, 7.1));
        assert!((s.median - 6.975).abs() < 1e-9, "{s:?}");
        assert_eq!(outliers(&figures), vec![6]);
        assert_eq!(outliers(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.001]), Vec::<usize>::new(), "a tiny difference");
        assert_eq!(outliers(&[1.0, 100.0]), Vec::<usize>::new());
        assert_eq!(spread(&[f64::NAN]), None);
    }

    proptest! {
        #[test]
        fn bounds_hold_the_share_and_grow_with_it(of in 1u32..400, hung in 0u32..400) {
            let hung = hung.min(of);
            let rate = Rate::exact(hung, of, CONFIDENCE);
            let share = f64::from(hung) / f64::from(of);
            prop_assert!(0.0 <= rate.low && rate.low <= share && share <= rate.high);
            prop_assert!(rate.high <= 1.0);
            if hung < of {
                let next = Rate::exact(hung + 1, of, CONFIDENCE);
                prop_assert!(next.low >= rate.low && next.high >= rate.high);
            }
        }

        /// The definition: at the lower bound, so many hangs or more have half of the error as their
        /// probability. At the upper bound, so many or fewer.
        #[test]
        fn bounds_are_exact(of in 2u32..120, hung in 1u32..120) {
            use statrs::distribution::{Binomial, DiscreteCDF};
            let hung = hung.min(of - 1);
            let rate = Rate::exact(hung, of, CONFIDENCE);
            let at = |p: f64| Binomial::new(p, u64::from(of)).expect("a share");
            prop_assert!((at(rate.low).sf(u64::from(hung) - 1) - 0.025).abs() < 1e-6);
            prop_assert!((at(rate.high).cdf(u64::from(hung)) - 0.025).abs() < 1e-6);
        }

        #[test]
        fn fisher_is_a_probability(a in 0u32..40, b in 0u32..40, n in 0u32..40, m in 0u32..40) {
            let (a, b) = (Counts { hung: a.min(n), of: n }, Counts { hung: b.min(m), of: m });
            let (more, less) = (fisher_more(a, b), fisher_more(b, a));
            prop_assert!((0.0..=1.0).contains(&more) && (0.0..=1.0).contains(&fisher(a, b)));
            prop_assert!(more + less >= 1.0 - 1e-9, "one of the two sides has half of the probability");
        }
    }
}
