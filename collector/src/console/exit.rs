//! How the command ends: the documented statuses, and errors that carry one.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::console::signals;

/// Exit status of the command. The numbers are documented; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Status {
    /// Done; for a hunt: no hang.
    NoHang = 0,
    /// Anything that has no status of its own.
    Failed = 1,
    Usage = 2,
    /// All runs of a hunt died or failed.
    NoGoodEnd = 3,
    Hang = 10,
    DsoNotIntact = 20,
    /// The preload could not be verified.
    NotVerified = 30,
}

impl Status {
    pub(crate) const ALL: &[Status] = &[
        Status::NoHang,
        Status::Failed,
        Status::Usage,
        Status::NoGoodEnd,
        Status::Hang,
        Status::DsoNotIntact,
        Status::NotVerified,
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for `--help`.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Status::NoHang => "done; hunt, matrix, shrink, bisect: no hang",
            Status::Failed => "anything else went wrong (one line on stderr says what)",
            Status::Usage => "wrong usage",
            Status::NoGoodEnd => "hunt, matrix, bisect: no run came to a good end (all died or failed)",
            Status::Hang => "hunt, matrix, shrink, bisect: a hang was captured",
            Status::DsoNotIntact => "hunt, matrix, shrink, bisect: the DSO was not intact",
            Status::NotVerified => "verify, hunt, matrix, shrink, bisect: the preload could not be verified",
        }
    }
}

impl From<Status> for std::process::ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

/// An error that ends the command with a status of its own. Wrapped in `anyhow` context it keeps it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Ended {
    /// Status that the command ends with.
    pub(crate) status: Status,
    /// What, where, and what to do about it.
    pub(crate) message: String,
}

impl Ended {
    /// An error with this status and this line.
    pub(crate) fn new(status: Status, message: impl std::fmt::Display) -> Self {
        Ended { status, message: message.to_string() }
    }
}

/// The status that an error ends the command with: the one it carries, else [`Status::Failed`].
pub(crate) fn status_of(error: &anyhow::Error) -> Status {
    error.chain().find_map(|cause| cause.downcast_ref::<Ended>()).map_or(Status::Failed, |e| e.status)
}

/// The one line that stderr gets for an error: every cause, outermost first, without line ends.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::from("hangscope");
    for cause in error.chain() {
        let text = cause.to_string();
        // Many errors have their source in their own text.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Ends this process as a command has ended whose place it takes: with its status, or by its signal, without
/// a core of its own. Nothing is dropped.
pub(crate) fn as_the_command(ended: ExitStatus) -> ! {
    if let Some(signal) = ended.signal() {
        signals::die_by(signal);
    }
    // Signals that do not end a process end no command either.
    std::process::exit(ended.code().unwrap_or(128 + ended.signal().unwrap_or(0)))
}

/// The list of statuses for `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit status:\n");
    for status in Status::ALL {
        text.push_str(&format!("  {:>2}  {}\n", status.code(), status.meaning()));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::console::exit::*;
    use anyhow::Context as _;

    #[test]
    fn an_error_keeps_its_status_under_context() {
        let error =
            Err::<(), _>(Ended::new(Status::NotVerified, "no hello")).context("verifying\nx.so").unwrap_err();
        assert_eq!(status_of(&error), Status::NotVerified);
        assert_eq!(one_line(&error), "hangscope: verifying x.so: no hello");
        assert_eq!(status_of(&anyhow::anyhow!("other")), Status::Failed);
    }

    #[test]
    fn the_help_lists_every_status() {
        insta::assert_snapshot!(help(), @r"
        Exit status:
           0  done; hunt, matrix, shrink, bisect: no hang
           1  anything else went wrong (one line on stderr says what)
           2  wrong usage
           3  hunt, matrix, bisect: no run came to a good end (all died or failed)
          10  hunt, matrix, shrink, bisect: a hang was captured
          20  hunt, matrix, shrink, bisect: the DSO was not intact
          30  verify, hunt, matrix, shrink, bisect: the preload could not be verified
        ");
    }
}
