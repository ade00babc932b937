//! Printing that survives a reader who has left: `println!` panics on a closed pipe, and a hunt must not end
//! because `head` did.
//!
//! With `--json` stdout is for a program: only [`json`] writes to it, and all that is for people goes to stderr.

use std::io::{IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::Serialize;

use crate::console::wrap::wrap;

/// How to write for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns; longer lines are cut.
    pub(crate) width: usize,
    /// Escape sequences for colour: only on a terminal.
    pub(crate) colour: bool,
}

/// How to write on stdout: as wide as the terminal, in colour only on one (and not if `NO_COLOR` is set).
pub(crate) fn style() -> Style {
    let terminal = std::io::stdout().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let columns = comfy_table::Table::new().width().filter(|_| terminal);
    Style { width: columns.map_or(120, usize::from), colour }
}

/// Set once, before the first line.
static ONLY_JSON: AtomicBool = AtomicBool::new(false);

/// From now on stdout is for [`json`] alone.
pub(crate) fn only_json() {
    ONLY_JSON.store(true, Relaxed);
}

/// What is for people is on stderr.
pub(crate) fn is_on_stderr() -> bool {
    ONLY_JSON.load(Relaxed)
}

/// Whether what is for people is on a terminal.
pub(crate) fn is_terminal() -> bool {
    if is_on_stderr() { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() }
}

/// A value as one line of JSON on stdout.
///
/// # Errors
/// If it cannot be JSON (a path that is not UTF-8); nothing is printed then.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    Ok(())
}

/// One line for people. A closed stdout is nobody's loss.
pub(crate) fn line(text: impl std::fmt::Display) {
    people(|to| writeln!(to, "{text}"));
}

/// Text for people as it is, without a line end.
pub(crate) fn text(text: impl std::fmt::Display) {
    people(|to| write!(to, "{text}"));
}

/// Text for people, without a line end; on a terminal its long lines are broken between words. For a pipe a sentence stays
/// one line.
pub(crate) fn paragraphs(text: &str) {
    let style = style();
    if !is_terminal() {
        return self::text(text);
    }
    text.lines().flat_map(|line| wrap(line, style.width)).for_each(line);
}

/// Bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    people(|to| to.write_all(bytes));
}

/// One line on stderr.
pub(crate) fn error_line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn people(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
    if is_on_stderr() {
        let _ = write(&mut std::io::stderr().lock());
    } else {
        let mut stdout = std::io::stdout().lock();
        let _ = write(&mut stdout).and_then(|()| stdout.flush());
    }
}
