//! Durations as people write them: one grammar and one type for both sides.
//!
//! The collector reads options such as `--hang-after 1m30s`, and the shim reads variables such as
//! `HANGSCOPE_STALL=500ms`.
//!
//! The grammar:
//!
//! ```text
//! limit    = "off" | duration
//! duration = number | part { [blanks] part }      a number alone is seconds
//! part     = number unit                          no blank between the two
//! number   = digits [ "." digits ]
//! unit     = "ms" | "s" | "sec" | "m" | "min" | "h", and the longer forms of table UNITS
//! ```
//!
//! A duration is 1ms to 999h. 0 is refused, since it is more likely a slip: who wants no limit writes `off`.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

pub const SHORTEST: Duration = Duration::from_millis(1);
pub const LONGEST: Duration = Duration::from_secs(999 * 3600);
/// The shortest pause between two looks of the watchdog (HANGSCOPE_TICK, `--tick`): a shorter one costs the
/// host too much.
pub const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// Names of a unit, and its nanoseconds.
const UNITS: [(&[&[u8]], u64); 4] = [
    (&[b"ms", b"msec", b"millis", b"milliseconds"], 1_000_000),
    (&[b"s", b"sec", b"secs", b"second", b"seconds"], SECOND),
    (&[b"m", b"min", b"mins", b"minute", b"minutes"], 60 * SECOND),
    (&[b"h", b"hr", b"hrs", b"hour", b"hours"], 3600 * SECOND),
];
const SECOND: u64 = 1_000_000_000;

/// Why a text is not a duration on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It does not follow the grammar.
    Grammar,
    /// It is 0, where `off` is possible.
    Zero,
    /// It is shorter than [`SHORTEST`].
    TooShort,
    /// Longer than [`LONGEST`], or too large for a number.
    TooLong,
    /// Shorter than [`SHORTEST_TICK`], for a tick.
    TickTooShort,
}

impl Problem {
    /// The message, the same on both sides.
    pub fn message(self) -> &'static str {
        match self {
            Problem::Grammar => "not a duration such as 15s, 500ms, 2m, 1m30s or 1h",
            Problem::Zero => "0 is not a duration; write off for no limit",
            Problem::TooShort => "a duration is at least 1ms",
            Problem::TooLong => "a duration is at most 999h",
            Problem::TickTooShort => "a tick is at least 10ms",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for Problem {}

/// Reads a duration.
///
/// # Errors
/// [`Problem`]; `off` is one too.
pub fn parse(text: &[u8]) -> Result<Duration, Problem> {
    let time = Duration::from_nanos(nanoseconds(text)?);
    match time {
        t if t < SHORTEST => Err(Problem::TooShort),
        t if t > LONGEST => Err(Problem::TooLong),
        t => Ok(t),
    }
}

/// Reads the pause between two looks.
///
/// # Errors
/// As [`parse`], and [`Problem::TickTooShort`].
pub fn parse_tick(text: &[u8]) -> Result<Duration, Problem> {
    match parse(text) {
        Ok(t) if t >= SHORTEST_TICK => Ok(t),
        Ok(_) | Err(Problem::TooShort) => Err(Problem::TickTooShort),
        Err(problem) => Err(problem),
    }
}

fn nanoseconds(text: &[u8]) -> Result<u64, Problem> {
    let is_number = |b: &u8| b.is_ascii_digit() || *b == b'.';
    if !text.is_empty() && text.iter().all(is_number) {
        return number(text, SECOND);
    }
    let (mut rest, mut sum) = (text, 0u64);
    loop {
        let (digits, tail) = split(rest, is_number);
        let (unit, tail) = split(tail, u8::is_ascii_lowercase);
        let (_, scale) = UNITS.iter().find(|(names, _)| names.contains(&unit)).ok_or(Problem::Grammar)?;
        sum = sum.checked_add(number(digits, *scale)?).ok_or(Problem::TooLong)?;
        if tail.is_empty() {
            return Ok(sum);
        }
        rest = tail.trim_ascii_start();
    }
}

/// The bytes at the start that are `wanted`, and those behind them.
fn split(text: &[u8], wanted: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|b| !wanted(b)).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, &[]))
}

/// Digits, perhaps with a fraction, in units of `scale`. A fraction counts up to its sixth digit.
fn number(text: &[u8], scale: u64) -> Result<u64, Problem> {
    let (whole, rest) = split(text, u8::is_ascii_digit);
    let sum = digits(whole)?.checked_mul(scale).ok_or(Problem::TooLong)?;
    let Some((_, fraction)) = rest.split_first() else { return Ok(sum) };
    let (kept, cut) = fraction.split_at_checked(6).unwrap_or((fraction, b"0"));
    if !cut.iter().all(u8::is_ascii_digit) {
        return Err(Problem::Grammar);
    }
    // Below 10^6, so the product fits for an hour's 3.6 * 10^12.
    let part = digits(kept)?.saturating_mul(scale) / 10u64.pow(kept.len() as u32);
    sum.checked_add(part).ok_or(Problem::TooLong)
}

/// A decimal number. [`Problem::Grammar`] if it is empty or holds anything else.
fn digits(text: &[u8]) -> Result<u64, Problem> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Problem::Grammar);
    }
    let add = |n: u64, b: &u8| n.checked_mul(10)?.checked_add(u64::from(b - b'0'));
    text.iter().try_fold(0, add).ok_or(Problem::TooLong)
}

/// A deadline, or a period, that may be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Off,
    /// After this time: [`SHORTEST`] to [`LONGEST`] where it was read from a text.
    After(Duration),
}

impl Limit {
    /// Reads a duration, or `off`.
    ///
    /// # Errors
    /// As [`parse`], and [`Problem::Zero`].
    pub fn parse(text: &[u8]) -> Result<Limit, Problem> {
        if text == b"off" {
            return Ok(Limit::Off);
        }
        if nanoseconds(text) == Ok(0) {
            return Err(Problem::Zero);
        }
        parse(text).map(Limit::After)
    }

    /// The time; `None` if it is off.
    pub fn time(self) -> Option<Duration> {
        match self {
            Limit::Off => None,
            Limit::After(time) => Some(time),
        }
    }

    pub fn is_off(self) -> bool {
        self == Limit::Off
    }

    /// Nanoseconds as records have them (such as `hang_after_ns` of a hello): 0 is off.
    pub fn nanoseconds(self) -> u64 {
        self.time().map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    /// From nanoseconds as records have them.
    pub fn from_nanoseconds(ns: u64) -> Limit {
        if ns == 0 { Limit::Off } else { Limit::After(Duration::from_nanos(ns)) }
    }
}

impl FromStr for Limit {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Limit, Problem> {
        Limit::parse(text.as_bytes())
    }
}

/// Writes `off`, or the time as [`Text`] does.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Off => f.write_str("off"),
            Limit::After(time) => Text(*time).fmt(f),
        }
    }
}

/// Writes a duration so that [`parse`] reads it again, in whole milliseconds: `90s`, `1500ms`. With `{:#}`
/// for people: `1m 30s`, `1s 500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text(pub Duration);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0.as_secs(), self.0.subsec_millis());
        if !f.alternate() {
            return match ms {
                0 => write!(f, "{seconds}s"),
                _ => write!(f, "{}ms", self.0.as_millis()),
            };
        }
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"), (ms.into(), "ms")];
        let mut between = "";
        for (n, unit) in parts.into_iter().filter(|(n, _)| *n > 0) {
            write!(f, "{between}{n}{unit}")?;
            between = " ";
        }
        if between.is_empty() { f.write_str("0s") } else { Ok(()) }
    }
}

/// A limit in a file is the text that people write.
#[cfg(feature = "serde")]
mod serde_impl {
    use super::{Limit, fmt};

    impl serde::Serialize for Limit {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> serde::Deserialize<'de> for Limit {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
            struct OfText;
            impl serde::de::Visitor<'_> for OfText {
                type Value = Limit;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a duration such as 15s, or off")
                }

                fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Limit, E> {
                    text.parse().map_err(E::custom)
                }
            }
            deserializer.deserialize_str(OfText)
        }
    }
}

/// What a text means on both sides, in milliseconds (0: off): for the tests of both.
#[doc(hidden)]
pub const CASES: &[(&str, Result<u64, Problem>)] = &[
    ("15s", Ok(15_000)),
    ("500ms", Ok(500)),
    ("2m", Ok(120_000)),
    ("5min", Ok(300_000)),
    ("90sec", Ok(90_000)),
    ("1h", Ok(3_600_000)),
    ("1.5s", Ok(1500)),
    ("0.25", Ok(250)),
    ("7", Ok(7000)),
    ("1ms", Ok(1)),
    ("1.0000009s", Ok(1000)),
    ("1m30s", Ok(90_000)),
    ("1m 30s", Ok(90_000)),
    ("1h 2minutes 3s 4ms", Ok(3_723_004)),
    ("0.5h0.5m", Ok(1_830_000)),
    ("999h", Ok(3_596_400_000)),
    ("off", Ok(0)),
    ("0", Err(Problem::Zero)),
    ("0s", Err(Problem::Zero)),
    ("0.0", Err(Problem::Zero)),
    ("0h 0m", Err(Problem::Zero)),
    ("0.5ms", Err(Problem::TooShort)),
    ("0.000001", Err(Problem::TooShort)),
    ("999h 1ms", Err(Problem::TooLong)),
    ("1000h", Err(Problem::TooLong)),
    ("99999999999999999999s", Err(Problem::TooLong)),
    ("9999999999999999999h", Err(Problem::TooLong)),
    ("18446744073709551615ms", Err(Problem::TooLong)),
    ("", Err(Problem::Grammar)),
    ("s", Err(Problem::Grammar)),
    (".", Err(Problem::Grammar)),
    (".5s", Err(Problem::Grammar)),
    ("1.s", Err(Problem::Grammar)),
    ("1.2.3", Err(Problem::Grammar)),
    ("1.2.3s", Err(Problem::Grammar)),
    ("1.0000000.1s", Err(Problem::Grammar)),
    ("-1s", Err(Problem::Grammar)),
    ("+1s", Err(Problem::Grammar)),
    ("1 s", Err(Problem::Grammar)),
    ("15 s", Err(Problem::Grammar)),
    (" 15s", Err(Problem::Grammar)),
    ("15s ", Err(Problem::Grammar)),
    ("1m30", Err(Problem::Grammar)),
    ("1x", Err(Problem::Grammar)),
    ("1S", Err(Problem::Grammar)),
    ("1e3", Err(Problem::Grammar)),
    ("1e99h", Err(Problem::Grammar)),
    ("NaN", Err(Problem::Grammar)),
    ("soon", Err(Problem::Grammar)),
    ("Off", Err(Problem::Grammar)),
    ("1s off", Err(Problem::Grammar)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_the_table() {
        for (text, expected) in CASES {
            let limit = Limit::parse(text.as_bytes());
            let ms = limit.map(|limit| limit.time().map_or(0, |t| t.as_millis() as u64));
            assert_eq!(ms, *expected, "{text:?}");
            // Without a limit `off` and 0 are refused like any other text.
            let plain = match expected {
                Ok(0) => Err(Problem::Grammar),
                Err(Problem::Zero) => Err(Problem::TooShort),
                _ => *expected,
            };
            assert_eq!(parse(text.as_bytes()).map(|t| t.as_millis() as u64), plain, "{text:?}");
            let tick = match plain {
                Ok(..10) | Err(Problem::TooShort) => Err(Problem::TickTooShort),
                _ => plain,
            };
            assert_eq!(parse_tick(text.as_bytes()).map(|t| t.as_millis() as u64), tick, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (text, expected) in CASES.iter().filter(|(_, expected)| expected.is_ok()) {
            let limit: Limit = text.parse().unwrap();
            let whole = Limit::from_nanoseconds(expected.unwrap() * 1_000_000);
            for written in [limit.to_string(), format!("{limit:#}")] {
                assert_eq!(written.parse(), Ok(whole), "{text:?} {written:?}");
            }
            assert_eq!(Limit::from_nanoseconds(limit.nanoseconds()), limit);
        }
        let written = |ms| {
            [format!("{}", Text(Duration::from_millis(ms))), format!("{:#}", Text(Duration::from_millis(ms)))]
        };
        assert_eq!(written(90_000), ["90s", "1m 30s"]);
        assert_eq!(written(3_601_500), ["3601500ms", "1h 1s 500ms"]);
        assert_eq!(written(0), ["0s", "0s"]);
    }

    #[test]
    fn messages_name_the_limits() {
        assert!(Problem::TickTooShort.message().contains(&Text(SHORTEST_TICK).to_string()));
        assert!(Problem::TooShort.message().contains(&Text(SHORTEST).to_string()));
        assert!(Problem::TooLong.message().contains(&format!("{:#}", Text(LONGEST))));
    }
}
