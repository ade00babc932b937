//! `hangscope bisect`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use hangscope_protocol::duration::Limit;
use serde::Serialize;

use super::args::{RunArgs, share};
use super::hunt;
use crate::analysis::bisect::Counted;
use crate::analysis::stats;
use crate::bisect::git::Repository;
use crate::bisect::settings::{DIR, FLAGS, Flag};
use crate::bisect::{self, Job, Settings};
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::files::{folder, pin};
use crate::hunt::{Config, Screen};
use crate::launch::cpus::Cpus;
use crate::launch::program;
use crate::launch::sockets::SocketDir;
use crate::launch::{descriptors, shim_path};
use crate::profile::{self, Profile};
use crate::report::bisect::BisectFile;
use crate::text::message::say;
use crate::text::progress::JobLine;

/// Find the commit, or the setting of a build, that made a program hang, if it hangs only now and then.
///
/// git bisect needs a certain answer for each commit. Here each run shifts the belief a little: a Bayesian search
/// with unknown rates of hangs before and after the change chooses the commit whose runs tell most for their
/// time, and ends when one commit has the wanted posterior. That nothing changed is one of the answers.
///
/// The commits are those from --good to --bad along the first parents: one line. A --good elsewhere is refused. A
/// merge that is found can be searched further. Each build is made in a work tree of its own (git worktree);
/// your checkout is not touched, and what is not committed takes no part. Submodules are not checked out: a
/// --build that needs them begins with `git submodule update --init`. A commit that does not build is skipped,
/// and the answer may then be a range of commits.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("so", |arg| arg.required_unless_present("resume").help("The DSO that the build makes, a path in the work tree")),
    mut_arg("stall", |arg| arg.default_value("1s").help(
        "A run in which nothing moves for this time hangs, too. Most hangs are found by it long before the deadline. `off`: \
        only --hang-after counts")),
    mut_arg("max_time", |arg| arg.help("Begin no build and no run after this time. --resume goes on")),
    mut_arg("tick", |arg| arg.help("Time between two looks of the shim [default: a quarter of --hang-after or --stall, at most 1s]")),
    mut_arg("out", |arg| arg.help(
        "Folder for all files. If it holds a search with the same options, that one goes on [default: \
        hangscope_bisect_{name}_{time}_{pid} in this folder]")),
    after_help = "Examples:\n  \
    hangscope bisect --good v1.2 --bad main --build 'make -C {dir} libhz4.so' --so libhz4.so -- ./bench 16 2000000\n  \
    hangscope bisect --flags '-DHZ4_A=0,1 -DHZ4_B=0,1' --build 'make libhz4.so EXTRA_CFLAGS=\"{flags}\"' --so libhz4.so -- ./bench 16 \
    2000000\n  \
    hangscope bisect --resume DIR\n\n\
    It writes bisect.json, report.md and report.ja.md, bisect.jsonl with one line for each build and each run, \
    builds/COMMIT/ with the DSO and build.log, hangs/COMMIT_RUN/ with the evidence of each hang, and run_N.out and run_N.err of \
    each run that did not end well.\n\n\
    A run counts only if it was proven to run that DSO. A run that crashes or fails counts neither as a hang nor as a good \
    run.\n\n\
    Exit status: 10 a hang was captured, and the report has what is most probable (also after --max-runs or --max-time); 0 no \
    hang was seen; 3 no run came to a good end or hung; 20 a DSO was not intact; 30 the preload could not be verified; 2 wrong \
    usage; 1 interrupted, or anything else.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// A commit from before the hangs, or with fewer of them.
    #[arg(long, value_name = "COMMIT", required_unless_present_any = ["resume", "flags"])]
    good: Option<String>,
    /// A commit that hangs; with --flags the commit that is built [default: HEAD].
    #[arg(long, value_name = "COMMIT")]
    bad: Option<String>,
    /// The build, a command line for sh, in the work tree. {dir} becomes the path of the work tree, {flags} the
    /// settings of the build.
    #[arg(long, value_name = "CMD", required_unless_present = "resume")]
    build: Option<String>,
    /// Search settings of one commit instead of commits: each combination of these values is a build, and the
    /// answer is the value of one setting, as in '-DHZ4_A=0,1 -DHZ4_B=0,1'.
    #[arg(long, value_name = "FLAGS", conflicts_with = "good", allow_hyphen_values = true)]
    flags: Option<String>,
    /// The repository [default: that of this folder].
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The answer has at least this posterior.
    #[arg(long, value_name = "SHARE", default_value_t = stats::CONFIDENCE, value_parser = confidence)]
    confidence: f64,
    /// Most runs that count.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    max_runs: u32,
    /// Count only hangs with the signature of the first hang of the bad commit; with --flags, of the first hang.
    /// Other hangs are reported.
    #[arg(long, conflicts_with = "signature")]
    same: bool,
    /// Count only hangs with this signature: hangs[].signature of verdict.json or bisect.json.
    #[arg(long, value_name = "ID")]
    signature: Option<String>,
    /// Go on with the search in this folder, with its own options.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["so", "name", "good", "bad", "build", "flags", "repo", "confidence",
        "max_runs", "same", "signature", "hang_after", "stall", "cpus", "env", "out", "profile", "verify_runs", "verify_args",
        "tick", "stir", "stir_seed", "stir_replay", "shim", "only", "command"])]
    resume: Option<PathBuf>,
    /// Only one line of JSON on stdout, at the end: what is in bisect.json, and out, the folder. Progress
    /// goes to stderr.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints: the result, and the folder with the evidence.
#[derive(Serialize)]
struct InFolder<'a> {
    #[serde(flatten)]
    file: &'a BisectFile,
    out: &'a Path,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (lang, json, max_time) = (out::lang(), args.json, args.run.max_time);
    if json {
        out::only_json();
    }
    descriptors::raise();
    args.run.share.begin(None);
    let (settings, folder) = match &args.resume {
        Some(dir) => {
            let settings = Settings::load(dir).map_err(usage)?;
            let settings = settings.ok_or_else(|| usage(format!("{} holds no search", dir.display())))?;
            let out = absolute(dir)?;
            let dir = &settings.dir;
            std::env::set_current_dir(dir)
                .with_context(|| format!("bisect: cannot go to {}", dir.display()))?;
            (settings, out)
        }
        None => {
            let out = args.run.out.clone();
            let settings = settings(args)?;
            let out = out.unwrap_or_else(|| hunt::default_out(&format!("bisect_{}", settings.name)).into());
            (settings, absolute(&out)?)
        }
    };
    folder::claim(&folder);
    let (config, _sockets) = config(&settings, &folder)?;
    let job = Job { settings, config, max_time };
    let cancel = cancel::on_signals().context("bisect: cannot take Ctrl-C")?;
    // Processes that a run leaves behind become children of this process, which can reap them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let mut screen = Screen::of_steps(&job.config.name);
    let file = bisect::bisect(&job, &mut screen, &cancel)?;
    if json {
        out::json(&InFolder { file: &file, out: &job.config.out })?;
    }
    out::line("");
    out::paragraphs(&file.summary(lang));
    out::line("");
    out::say(&say!(JobLine::FilesIn { out: job.config.out.display() }));
    Ok(bisect::status(&file))
}

/// Checks the arguments.
fn settings(args: Args) -> anyhow::Result<Settings> {
    let run = args.run;
    run.check_limits().map_err(usage)?;
    let so = run.so.ok_or_else(|| usage("no DSO: give its path in the work tree with --so"))?;
    if so.is_absolute() || so.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(usage(format!(
            "--so {}: give a path inside the work tree, as in libhz4.so",
            so.display()
        )));
    }
    let program = run.program.command.first();
    let program =
        program.ok_or_else(|| usage("no benchmark: give it after --, as in -- ./bench 16 2000000"))?;
    program::find(program).map_err(usage)?;
    let name = match run.name {
        Some(name) => name,
        None => profile(run.profile.as_deref(), &so, None)?.name,
    };
    pin::check_name(&name).map_err(usage)?;
    let (stir, preferred) = run.stir.plan("bisect", None)?;
    if stir.is_some_and(|plan| plan.choice.strategy().is_none()) || !preferred.is_empty() {
        return Err(usage(
            "--stir auto and --stir-replay would change the rate from run to run: give one strategy",
        ));
    }
    let build = args.build.ok_or_else(|| usage("no build: give the command with --build"))?;
    let repository = args.repo.as_deref().unwrap_or(Path::new("."));
    let repository = Repository::of(&absolute(repository)?).map_err(usage)?;
    let bad = args.bad.as_deref().unwrap_or("HEAD");
    let (commits, flags) = match (&args.flags, &args.good) {
        (Some(flags), _) => {
            if !build.contains(FLAGS) {
                return Err(usage(format!(
                    "--flags needs {FLAGS} in --build: that is where the settings go"
                )));
            }
            let flags = Flag::parse_all(flags).map_err(|e| usage(format!("--flags: {e}")))?;
            (vec![repository.commit(bad).map_err(usage)?], flags)
        }
        (None, Some(_)) if build.contains(FLAGS) => {
            return Err(usage(format!("{FLAGS} in --build needs --flags")));
        }
        (None, Some(good)) => (repository.line(good, bad).map_err(usage)?, vec![]),
        (None, None) => return Err(usage("give --good and --bad, or --flags")),
    };
    if build.contains(DIR) && build.trim() == DIR {
        return Err(usage(format!("--build is {DIR} alone: give a command")));
    }
    let seconds = |time: Duration| time.as_secs_f64();
    Ok(Settings {
        schema: Settings::schema(),
        repository: repository.path().to_owned(),
        commits,
        flags,
        build,
        so,
        name,
        profile: run.profile.as_deref().map(absolute).transpose()?,
        dir: std::env::current_dir().context("bisect: the folder that this is run in")?,
        command: run.program.command,
        confidence: args.confidence,
        max_runs: args.max_runs,
        counted: match args.signature {
            Some(id) => Counted::Signature(id),
            None if args.same => Counted::Same,
            None => Counted::All,
        },
        hang_after_s: run.hang_after.time().map(seconds),
        stall_s: run.stall.time().map(seconds),
        tick_s: run.tick.map(seconds),
        stir,
        cpus: run.program.cpus,
        env: run.program.env,
        only: run.program.only,
        verify_runs: run.verify_runs,
        verify_args: run.small.words(),
        shim: run.program.shim.path.as_deref().map(absolute).transpose()?,
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("bisect: {}", path.display()))
}

fn profile(own: Option<&Path>, so: &Path, name: Option<&str>) -> anyhow::Result<Profile> {
    match own {
        Some(path) => profile::load(path).map_err(usage),
        None => Ok(Profile::for_dso(so, name)),
    }
}

/// How the runs are made; the DSO is set for each build. The folder of the sockets is removed on drop.
fn config(settings: &Settings, out: &Path) -> anyhow::Result<(Config, SocketDir)> {
    let time = |seconds: Option<f64>| seconds.map(Duration::from_secs_f64);
    let limit = |seconds: Option<f64>| time(seconds).map_or(Limit::Off, Limit::After);
    let cpus = settings.cpus.as_deref().map(Cpus::parse).transpose().map_err(usage)?;
    let notes = hunt::notes(cpus.as_ref());
    let sockets = SocketDir::temporary().context("bisect: cannot make a folder for the sockets")?;
    let profile = profile(settings.profile.as_deref(), &settings.so, Some(&settings.name))?;
    let shim = shim_path::find_both(settings.shim.as_deref()).context("bisect")?;
    let (command, out, folder) = (settings.command.clone(), out.to_owned(), sockets.path().to_owned());
    let plain = Config::plain(settings.so.clone(), profile, command, out, shim, folder);
    let config = Config {
        name: settings.name.clone(),
        verify_args: settings.verify_args.clone().or_else(|| plain.verify_args.clone()),
        runs: settings.max_runs,
        hang_after: limit(settings.hang_after_s),
        stall: limit(settings.stall_s),
        cpus,
        env: settings.env.clone(),
        tick: time(settings.tick_s),
        stir: settings.stir,
        only: settings.only.clone(),
        verify_runs: settings.verify_runs,
        notes,
        ..plain
    };
    Ok((config, sockets))
}

/// Below one half, the answer would be less probable than all others together.
fn confidence(text: &str) -> Result<f64, String> {
    let confidence = share(text)?;
    if confidence > 0.5 { Ok(confidence) } else { Err("give more than 0.5, as in 0.95".into()) }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("bisect: {what}")).into()
}
