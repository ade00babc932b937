//! A date as part of a file name.

/// `20260213_135055`: seconds since the epoch as a date and time (UTC) for names of files.
pub(crate) fn stamp(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace(['-', ':', 'Z'], "").replace('T', "_")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_stamp_is_the_date() {
        for (seconds, stamp) in [
            (0, "19700101_000000"),
            (951_782_400, "20000229_000000"),
            (1_770_990_655, "20260213_135055"),
            (4_107_542_399, "21000228_235959"),
        ] {
            assert_eq!(super::stamp(seconds), stamp);
        }
    }
}
