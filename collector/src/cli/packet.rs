//! `hangscope packet`.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use crate::console::exit::Status;
use crate::console::out;
use crate::files::atomic;
use crate::report::packet::redact::Names;
use crate::report::packet::{self, Case};

/// Write all that is known of a hang into one Markdown file, for whoever takes over.
///
/// It has the question, the verdict, the evidence as text, what was ruled out and how, what is not known, and
/// the commands that repeat it: below 60 KB, for another engineer or another AI. Without --out it goes to
/// stdout. It has paths of the allocator and of sources, and of the environment what environ.txt has.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope packet OUT/hang_run_8 --out packet.md\n  \
    hangscope packet OUT --redact --lang ja      # of a hunt: its first hang; in Japanese")]
pub(crate) struct Args {
    /// A bundle (the folder of a hang), or OUT of a hunt for its first hang.
    #[arg(value_name = "HANG")]
    path: PathBuf,
    /// The file to write. It is replaced if it exists.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write USER, HOST and ~ in place of the names of user, host and home.
    #[arg(long)]
    redact: bool,
    /// Only one line of JSON on stdout: text, and out (the path of the file, or null).
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    text: String,
    out: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let case = Case::read(&args.path).context("packet")?;
    let mut text = packet::text(&case, out::lang());
    if args.redact {
        text = Names::of(&text).redact(&text);
    }
    if let Some(file) = &args.out {
        atomic::write_text(file, &text).context("packet: --out")?;
    }
    match (&args.out, args.json) {
        (_, true) => out::json(&Answer { text, out: args.out }).context("packet: --json")?,
        (Some(file), false) => out::line(file.display()),
        (None, false) => out::bytes(text.as_bytes()),
    }
    Ok(Status::NoHang)
}
