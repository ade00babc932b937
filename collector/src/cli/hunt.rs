//! `hangscope hunt`.

use crate::exit::{Ended, Status};

/// Run a benchmark under a pinned allocator until it hangs, and say what the hang is.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> anyhow::Result<Status> {
    Err(Ended::new(Status::Failed, "hunt: this build has none").into())
}
