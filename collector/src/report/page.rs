//! A page of Markdown: headings, lists, tables.

use crate::text::escape;
use crate::text::message::{Lang, Say};

/// A Markdown page that is being written in one language.
pub(super) struct Page {
    text: String,
    pub(super) lang: Lang,
}

impl Page {
    pub(super) fn new(lang: Lang) -> Page {
        Page { text: String::new(), lang }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.text += text;
    }

    pub(super) fn line(&mut self, label: &impl Say) {
        self.text += label.said().text(self.lang);
        self.text.push('\n');
    }

    pub(super) fn heading(&mut self, label: &impl Say) {
        self.text.push('\n');
        self.line(label);
        self.text.push('\n');
    }

    /// A heading with a list under it; nothing where there is nothing.
    pub(super) fn list(&mut self, heading: &impl Say, items: Vec<String>) {
        if items.is_empty() {
            return;
        }
        self.heading(heading);
        for item in items {
            self.text += &format!("- {}\n", escaped(&escape::line(&item)));
        }
    }

    /// Lines as they are, with a line of its own before and after; nothing where there is none.
    pub(super) fn block(&mut self, lines: impl Iterator<Item = String>) {
        // A fence in a name would end the block.
        let lines: Vec<String> = lines.map(|line| escape::line(&line).replace("```", "` ` `")).collect();
        if !lines.is_empty() {
            self.text += &format!("```text\n{}\n```\n", lines.join("\n"));
        }
    }

    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.text += "|";
        for cell in cells {
            self.text += &format!(" {} |", escape::line(cell).replace('|', "\\|"));
        }
        self.text.push('\n');
    }
}

/// The text that [`escaped`] was given.
pub(super) fn plain(escaped: &str) -> String {
    let mut text = String::with_capacity(escaped.len());
    let mut chars = escaped.chars().peekable();
    let mut in_code = false;
    while let Some(c) = chars.next() {
        in_code ^= c == '`';
        let escapes = c == '\\' && !in_code && chars.peek().is_some_and(|next| "*_<[|".contains(*next));
        text.push(if escapes { chars.next().unwrap_or(c) } else { c });
    }
    text
}

/// Text with names of functions in it. Markdown's own marks are taken literally, except the backquotes that
/// we put around names.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    for c in text.chars() {
        match c {
            '`' => in_code = !in_code,
            // Within a word an underscore means nothing.
            '_' if out.ends_with(char::is_alphanumeric) => {}
            '*' | '_' | '<' | '[' | '|' if !in_code => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escaped, plain};

    #[test]
    fn what_was_escaped_comes_back() {
        assert_eq!(escaped("operator<(a_b*) `x_*` _y|"), "operator\\<(a_b\\*) `x_*` \\_y\\|");
        assert_eq!(plain(&escaped("operator<(a_b*) `x_*` _y|")), "operator<(a_b*) `x_*` _y|");
    }
}
