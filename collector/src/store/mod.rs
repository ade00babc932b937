//! What is left on disk.
//!
//! - [`atomic`]: files that are whole or not there

pub mod atomic;

/// `20260213_135055`: seconds since the epoch as a date and time (UTC) for names of files.
pub fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days of the proleptic Gregorian calendar, years from March on: H. Hinnant, "chrono-compatible low-level date
    // algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}_{h:02}{m:02}{s:02}")
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
