//! Names of a process may hold anything: escape sequences that rewrite a terminal, line ends that begin a
//! false line, marks that turn the order of letters. At the way out each such character is written as `\x1b`
//! or `\u{202e}`, so that a person sees what it is.
//!
//! The marks are those of the Unicode standard's bidirectional algorithm (UAX #9, section 2), and the two
//! separators of lines and paragraphs.

use std::borrow::Cow;
use std::io;

use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// A character that a terminal does not show but obeys.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn write(to: &mut String, c: char) {
    match u32::from(c) {
        code @ 0..=0xff => *to += &format!("\\x{code:02x}"),
        code => *to += &format!("\\u{{{code:x}}}"),
    }
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let bad = |c: char| is_hidden(c) && !kept(c);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| if bad(c) { write(&mut out, c) } else { out.push(c) });
    Cow::Owned(out)
}

/// A name, or another text of one line.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// A line of a table with tabs.
pub(crate) fn row(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\t')
}

/// A text of lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\t' | '\n'))
}

/// The same in bytes. What is not UTF-8 is escaped byte by byte.
pub(crate) fn bytes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(lines(chunk.valid()).as_bytes());
        chunk.invalid().iter().for_each(|byte| out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()));
    }
    out
}

/// A text of lines in which this program has set colours (SGR, ECMA-48 8.3.117): only those get through.
pub(crate) fn coloured(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_hidden(c) && !matches!(c, '\t' | '\n')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('\x1b');
    out += &lines(parts.next().unwrap_or_default());
    for part in parts {
        let colour = part.strip_prefix('[').and_then(|rest| rest.split_once('m'));
        match colour.filter(|(code, _)| code.bytes().all(|b| b.is_ascii_digit() || b == b';')) {
            Some((code, rest)) => out += &format!("\x1b[{code}m{}", lines(rest)),
            None => {
                write(&mut out, '\x1b');
                out += &lines(part);
            }
        }
    }
    Cow::Owned(out)
}

/// JSON in which hidden characters are `\u` escapes: JSON alone asks for that only below a space (RFC 8259,
/// section 7).
pub(crate) struct Json<F>(F);

impl Json<CompactFormatter> {
    pub(crate) fn compact() -> Self {
        Json(CompactFormatter)
    }
}

impl Json<PrettyFormatter<'_>> {
    pub(crate) fn pretty() -> Self {
        Json(PrettyFormatter::new())
    }
}

/// What the layout of an array or an object is made of is the inner formatter's.
macro_rules! inner {
    ($($name:ident $(($first:ident))?,)*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, to: &mut W $(, $first: bool)?) -> io::Result<()> {
            self.0.$name(to $(, $first)?)
        })*
    };
}

impl<F: Formatter> Formatter for Json<F> {
    inner! {
        begin_array, end_array, begin_array_value(first), end_array_value,
        begin_object, end_object, begin_object_key(first), end_object_key, begin_object_value, end_object_value,
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, text: &str) -> io::Result<()> {
        let mut from = 0;
        // All of them are in the Basic Multilingual Plane: one escape each.
        for (at, c) in text.char_indices().filter(|(_, c)| is_hidden(*c)) {
            to.write_all(&text.as_bytes()[from..at])?;
            write!(to, "\\u{:04x}", u32::from(c))?;
            from = at + c.len_utf8();
        }
        to.write_all(&text.as_bytes()[from..])
    }
}

/// A value as JSON, in one line or indented.
///
/// # Errors
/// A value that cannot be JSON.
pub(crate) fn json<F: Formatter>(
    value: &impl serde::Serialize,
    format: Json<F>,
) -> serde_json::Result<Vec<u8>> {
    let mut out = vec![];
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, format))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "\x1b[31mR\n<b>\u{202e}|\u{9b}2J\x07\x7fé日本";

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        assert_eq!(line(NASTY), "\\x1b[31mR\\x0a<b>\\u{202e}|\\x9b2J\\x07\\x7fé日本");
        assert_eq!(row("a\tb\nc"), "a\tb\\x0ac");
        assert_eq!(lines("a\tb\nc\r"), "a\tb\nc\\x0d");
        assert!(matches!(line("plain 日本語 text"), Cow::Borrowed(_)));
        assert_eq!(bytes(b"/a\x1b\xff\n"), b"/a\\x1b\\xff\n");
    }

    #[test]
    fn only_colours_get_through_where_colours_are() {
        let ours = "\x1b[1mbold\x1b[0m\n\x1b[38;5;1mx\x1b[0m";
        assert_eq!(coloured(ours), ours);
        assert_eq!(coloured("\x1b[2J\x1b]0;p\x07\x1b[1mb\x1b"), "\\x1b[2J\\x1b]0;p\\x07\x1b[1mb\\x1b");
    }

    #[test]
    fn json_says_the_same_and_hides_nothing() {
        let value = serde_json::json!({"a": [NASTY, {}], NASTY: 1.5});
        let before = (serde_json::to_vec(&value).unwrap(), serde_json::to_vec_pretty(&value).unwrap());
        for (json, before) in [
            (json(&value, Json::compact()).unwrap(), before.0),
            (json(&value, Json::pretty()).unwrap(), before.1),
        ] {
            let text = String::from_utf8(json).unwrap();
            assert!(!text.contains(|c| is_hidden(c) && c != '\n'), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
            assert_eq!(text.lines().count(), String::from_utf8(before).unwrap().lines().count());
        }
    }
}
