//! What the terminal can show.

use ratatui::style::{Color, Modifier, Style};

use crate::text::message::{Lang, Say};

/// Language, colour and letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) lang: Lang,
    pub(crate) colour: bool,
    /// Letters beyond ASCII.
    pub(crate) unicode: bool,
}

/// What a part of the screen means. It is always said by letters, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// A heading.
    Head,
    Good,
    /// Look at it.
    Warn,
    Bad,
    Quiet,
    /// The selected line.
    Selected,
}

impl Look {
    /// That of this process's terminal. No colour: NO_COLOR is set, or the terminal is dumb.
    pub(crate) fn of_environment(style: crate::console::out::Style) -> Look {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Look {
            lang: style.lang,
            colour: style.colour && !dumb,
            unicode: style.lang == Lang::Ja || locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    pub(super) fn say(&self, what: &impl Say) -> String {
        what.said().text(self.lang).to_owned()
    }

    pub(super) fn style(&self, tone: Tone) -> Style {
        if !self.colour {
            return Style::default();
        }
        match tone {
            Tone::Plain => Style::default(),
            Tone::Head => Style::default().add_modifier(Modifier::BOLD),
            Tone::Good => Style::default().fg(Color::Green),
            Tone::Warn => Style::default().fg(Color::Yellow),
            Tone::Bad => Style::default().fg(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Quiet => Style::default().fg(Color::DarkGray),
            Tone::Selected => Style::default().add_modifier(Modifier::REVERSED),
        }
    }
}
