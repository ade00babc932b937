//! DURATION as coreutils reads it: what `strtod` takes, and one of the suffixes s, m, h and d.

use std::time::Duration;

/// A time that is longer than any computer runs. Longer ones are the same.
const MOST_SECONDS: f64 = 1e10;

/// None if `text` is no duration. Zero means no limit. What is less than a nanosecond is one.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let whole = number(text);
    let (seconds, factor) = match (whole, text.char_indices().last()) {
        (Some(seconds), _) => (seconds, 1.0),
        (None, Some((at, suffix))) => (number(&text[..at])?, factor(suffix)?),
        (None, None) => return None,
    };
    // NaN and what is below zero are not in this range. -0 is.
    (seconds >= 0.0).then(|| nanoseconds_up(seconds * factor))
}

fn factor(suffix: char) -> Option<f64> {
    match suffix {
        's' => Some(1.0),
        'm' => Some(60.0),
        'h' => Some(3600.0),
        'd' => Some(86400.0),
        _ => None,
    }
}

fn nanoseconds_up(seconds: f64) -> Duration {
    let seconds = seconds.min(MOST_SECONDS);
    let (whole, part) = (seconds.trunc(), seconds.fract());
    Duration::from_secs(whole as u64) + Duration::from_nanos((part * 1e9).ceil() as u64)
}

/// What strtod(3) reads, if it reads the whole text. Rust's own parser has no hexadecimal numbers.
fn number(text: &str) -> Option<f64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    // Rust takes a second sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let value = match hex {
        Some(hex) => hexadecimal(hex)?,
        None => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}

/// `1.8p3`: hexadecimal digits, and a power of two in decimal ones.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, power) = match text.find(['p', 'P']) {
        Some(at) => {
            // A number that is too large for i32 makes the value 0 or infinite all the same.
            let power: f64 = text[at + 1..].parse().ok()?;
            let is_whole = text[at + 1..].trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit());
            (&text[..at], is_whole.then_some(power)?)
        }
        None => (text, 0.0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let digit = |value: f64, c: char| Some(value.mul_add(16.0, f64::from(c.to_digit(16)?)));
    let whole = whole.chars().try_fold(0.0, digit)?;
    let part = part
        .chars()
        .rev()
        .try_fold(0.0, |value: f64, c| Some((value + f64::from(c.to_digit(16)?)) / 16.0))?;
    Some((whole + part) * power.exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_coreutils_does() {
        for (text, seconds) in [
            ("5", 5.0),
            ("0", 0.0),
            ("-0", 0.0),
            ("+1", 1.0),
            (" 1", 1.0),
            ("\t\n1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("0.5s", 0.5),
            ("1.5m", 90.0),
            ("2h", 7200.0),
            ("1d", 86400.0),
            ("1e3", 1000.0),
            ("1e-3", 0.001),
            ("1E2s", 100.0),
            ("0x10", 16.0),
            ("0x1.8p1", 3.0),
            ("0x1p-2", 0.25),
            ("0xAm", 600.0),
            ("0x1d", 29.0),
            ("1e-400", 0.0),
            ("1e400", MOST_SECONDS),
            ("inf", MOST_SECONDS),
            ("infinity", MOST_SECONDS),
            ("INFd", MOST_SECONDS),
            ("99999999999999999999d", MOST_SECONDS),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs_f64(seconds)), "{text:?}");
        }
        for bad in [
            "", "-1", "-1e-3", "nan", "abc", "s", "1ms", "1S", "1D", "5x", "1 ", "1 s", "1,5", "5_", ".",
            "0x", "0xp1", "0x1p", "1e", "--1", "+-1", "1ss", "1é", "-inf", "0x1p1.5", "1e5e",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_part_of_a_nanosecond_is_a_whole_one() {
        assert_eq!(parse("1e-10"), Some(Duration::from_nanos(1)));
        assert_eq!(parse("0.0000000015"), Some(Duration::from_nanos(2)));
        assert_eq!(parse("1.0000000001"), Some(Duration::new(1, 1)));
    }
}
