//! `hangscope pin`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::carried::Carried;
use crate::console::exit::Status;
use crate::console::out;
use crate::files::pin;

/// Copy a DSO, read-only and with its SHA-1, to a place where nobody rebuilds it.
///
/// The copy is OUT/{name}_{8 digits of the SHA-1}.so, with mode 0444. `sha1sum -c` can check
/// OUT/{name}_so.sha1. A file that changes during the copy is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hangscope pin ../hakmem/libhakozuna_hz4.so --name hz4 --out pinned")]
pub(crate) struct Args {
    /// The DSO. Of a carrier (`hangscope wrap`) the allocator in it is pinned.
    #[arg(value_name = "SO")]
    so: PathBuf,
    /// Folder for the copy. It is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Short name of the allocator [default: the file's name without `lib` and version].
    #[arg(long)]
    name: Option<String>,
    /// Only one line of JSON on stdout: name, path (of the copy), source, sha1, build_id (null if it has
    /// none), size (bytes).
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

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let carried = Carried::by(&args.so, "pin")?;
    carried.iter().for_each(|carried| out::error_line(carried.line().text(out::lang())));
    let so = carried.as_ref().map_or(&args.so, |carried| &carried.allocator);
    let name = args.name.as_deref().or_else(|| carried.as_ref()?.name.as_deref());
    let pinned = pin::pin(so, &args.out, name).context("pin")?;
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
