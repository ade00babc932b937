//! Words in messages, quoted as coreutils quotes them in the locale of the environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::sys;

/// ‘word’ where the locale has UTF-8, else 'word'. What is not printable is written with a backslash.
pub(super) fn quote(word: &OsStr) -> String {
    quoted(word.as_bytes(), sys::locale_is_utf8())
}

fn quoted(word: &[u8], utf8: bool) -> String {
    let (open, close) = if utf8 { ('‘', '’') } else { ('\'', '\'') };
    let mut text = String::from(open);
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                _ if c == close || c == '\\' => text.extend(['\\', c]),
                '\x07' => text.push_str("\\a"),
                '\x08' => text.push_str("\\b"),
                '\x0c' => text.push_str("\\f"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\x0b' => text.push_str("\\v"),
                _ if c.is_control() || !utf8 && !c.is_ascii() => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| octal(&mut text, b));
                }
                _ => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|b| octal(&mut text, *b));
    }
    text.push(close);
    text
}

fn octal(text: &mut String, byte: u8) {
    text.push_str(&format!("\\{byte:03o}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_printable_is_written_with_a_backslash() {
        let word = "a'b’\nc\\ é\x01".as_bytes();
        assert_eq!(quoted(word, true), "‘a'b\\’\\nc\\\\ é\\001’");
        assert_eq!(quoted(word, false), "'a\\'b\\342\\200\\231\\nc\\\\ \\303\\251\\001'");
        assert_eq!(quoted(b"\xff", true), "‘\\377’");
        assert_eq!(quoted(b"", false), "''");
    }
}
