//! `hangscope merge`.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::actions;
use super::args::ShareArgs;
use super::history::HistoryArgs;
use crate::console::exit::Status;
use crate::console::out;
use crate::matrix::summary;
use crate::merge::{self, Found};
use crate::report::terminal;
use crate::text::message::say;
use crate::text::progress::JobLine;

/// Join the shards of a hunt or of a matrix into one folder, with one verdict over all runs.
///
/// A shard is what --shard, or a task of an array job, has left: OUT/shard_1_of_4 and so on. The verdict
/// and the reports are those of one job with all runs. Two tables (of a matrix: in summary.md and
/// report.html) show the machine, kernel, glibc and CPU of each shard, and the hangs of each machine: a
/// hang can be one machine's. Shards of other DSOs or other settings are refused, and so is the same shard
/// twice. Shards that are missing, broken off or damaged are named, and only runs that are proven count.
/// The result does not depend on the order of the shards.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope merge night --out whole                                       # night/shard_1_of_4, night/shard_2_of_4, ...\n  \
    hangscope merge a/shard_1_of_2 b/shard_2_of_2 --out whole --json\n  \
    sbatch --dependency=afterany:$JOB --wrap 'hangscope merge night --out whole'   # after an array job of Slurm\n\n\
    OUT has the files of a hunt or a matrix. A file of a run is a hard link where one can be made, else a copy. What is a \
    shard's own (shard.json, progress.log, its verdict) is in OUT/shards/shard_i_of_n.\n\n\
    Exit status: as hunt and matrix; without a hang 1 if a shard is missing or was broken off; 2 if the shards are not of one \
    job.")]
pub(crate) struct Args {
    /// A shard, or a folder of shards.
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Folder for the joined files.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    share: ShareArgs,
    /// Only one line of JSON on stdout: what is in verdict.json, with out, the folder, and notes.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    let lang = out::lang();
    let out = std::path::absolute(&args.out).with_context(|| format!("merge: {}", args.out.display()))?;
    args.share.begin(Some(&out));
    let merged = merge::merge(&args.dirs, &out, args.history.file().as_deref())?;
    if args.json
        && let Some(verdict) = merged.verdict.clone()
    {
        let notes: Vec<&str> = merged.notes.iter().map(|note| note.en()).collect();
        out::json(&verdict.in_folder(&out).with("notes", json!(notes)))?;
    }
    for note in &merged.notes {
        out::error_line(say!(JobLine::Note { note }).text(lang));
    }
    // On stderr, too: what is missing must not be lost in a pipe.
    merged.shard_lines(lang).iter().for_each(out::error_line);
    match &merged.found {
        Found::Hunt(hunt) => {
            let (facts, conclusion) = &**hunt;
            out::paragraphs(&terminal::summary(facts, conclusion, lang));
            out::line("");
            out::say(&say!(JobLine::EvidenceIn { out: out.display() }));
            actions::tell(facts, conclusion, &out, lang);
        }
        Found::Matrix(results) => {
            out::paragraphs(&(summary::headline(results, lang) + "\n"));
            out::say(&say!(JobLine::FilesIn { out: out.display() }));
        }
    }
    Ok(merged.status())
}
