//! `hangscope export`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::console::exit::Status;
use crate::console::out;
use crate::files::atomic;
use crate::report::export::{self, Format};

/// Write the evidence of a hang in the format of another tool.
///
/// Without --out it goes to stdout. Each format has all that it can hold: samples are those that were taken
/// inside the process, not those of perf_hot_tid.data.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope export --format firefox-profiler OUT/hang_run_8 -o hang.json   # load it at profiler.firefox.com\n  \
    hangscope export --format speedscope OUT/hang_run_8 -o hang.speedscope.json\n  \
    hangscope export --format folded OUT/hang_run_8 | flamegraph.pl >hang.svg\n  \
    hangscope export --format dot OUT/hang_run_8 | dot -Tsvg >waits.svg\n  \
    hangscope export --format csv OUT                                        # the runs of a hunt")]
pub(crate) struct Args {
    /// A bundle (the folder of a hang), a recording.json.gz or a dump.bin; for csv and junit also OUT of a
    /// hunt.
    #[arg(value_name = "BUNDLE")]
    path: PathBuf,
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The file to write. It is replaced if it exists.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only one line of JSON on stdout: format, out (the path of the file), bytes.
    #[arg(long, requires = "out")]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    format: String,
    out: &'a Path,
    bytes: usize,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let text = export::text(&args.path, args.format).context("export")?;
    let Some(file) = &args.out else {
        out::bytes(text.as_bytes());
        return Ok(Status::NoHang);
    };
    atomic::write_text(file, &text).context("export: --out")?;
    if args.json {
        let format = clap::ValueEnum::to_possible_value(&args.format);
        let format = format.map_or_else(String::new, |value| value.get_name().to_owned());
        out::json(&Answer { format, out: file, bytes: text.len() }).context("export: --json")?;
    } else {
        out::line(file.display());
    }
    Ok(Status::NoHang)
}
