//! Writes lines for a terminal.

use crate::console::out::Style;
use crate::console::wrap::{cut, wrap};
use crate::text::escape;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    Red,
    Dim,
}

pub(super) struct Pen {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Pen {
    pub(super) fn new(style: Style) -> Pen {
        Pen { text: String::new(), style }
    }

    pub(super) fn blank(&mut self) {
        if !self.text.ends_with("\n\n") && !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// A line that is continued under itself where it is too long.
    pub(super) fn wrapped(&mut self, line: &str, paint: Paint) {
        wrap(&escape::line(line), self.style.width).iter().for_each(|line| self.put(line, paint));
    }

    /// A line that is cut where it is too long: frames keep their places.
    pub(super) fn cut(&mut self, line: &str, paint: Paint) {
        self.put(&cut(&escape::line(line), self.style.width), paint);
    }

    fn put(&mut self, line: &str, paint: Paint) {
        let code = match paint {
            _ if !self.style.colour => None,
            Paint::Plain => None,
            Paint::Bold => Some("1"),
            Paint::Red => Some("31"),
            Paint::Dim => Some("2"),
        };
        match code {
            Some(code) => self.text += &format!("\x1b[{code}m{line}\x1b[0m\n"),
            None => self.text += &format!("{line}\n"),
        }
    }
}
