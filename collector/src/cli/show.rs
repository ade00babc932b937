//! `hangscope show`.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::console::exit::Status;
use crate::console::{out, pager};
use crate::report::{self, Stacks};

/// Show what was captured: the verdict, and which thread waits for which.
///
/// They stand first, and again last. Between them is the evidence, and the stack of the culprit. Hangs that
/// are the same hang again are shown once. On a terminal the text goes through $PAGER (or less).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope show OUT                           # of a hunt, a snap or a shrink\n  \
    hangscope show night                         # all sessions of hangscope collect --out night\n  \
    hangscope show OUT/hang_run_8 --stacks       # one hang, with the stacks of all threads\n  \
    hangscope show recording.json.gz             # somebody else's")]
pub(crate) struct Args {
    /// OUT of a hunt, a collect, a shrink or a snap; the folder of a session or of a hang; a recording.json.gz
    /// or a dump.bin.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Show the stacks of all threads, equal ones together.
    #[arg(long)]
    stacks: bool,
    /// Only one line of JSON on stdout: verdict (what is in verdict.json; null where there is none) and
    /// snapshots (for each folder what is in its threads.json; null if that cannot be read).
    #[arg(long, conflicts_with = "stacks")]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::json(&report::show::bundle(&args.path).context("show")?)?;
        return Ok(Status::NoHang);
    }
    let which = if args.stacks { Stacks::All } else { Stacks::Telling };
    pager::page(&report::show(&args.path, out::style(), which).context("show")?);
    Ok(Status::NoHang)
}
