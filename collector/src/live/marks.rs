//! Remarks of people about a process: lines of `marks.jsonl` in OUT. They change no evidence.

use std::sync::{Mutex, PoisonError};

use super::board::{Board, Which};
use super::model::Mark;
use crate::files::atomic::Lines;
use crate::text::escape;

/// Name of the file in OUT.
pub(crate) const FILE: &str = "marks.jsonl";

/// Most characters of a remark.
const MOST_CHARS: usize = 400;

/// One mark at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes a mark, and shows it beside its process.
///
/// # Errors
/// There is no such process, or the file cannot be written.
pub(super) fn mark(board: &Board, which: Which, text: &str) -> Result<Mark, String> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text: String = escape::line(text.trim()).chars().take(MOST_CHARS).collect();
    let mut lines = Lines::open(&board.out().join(FILE)).map_err(|error| error.to_string())?;
    let mark = board.mark(which, &text).ok_or("the job knows no such process")?;
    lines.push_json(&mark).map_err(|error| error.to_string())?;
    Ok(mark)
}
