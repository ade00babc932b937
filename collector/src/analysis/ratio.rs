//! How many times as large the figures of one sample are as those of another.
//!
//! The ratio is the median of all quotients of a figure of the one and a figure of the other (J. L. Hodges,
//! E. L. Lehmann, Estimates of location based on rank tests, Annals of Mathematical Statistics 34 (1963),
//! 598-611, on logarithms). Its interval is exact: it is bounded by two of those quotients, by their rank,
//! with the null distribution of Mann and Whitney's count (H. B. Mann, D. R. Whitney, On a test of whether
//! one of two random variables is stochastically larger than the other, Annals of Mathematical Statistics 18
//! (1947), 50-60; the interval: L. E. Moses in H. M. Walker, J. Lev, Statistical Inference, 1953). It
//! supposes that one distribution is a multiple of the other, and nothing about its shape.

/// Products of both numbers of figures above this use the normal approximation of the count.
const MOST_EXACT: usize = 2500;

/// A ratio with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// 0 to 1. With few figures even the widest interval has less than what was asked for.
    pub(crate) confidence: f64,
}

/// The ratio of `a` to `b`, with an interval of at least this confidence if there are enough figures, else
/// the widest one. Only positive figures count. None: one of them has none.
pub(crate) fn ratio(a: &[f64], b: &[f64], confidence: f64) -> Option<Ratio> {
    let positive = |x: &&f64| x.is_finite() && **x > 0.0;
    let (a, b): (Vec<f64>, Vec<f64>) =
        (a.iter().filter(positive).copied().collect(), b.iter().filter(positive).copied().collect());
    let mut quotients: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| a / b)).collect();
    quotients.sort_by(f64::total_cmp);
    let all = quotients.len();
    let median = (quotients.get((all.max(1) - 1) / 2)? + quotients.get(all / 2)?) / 2.0;
    let (rank, confidence) = rank(a.len(), b.len(), confidence);
    Some(Ratio { ratio: median, low: quotients[rank], high: quotients[all - 1 - rank], confidence })
}

/// The rank of the lower bound among the quotients, from 0, and the confidence of the interval.
fn rank(m: usize, n: usize, confidence: f64) -> (usize, f64) {
    let tail = (1.0 - confidence) / 2.0;
    if m * n > MOST_EXACT {
        let (product, sum) = ((m * n) as f64, (m + n + 1) as f64);
        let sigma = (product * sum / 12.0).sqrt();
        // The 97.5 % quantile of the normal distribution; the callers ask for 95 %.
        let z = normal_quantile(1.0 - tail);
        return (((product / 2.0 - z * sigma - 0.5).floor()).max(0.0) as usize, confidence);
    }
    let ways = counts(m, n);
    let total: f64 = ways.iter().sum();
    // P(U <= rank) is the error on one side of the interval that begins with the quotient of this rank.
    let (mut below, mut found) = (ways[0] / total, 0);
    while found + 1 < m * n / 2 && below + ways[found + 1] / total <= tail {
        found += 1;
        below += ways[found] / total;
    }
    (found, 1.0 - 2.0 * below)
}

fn normal_quantile(p: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, Normal};
    Normal::new(0.0, 1.0).map_or(f64::NAN, |normal| normal.inverse_cdf(p))
}

/// In how many of the orders of m and n figures the count of Mann and Whitney is 0, 1, 2 ... m * n.
fn counts(m: usize, n: usize) -> Vec<f64> {
    // The coefficients of the product of (1 - x^(n+i)) / (1 - x^i) for i in 1..=m.
    let mut ways = vec![0.0; m * n + 1];
    ways[0] = 1.0;
    for i in 1..=m {
        for u in (n + i..=m * n).rev() {
            ways[u] -= ways[u - n - i];
        }
        for u in i..=m * n {
            ways[u] += ways[u - i];
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_those_of_all_orders() {
        assert_eq!(counts(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        let ten = counts(10, 10);
        assert_eq!(ten.iter().sum::<f64>(), 184_756.0);
        assert!(ten.iter().zip(ten.iter().rev()).all(|(a, b)| a == b));
    }

    /// Reference values of R's `wilcox.test(log(a), log(b), conf.int = TRUE)`, by its quantile `qwilcox`.
    #[test]
    fn the_rank_is_that_of_qwilcox() {
        // qwilcox(0.025, 10, 10) is 24: the bound is the 24th smallest quotient.
        assert_eq!(rank(10, 10, 0.95).0, 23);
        assert_eq!(rank(5, 5, 0.95).0, 2);
        assert_eq!(rank(4, 4, 0.95).0, 0);
        // Three figures each cannot give more than 1 - 2/20.
        let (first, confidence) = rank(3, 3, 0.95);
        assert!(first == 0 && (confidence - 0.9).abs() < 1e-12, "{confidence}");
        assert_eq!(rank(1, 1, 0.95), (0, 0.0));
        // qwilcox(0.025, 60, 60) is 1427.
        assert!((1420..1430).contains(&rank(60, 60, 0.95).0), "{:?}", rank(60, 60, 0.95));
    }

    #[test]
    fn a_ratio_is_the_median_quotient() {
        let b = [1.0, 1.1, 0.9, 1.05, 0.95];
        let a = b.map(|x| 2.0 * x);
        let twice = ratio(&a, &b, 0.95).unwrap();
        assert!((twice.ratio - 2.0).abs() < 0.03 && twice.low < 2.0 && twice.high > 2.0, "{twice:?}");
        assert!(twice.confidence >= 0.95);
        assert_eq!(ratio(&[0.0, f64::NAN], &b, 0.95), None);
        assert_eq!(ratio(&a, &[], 0.95), None);
        assert_eq!(ratio(&[3.0], &[2.0], 0.95).unwrap().ratio, 1.5);
    }

    /// The interval holds the true ratio at least as often as it says.
    #[test]
    fn the_interval_keeps_its_confidence() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut draw =
            |n: usize| (0..n).map(|_| 1.0 + 9.0 * random.f64() * random.f64()).collect::<Vec<f64>>();
        let (rounds, mut missed) = (4000, 0);
        for _ in 0..rounds {
            let (a, b) = (draw(6), draw(5));
            let found = ratio(&a, &b, 0.95).unwrap();
            missed += u32::from(found.low > 1.0 || found.high < 1.0);
        }
        assert!(f64::from(missed) / f64::from(rounds) < 0.055, "{missed}");
    }
}
