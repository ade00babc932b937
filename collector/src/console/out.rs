//! Printing. A closed pipe is no error here: `println!` panics on one, and a hunt must not end because
//! `head` did.
//!
//! With `--json` stdout is for a program: only [`json`] writes to it, and all text for people goes to
//! stderr.

use std::io::{IsTerminal as _, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::Serialize;

use crate::console::wrap::wrap;
use crate::text::escape;
use crate::text::message::{Lang, Say};

/// How to write for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// Whether to write escape sequences for colour: only on a terminal.
    pub(crate) colour: bool,
    pub(crate) lang: Lang,
}

/// Columns where there is no terminal.
const NO_TERMINAL: usize = 120;

/// How to write on stdout: as wide as the terminal, in colour only on one (and not if `NO_COLOR` is set).
pub(crate) fn style() -> Style {
    let terminal = std::io::stdout().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let columns = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    Style { width: columns.unwrap_or(NO_TERMINAL), colour, lang: lang() }
}

static LANG: OnceLock<Lang> = OnceLock::new();

/// The language of what this process tells people, where the command line names one. Set it before the
/// first line.
pub(crate) fn set_lang(lang: Lang) {
    // A second call changes nothing: what was printed so far had the first language.
    let _ = LANG.set(lang);
}

/// The language of what this process tells people. Files for programs stay English.
pub(crate) fn lang() -> Lang {
    *LANG.get_or_init(Lang::of_environment)
}

static ONLY_JSON: AtomicBool = AtomicBool::new(false);

/// From now on stdout is for [`json`] alone. Call it before the first line.
pub(crate) fn only_json() {
    ONLY_JSON.store(true, Relaxed);
}

/// Whether text for people goes to stderr.
pub(crate) fn is_on_stderr() -> bool {
    ONLY_JSON.load(Relaxed)
}

/// Whether text for people goes to a terminal.
pub(crate) fn is_terminal() -> bool {
    if is_on_stderr() { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() }
}

/// A value as one line of JSON on stdout.
///
/// # Errors
/// If it cannot be JSON (a path that is not UTF-8); nothing is printed then.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<()> {
    let mut line = escape::json(value, escape::Json::compact())?;
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    Ok(())
}

/// One line for people, in their language.
pub(crate) fn say(what: &impl Say) {
    line(what.said().text(lang()));
}

/// One line for people, as it is. A closed stdout is no error.
pub(crate) fn line(text: impl std::fmt::Display) {
    people(|to| writeln!(to, "{}", escape::coloured(&text.to_string())));
}

/// Text for people as it is, without a line end.
pub(crate) fn text(text: impl std::fmt::Display) {
    people(|to| write!(to, "{}", escape::coloured(&text.to_string())));
}

/// Text for people, without a line end. On a terminal its long lines are broken between words. In a pipe a
/// sentence stays one line.
pub(crate) fn paragraphs(text: &str) {
    let style = style();
    if !is_terminal() {
        return self::text(text);
    }
    text.lines().flat_map(|line| wrap(line, style.width)).for_each(line);
}

/// Bytes as they are: for a shell.
pub(crate) fn bytes(bytes: &[u8]) {
    people(|to| to.write_all(bytes));
}

pub(crate) fn error_line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", escape::coloured(&text.to_string()));
}

fn people(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
    if is_on_stderr() {
        let _ = write(&mut std::io::stderr().lock());
    } else {
        let mut stdout = std::io::stdout().lock();
        let _ = write(&mut stdout).and_then(|()| stdout.flush());
    }
}
