//! `hangscope pin`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::console::exit::Status;
use crate::console::out;
use crate::files::pin;

/// Copy a DSO to where nobody rebuilds it, read-only, with its sha1.
///
/// The copy is OUT/{name}_{sha1, 8 digits}.so, mode 0444; OUT/{name}_so.sha1 can be checked with `sha1sum -c`. A
/// file that changes while it is copied is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hangscope pin ../hakmem/libhakozuna_hz4.so --name hz4 --out pinned")]
pub(crate) struct Args {
    /// The DSO.
    #[arg(value_name = "SO")]
    so: PathBuf,
    /// Folder for the copy; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Short name of the allocator [default: the file's stem without `lib` and version].
    #[arg(long)]
    name: Option<String>,
    /// Only one line of JSON on stdout: name, path (of the copy), source, sha1, build_id (null if it has none), size (bytes).
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    path: &'a Path,
    source: &'a Path,
    sha1: &'a str,
    build_id: Option<&'a str>,
    size: u64,
}

/// Runs it.
pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let pinned = pin::pin(&args.so, &args.out, args.name.as_deref()).context("pin")?;
    match args.json {
        true => out::json(&Answer {
            name: &pinned.name,
            path: &pinned.path,
            source: &pinned.source,
            sha1: &pinned.sha1,
            build_id: pinned.build_id(),
            size: pinned.size,
        })
        .context("pin: --json")?,
        false => out::line(pinned.path.display()),
    }
    Ok(Status::NoHang)
}
