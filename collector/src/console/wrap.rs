//! Lines that fit a terminal. A Japanese character is two columns wide.

use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use crate::text::message::is_japanese;

/// No line is made narrower than this, whatever the terminal says.
const NARROWEST: usize = 20;

/// A line, broken where it is longer than `width` columns (20 at least). What follows is indented by two
/// columns more than the line itself. A word that is longer than a line stays whole. At least one line.
pub(crate) fn wrap(line: &str, width: usize) -> Vec<String> {
    let text = line.trim_start();
    let indent = " ".repeat(line.len() - text.len());
    let next_indent = format!("{indent}  ");
    let options = Options::new(width.max(NARROWEST))
        .initial_indent(&indent)
        .subsequent_indent(&next_indent)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(WordSeparator::Custom(words))
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options).into_iter().map(String::from).collect()
}

/// A line, cut with `...` at the end where it is longer than `width` columns (20 at least).
pub(crate) fn cut(line: &str, width: usize) -> String {
    const DOTS: &str = "...";
    let width = width.max(NARROWEST);
    if columns(line) <= width {
        return line.to_owned();
    }
    let mut short = String::new();
    for c in line.chars() {
        if columns(&short) + columns(c.encode_utf8(&mut [0; 4])) + DOTS.len() > width {
            break;
        }
        short.push(c);
    }
    short + DOTS
}

/// Columns of a text on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// Parts that may stand on different lines: words, and Japanese characters, which have no spaces between
/// them.
fn words<'a>(line: &'a str) -> Box<dyn Iterator<Item = Word<'a>> + 'a> {
    Box::new(WordSeparator::AsciiSpace.find_words(line).flat_map(|word| {
        // With its spaces: the last part keeps them.
        let text = word.word;
        let mut ends: Vec<usize> =
            text.char_indices().map(|(at, _)| at).filter(|at| may_break(text, *at)).collect();
        ends.push(text.len());
        let last = ends.len() - 1;
        let mut start = 0;
        let parts: Vec<Word<'a>> = ends
            .into_iter()
            .enumerate()
            .map(|(n, end)| {
                let mut part = Word::from(&text[start..end]);
                if n == last {
                    part.whitespace = word.whitespace;
                }
                start = end;
                part
            })
            .collect();
        parts
    }))
}

/// Whether a line may end before the character at `at`: beside a Japanese character, but a closing mark
/// does not begin a line and an opening one does not end it.
fn may_break(text: &str, at: usize) -> bool {
    let (before, after) = (text[..at].chars().next_back(), text[at..].chars().next());
    let (Some(before), Some(after)) = (before, after) else { return false };
    (is_japanese(before) || is_japanese(after))
        && !"、。」』ーっゃゅょッャュョ)）,.:;%`".contains(after)
        && !"「『(（`".contains(before)
}

#[cfg(test)]
mod tests {
    use crate::console::wrap::{columns, cut, wrap};

    #[test]
    fn a_long_line_goes_on_under_itself() {
        assert_eq!(wrap("  a line of 24 columns, so", 20), ["  a line of 24", "    columns, so"]);
        assert_eq!(wrap("short", 20), ["short"]);
        assert_eq!(wrap("", 20), [""]);
        let word = "a_word_that_is_longer_than_all";
        assert_eq!(wrap(&format!("x {word} y"), 20), ["x", &format!("  {word}"), "  y"]);
    }

    #[test]
    fn a_japanese_character_is_two_columns_wide() {
        assert_eq!(columns("ハング 1 回"), 11);
        let line = "待機中の 15 スレッドは 1 つも起きず、ロックは解放されていない。";
        let lines = wrap(line, 24);
        assert_eq!(lines, ["待機中の 15 スレッドは 1", "  つも起きず、ロックは解", "  放されていない。"]);
        assert!(lines.iter().all(|line| columns(line) <= 24), "{lines:?}");
    }

    #[test]
    fn a_line_may_end_between_japanese_characters_but_not_before_a_mark() {
        // The 12th character is a mark: the one before it goes with it to the next line.
        assert_eq!(wrap("ロックを待つスレッドは、ない", 22), ["ロックを待つスレッド", "  は、ない"]);
        assert_eq!(wrap("関数は `hz4_mid_malloc` です", 20), ["関数は", "  `hz4_mid_malloc`", "  です"]);
    }

    #[test]
    fn a_line_that_is_cut_fits() {
        assert_eq!(cut("short", 20), "short");
        assert_eq!(cut("a line that has 27 columns.", 20), "a line that has 2...");
        let short = cut("スレッドがロックを待っている", 20);
        assert_eq!(short, "スレッドがロック...");
        assert!(columns(&short) <= 20);
    }
}
