//! Debug files from a debuginfod server, by the standard client `debuginfod-find`, which keeps what it got.
//!
//! A server is on a network, and may not answer. So it is asked only when a dump is analysed after the fact,
//! never in a capture, and with a limit for one file and one for all.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::proc::{ending, pidfd};

/// Names of the servers, for the client.
const URLS: &str = "DEBUGINFOD_URLS";
/// The client gives up where a server sends nothing for so long, seconds.
const TIMEOUT: (&str, &str) = ("DEBUGINFOD_TIMEOUT", "5");
/// The client gives up after so long, seconds.
const MAX_TIME: (&str, &str) = ("DEBUGINFOD_MAXTIME", "7");
const CLIENT: &str = "debuginfod-find";

/// Servers that may be asked. All copies share one limit.
#[derive(Clone, Debug)]
pub struct Debuginfod(Arc<Mutex<Left>>);

#[derive(Debug)]
struct Left {
    /// Limit for one file.
    each: Duration,
    /// What is left of the limit for all files.
    all: Duration,
    /// Nothing more is asked.
    closed: bool,
}

impl Debuginfod {
    /// The servers of the environment; none if it names none.
    pub fn from_environment() -> Option<Debuginfod> {
        let urls = std::env::var_os(URLS)?;
        (!urls.to_string_lossy().trim().is_empty())
            .then(|| Debuginfod::within(Duration::from_secs(8), Duration::from_secs(16)))
    }

    /// With a limit for each file, and one for all files together.
    fn within(each: Duration, all: Duration) -> Debuginfod {
        Debuginfod(Arc::new(Mutex::new(Left { each, all, closed: false })))
    }

    /// Asks for the debug file of a build. None if no server has it, or if nothing more is asked.
    ///
    /// # Errors
    /// Why nobody could be asked: said once.
    pub(super) fn find(&self, build_id: &[u8]) -> Result<Option<PathBuf>, String> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.closed || build_id.is_empty() {
            return Ok(None);
        }
        let (begun, limit) = (Instant::now(), left.each.min(left.all));
        let asked = ask(&hex::encode(build_id), limit);
        left.all = left.all.saturating_sub(begun.elapsed());
        left.closed = asked.is_err() || left.all.is_zero();
        asked.map_err(|failed| match failed {
            Failed::NotFound => {
                format!("{CLIENT} is not installed (Debian package debuginfod), so {URLS} is not asked")
            }
            Failed::TooLong => format!(
                "no answer of {URLS} within {:.0} s, and no further file is asked for",
                limit.as_secs_f64()
            ),
            Failed::Io(error) => format!("{CLIENT}: {error}"),
        })
    }
}

enum Failed {
    NotFound,
    TooLong,
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        if error.kind() == io::ErrorKind::NotFound { Failed::NotFound } else { Failed::Io(error) }
    }
}

/// Runs the client. It prints a path, or ends with an error if no server has the file.
fn ask(build_id: &str, limit: Duration) -> Result<Option<PathBuf>, Failed> {
    let mut answer = tempfile::tempfile()?;
    let mut client = Command::new(CLIENT);
    client.args(["debuginfo", build_id]).stdin(Stdio::null()).stderr(Stdio::null());
    client.stdout(answer.try_clone()?).process_group(0);
    for (name, value) in [TIMEOUT, MAX_TIME] {
        if std::env::var_os(name).is_none() {
            client.env(name, value);
        }
    }
    let mut child = client.spawn()?;
    let ended = pidfd::open(child.id()).is_ok_and(|handle| ending::within(&handle, limit));
    if !ended {
        let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
    }
    let status = child.wait()?;
    if !ended {
        return Err(Failed::TooLong);
    }
    Ok(if status.success() { path_in(&mut answer)? } else { None })
}

fn path_in(answer: &mut File) -> io::Result<Option<PathBuf>> {
    let mut text = String::new();
    answer.rewind()?;
    answer.take(4096).read_to_string(&mut text)?;
    let path = text.trim_end_matches('\n');
    Ok((!path.is_empty()).then(|| PathBuf::from(path)))
}
