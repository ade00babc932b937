//! Numbers, fields and lines in the text of `/proc`.

/// Parses a decimal number. `None` if anything but digits is in it, or if it does not fit.
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Parses a hexadecimal number of at most 16 digits, with or without `0x`.
pub fn hex(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    bytes.iter().try_fold(0u64, |n, b| Some(n << 4 | u64::from((*b as char).to_digit(16)?)))
}

/// The fields of a text, separated by any number of spaces, tabs and newlines.
pub fn fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| matches!(b, b' ' | b'\t' | b'\n')).filter(|f| !f.is_empty())
}

/// The rest of the first line that begins with `name` (such as `Uid:`).
pub fn line_after<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(name))
}

/// The part of a path after its last `/`.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').and_then(|at| path.get(at + 1..)).unwrap_or(path)
}

/// Copies the bytes that fit; the rest is 0.
pub fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut to = [0; N];
    for (to, from) in to.iter_mut().zip(bytes) {
        *to = *from;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b"18446744073709551616"[..], b"", b"1a", b"-1", b" 1", b"1 "] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
        assert_eq!(
            (hex(b"0xff"), hex(b"FF"), hex(b"ffffffffffffffff")),
            (Some(255), Some(255), Some(u64::MAX))
        );
        for bad in [&b""[..], b"0x", b"11112222333344445", b"fg", b"-1"] {
            assert_eq!(hex(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn fields_and_lines() {
        assert_eq!(fields(b" a  b\tc\n").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(fields(b" \n").count(), 0);
        assert_eq!(line_after(b"A: 1\nSigBlk:\t00ff\n", b"SigBlk:"), Some(&b"\t00ff"[..]));
        assert_eq!(line_after(b"NotSigBlk: 1", b"SigBlk:"), None);
        assert_eq!(
            (base_name(b"/a/b"), base_name(b"b"), base_name(b"/a/")),
            (&b"b"[..], &b"b"[..], &b""[..])
        );
        assert_eq!(padded::<4>(b"abcdef"), *b"abcd");
        assert_eq!(padded::<4>(b"ab"), *b"ab\0\0");
    }
}
