//! Sizes on the command line: `512M`, `10G`.

/// Bytes. Without a letter the number is in bytes; K, M, G and T are powers of 1024.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_uppercase();
    let shift = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("give a size like 512M or 10G".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "give a size like 512M or 10G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).ok_or("that is more than any machine has")?;
    if bytes < 1 << 20 { Err("give at least 1M".into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_letters_and_a_least() {
        for (text, bytes) in [("512M", 512 << 20), ("2G", 2 << 30), ("1gib", 1 << 30), ("1048576", 1 << 20)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "M", "1.5G", "12X", "1K", "99999999999T"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
