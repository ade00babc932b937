//! Texts that are cut to their size.

use std::borrow::Cow;

use crate::report::page::{Page, escaped};
use crate::text::message::{Lang, Say};
use crate::text::packet::Packet;

/// Bytes of a sentence or a field, at most.
pub(super) const MOST_OF_ITEM: usize = 600;

/// An item of a list.
pub(super) fn item(page: &mut Page, what: &impl Say) {
    let text = what.said().text(page.lang).to_owned();
    page.raw(&format!("- {}\n", escaped(&clipped(&text, MOST_OF_ITEM))));
}

/// The beginning of a line, at most so many bytes and an ellipsis.
pub(super) fn clipped(line: &str, most: usize) -> Cow<'_, str> {
    if line.len() <= most {
        return line.into();
    }
    format!("{}...", &line[..boundary(line, most)]).into()
}

/// The text, at most so many bytes of it. It ends at a line.
pub(super) fn cut(mut text: String, most: usize, lang: Lang) -> String {
    if text.len() <= most {
        return text;
    }
    let end = format!("\n{}\n", Packet::Cut {}.text(lang));
    // Room for the end of a block of code, too.
    let room = boundary(&text, most.saturating_sub(end.len() + 4));
    text.truncate(text[..room].rfind('\n').map_or(0, |at| at + 1));
    // Odd: a block of code is open.
    if text.lines().filter(|line| line.starts_with("```")).count() % 2 == 1 {
        text += "```\n";
    }
    text + &end
}

/// The last boundary of a character at or before `most`.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
