//! What follows a hang: of a hunt and of a matrix.

use serde::Deserialize;

/// What follows a hang, once it is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnHang {
    /// The next run.
    Next,
    /// One run more of the same kind, under a number of its own; then the next. Only in a matrix: all runs of
    /// an arm of a hunt are of one kind.
    Retry,
    /// Nothing: no further run is made.
    Stop,
    /// No further run is made, and the process is left alive for a debugger. It goes on after this command
    /// has ended.
    Keep,
}

impl OnHang {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            OnHang::Next => "next",
            OnHang::Retry => "retry",
            OnHang::Stop => "stop",
            OnHang::Keep => "keep",
        }
    }

    /// Whether the hang ends the job.
    pub(crate) fn stops(self) -> bool {
        matches!(self, OnHang::Stop | OnHang::Keep)
    }
}
