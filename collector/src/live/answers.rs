//! The requests of those who look: one a line, in words. Each answer is one line of JSON.
//!
//! - `status`: the job and all of its processes
//! - `job`: the job alone
//! - `process WHICH`: one process with its last dump
//! - `dump WHICH`: asks for a dump now, and waits for it
//! - `mark WHICH TEXT`: a remark beside a process
//!
//! WHICH is a process id, or `#` and the key of a process.

use std::time::Duration;

use serde::Serialize;

use super::board::{Board, Which};
use super::marks;
use super::model::{Dumped, Job, Marked, Refused, SCHEMA};
use crate::listen::request::{Answer, Problem, Request};
use crate::text::escape;

/// How long the longest dump takes.
const DUMP_WITHIN: Duration = Duration::from_secs(60);

/// The answer to `job`.
#[derive(Serialize, serde::Deserialize)]
pub(crate) struct JobAnswer {
    pub(crate) schema: String,
    pub(crate) job: Job,
}

/// The answer to a line, with its line end.
pub(super) fn answer(board: &Board, line: &str) -> Vec<u8> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let which = |text: &str| match text.strip_prefix('#') {
        Some(key) => key.parse().ok().map(Which::Key),
        None => text.parse().ok().map(Which::Pid),
    };
    match (verb, which(rest.split(' ').next().unwrap_or_default())) {
        ("status", None) => json(&board.status()),
        ("job", None) => json(&JobAnswer { schema: SCHEMA.to_owned(), job: board.job_now() }),
        ("process", Some(which)) => json(&board.process(which)),
        ("dump", Some(which)) => dump(board, which),
        ("mark", Some(which)) => {
            let text = rest.split_once(' ').map_or("", |(_, text)| text);
            match marks::mark(board, which, text) {
                Ok(mark) => json(&Marked { schema: SCHEMA.to_owned(), mark }),
                Err(problem) => refused(problem),
            }
        }
        _ => refused("give status, job, process PID, dump PID or mark PID TEXT"),
    }
}

/// Asks the collector as `hangscope dump` does.
fn dump(board: &Board, which: Which) -> Vec<u8> {
    let Some((pid, socket)) = board.socket_of(which) else {
        return refused("no such process runs in this job");
    };
    let mut dumps: Vec<Answer> = vec![];
    match Request::send(&socket, pid, Duration::ZERO, DUMP_WITHIN) {
        Ok(request) => {
            while let Ok(Some(answer)) = request.answer() {
                let is_last = answer.left == 0;
                dumps.push(answer);
                if is_last {
                    break;
                }
            }
        }
        Err(error) => return refused(format!("the run cannot be asked: {error}")),
    }
    if dumps.is_empty() {
        dumps.push(Answer::problem(pid, Problem::Ended));
    }
    json(&Dumped { schema: SCHEMA.to_owned(), dumps })
}

pub(super) fn refused(problem: impl std::fmt::Display) -> Vec<u8> {
    json(&Refused { schema: SCHEMA.to_owned(), problem: problem.to_string() })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut line = escape::json(value, escape::Json::compact()).unwrap_or_else(|error| {
        // Names are text and numbers are finite, so this does not happen.
        format!("{{\"schema\":\"{SCHEMA}\",\"problem\":\"{error}\"}}").into_bytes()
    });
    line.push(b'\n');
    line
}
