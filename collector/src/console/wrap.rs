//! Lines that fit a terminal.

/// A line, continued between words, under itself and two columns in, where it is longer than `width` columns (20 at the
/// least). At least one line.
pub(crate) fn wrap(line: &str, width: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let width = width.max(20);
    let mut lines = vec![];
    let mut at = String::new();
    for word in line.split(' ').filter(|w| !w.is_empty()) {
        if !at.trim().is_empty() && at.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut at, " ".repeat(indent + 2)));
        } else if at.is_empty() {
            at = " ".repeat(indent);
        } else if !at.trim().is_empty() {
            at.push(' ');
        }
        at += word;
    }
    lines.push(at);
    lines
}

#[cfg(test)]
mod tests {
    use crate::console::wrap::wrap;

    #[test]
    fn a_long_line_goes_on_under_itself() {
        assert_eq!(wrap("  a line of 24 columns, so", 20), ["  a line of 24", "    columns, so"]);
        assert_eq!(wrap("short", 20), ["short"]);
        assert_eq!(wrap("", 20), [""]);
        let word = "a_word_that_is_longer_than_all";
        assert_eq!(wrap(&format!("x {word} y"), 20), ["x", &format!("  {word}"), "  y"]);
    }
}
