//! `hangscope show`.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::console::exit::Status;
use crate::console::out;
use crate::report;

/// Show the result of a hunt, a session or a snap: the verdict, which thread waits for which, and the
/// stacks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hangscope show OUT\n  hangscope show OUT/hang_run_8")]
pub(crate) struct Args {
    /// OUT of a hunt, or the folder of a hang.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only one line of JSON on stdout: verdict (what is in verdict.json; null for the folder of a hang) and
    /// snapshots (for each folder what is in its threads.json; null if that cannot be read).
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::json(&report::show::bundle(&args.dir).context("show")?)?;
        return Ok(Status::NoHang);
    }
    out::text(report::show(&args.dir, out::style()).context("show")?);
    Ok(Status::NoHang)
}
