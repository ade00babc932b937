//! Long text on a terminal goes through a pager, as git's does.

use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

use super::out;

/// Quit if it fits one screen, pass colours on, leave the screen as it is.
const LESS: &str = "FRX";

/// Prints text. On a terminal it goes through `$HANGSCOPE_PAGER`, else `$PAGER`, else `less`; an empty value
/// or `cat` means none.
pub(crate) fn page(text: &str) {
    if !(out::is_terminal() && through_pager(text)) {
        out::text(text);
    }
}

/// False if there is no pager, or it could not be started.
fn through_pager(text: &str) -> bool {
    let set = |name: &str| std::env::var(name).ok();
    let pager = set("HANGSCOPE_PAGER").or_else(|| set("PAGER")).unwrap_or_else(|| "less".to_owned());
    if pager.trim().is_empty() || pager.trim() == "cat" {
        return false;
    }
    // A shell, since a pager may have arguments.
    let mut command = Command::new("sh");
    command.args(["-c", &pager]).stdin(Stdio::piped());
    if set("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(mut child) = command.spawn() else { return false };
    // Ctrl-C is the pager's: it stays until it is left.
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    let _ = interrupt.thread_block();
    // A pager that is left early reads no more.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let status = child.wait();
    let _ = interrupt.thread_unblock();
    // 127: the shell found no such program.
    written.is_some() && status.is_ok_and(|status| status.code() != Some(127))
}
