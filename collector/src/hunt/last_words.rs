//! The last line that a run which died or failed wrote to stderr.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// The last line is looked for in the last part of a longer output, bytes.
const MOST_READ: u64 = 64 << 10;
/// Characters that are kept of a longer line.
const MOST_KEPT: usize = 200;
/// What a shell or `timeout` says of a child that died. The child's own last line is before that.
const NOT_ITS_OWN: [&str; 9] = [
    "Segmentation fault",
    "Bus error",
    "Aborted",
    "Illegal instruction",
    "Floating point exception",
    "Trace/breakpoint trap",
    "Killed",
    "Terminated",
    "the monitored command dumped core",
];

/// The last line that is not empty, without control characters. None where there is no such line.
///
/// # Errors
/// The file cannot be read.
pub(super) fn of(err: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(err)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(MOST_READ)))?;
    let mut bytes = vec![];
    file.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(last_line(&String::from_utf8_lossy(&bytes)))
}

fn last_line(text: &str) -> Option<String> {
    let lines: Vec<String> =
        text.split(['\n', '\r']).map(printable).filter(|line| !line.is_empty()).collect();
    let own = lines.iter().rfind(|line| !is_a_wrappers(line));
    own.or(lines.last()).map(|line| match line.char_indices().nth(MOST_KEPT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.clone(),
    })
}

fn is_a_wrappers(line: &str) -> bool {
    let line = line.strip_suffix("(core dumped)").unwrap_or(line).trim_end();
    NOT_ITS_OWN.iter().any(|words| match line.split_once(words) {
        // `sh: line 1: 123 Segmentation fault ./bench`, or the words alone.
        Some((before, _)) => before.is_empty() || before.contains(": ") || before.trim_end().ends_with(':'),
        None => false,
    })
}

/// Without escape sequences of a terminal (ECMA-48) and other control characters.
fn printable(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
        } else if c == '\t' {
            out.push(' ');
        } else if !c.is_control() {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_own_last_line_without_what_a_terminal_would_do() {
        let line = |text: &str| last_line(text).unwrap_or_default();
        assert_eq!(line("a\n[HZ4_FAIL] bad\tpage 7\n\n  \n"), "[HZ4_FAIL] bad page 7");
        assert_eq!(line("\x1b[31m[FAIL]\x1b[0m x\u{7}\r\n"), "[FAIL] x");
        assert_eq!(line("[FAIL] x\nsh: line 1: 71 Segmentation fault (core dumped) ./bench\n"), "[FAIL] x");
        assert_eq!(line("[FAIL] x\nAborted (core dumped)\n"), "[FAIL] x");
        assert_eq!(
            line("timeout: the monitored command dumped core\n"),
            "timeout: the monitored command dumped core"
        );
        assert_eq!(line("all threads Terminated early"), "all threads Terminated early");
        assert_eq!(last_line("\n \n"), None);
        let long = "é".repeat(300);
        assert_eq!(line(&long), format!("{}...", "é".repeat(200)));
    }

    #[test]
    fn only_the_end_of_a_long_output_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let err = dir.path().join("run_1.err");
        std::fs::write(&err, [&b"x\n".repeat(1 << 20)[..], b"\xff last\n"].concat()).unwrap();
        assert_eq!(of(&err).unwrap().as_deref(), Some("\u{fffd} last"));
        assert!(of(dir.path()).is_err(), "a folder");
    }
}
