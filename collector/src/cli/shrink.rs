//! `hangscope shrink`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use hangscope_protocol::duration::{self, Limit};
use serde::Serialize;

use super::args::{RunArgs, share};
use super::carried::Carried;
use super::hunt;
use crate::analysis::{Class, stats};
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
use crate::report::shrink::ShrinkFile;
use crate::shrink::{self, Job, Settings};
use crate::text::message::say;
use crate::text::progress::JobLine;

/// Make a command that hangs as small as possible, so that the hang comes often and soon.
///
/// Delta debugging makes the whole numbers among the benchmark's arguments (threads, iterations, sizes ...)
/// smaller, as long as at least --rate of the runs still hang, with the same class. A sequential test decides
/// how many runs a step takes. At the end fresh runs of the smallest command give its rate. It may be stopped
/// at any moment (Ctrl-C, kill -9); --resume goes on from there.
///
/// The evidence of a hang is kept for the first hang of the original command, of the smallest command, and of
/// every other class. The rest is removed, to save disk space.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("so", |arg| arg.required_unless_present("resume").help("The allocator's DSO")),
    mut_arg("stall", |arg| arg.default_value("1s").help(
        "A run in which nothing moves for this time hangs, too. Most hangs are found by it long before the deadline. `off`: \
        only --hang-after counts")),
    mut_arg("hang_after", |arg| arg.help(
        "A run that takes longer hangs. `off`: only --stall counts. The deadline sinks as the command gets shorter")),
    mut_arg("max_time", |arg| arg.help("Begin no run after this time. --resume goes on")),
    mut_arg("tick", |arg| arg.help("Time between two looks of the shim [default: a quarter of --hang-after or --stall, at most 1s]")),
    mut_arg("out", |arg| arg.help(
        "Folder for all files. If it holds a shrink with the same options, that one goes on [default: \
        hangscope_shrink_{name}_{time}_{pid} in this folder]")),
    after_help = "Examples:\n  \
    hangscope shrink --so ./libhakozuna_hz4.so --rate 0.5 --hang-after 5s --keep 5 --min 1=2 --out small \
    -- ./bench 16 2000000 400 16 32768 90 65536\n  \
    hangscope shrink --resume small\n\n\
    Arguments are counted from 1, like $1 of a script. In the example --keep 5 is the 32768, and --min 1=2 keeps at least \
    two threads. A number after an equals sign (--threads=16) is a number, too.\n\n\
    It writes shrink.json, shrink.md and shrink.ja.md, and shrink_runs.jsonl with one line for each run.\n\n\
    Exit status: 10 it hangs, and the report has the smallest command (also after --max-time); 0 no hang was seen; 20 the \
    DSO was not intact; 30 the preload could not be verified; 2 wrong usage; 1 interrupted, or anything else.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Share of the runs that must hang: 0.5, 50% or 1/2. The original command must reach it, too.
    #[arg(long, value_name = "RATE", default_value_t = 0.5, value_parser = share)]
    rate: f64,
    /// Probability that a step decides right, and confidence of the intervals.
    #[arg(long, value_name = "SHARE", default_value_t = stats::CONFIDENCE, value_parser = confidence)]
    confidence: f64,
    /// Class of the hang to look for, such as lost-wakeup [default: the class of the command's first hang].
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: Option<Class>,
    /// Arguments that stay as they are, by index from 1.
    #[arg(long, value_name = "I,J", value_delimiter = ',')]
    keep: Vec<usize>,
    /// Smallest value of an argument [default: 1]. May be given several times.
    #[arg(long = "min", value_name = "I=N", value_parser = least)]
    least: Vec<(usize, u64)>,
    /// Fresh runs of the smallest command, for its rate.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    confirm: u32,
    /// Go on with the shrink in this folder, with its own options.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["so", "name", "rate", "confidence", "class", "hang_after", "stall",
        "keep", "least", "confirm", "cpus", "env", "out", "profile", "verify_runs", "verify_args", "tick", "stir", "stir_seed", "stir_replay", "shim", "only", "command"])]
    resume: Option<PathBuf>,
    /// Only one line of JSON on stdout, at the end: what is in shrink.json, and out, the folder. Progress
    /// goes to stderr.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints: the result, and the folder with the evidence.
#[derive(Serialize)]
struct InFolder<'a> {
    #[serde(flatten)]
    file: &'a ShrinkFile,
    out: &'a Path,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (lang, json, max_time) = (out::lang(), args.json, args.run.max_time);
    let given_seed = args.run.stir.has_seed();
    if json {
        out::only_json();
    }
    descriptors::raise();
    args.run.share.begin(None);
    let (settings, folder) = match &args.resume {
        Some(dir) => {
            let settings = Settings::load(dir).map_err(usage)?;
            let settings = settings.ok_or_else(|| usage(format!("{} holds no shrink", dir.display())))?;
            let out = absolute(dir)?;
            let dir = &settings.dir;
            std::env::set_current_dir(dir)
                .with_context(|| format!("shrink: cannot go to {}", dir.display()))?;
            (settings, out)
        }
        None => {
            let out = args.run.out.clone();
            let settings = settings(args)?;
            let out = out.unwrap_or_else(|| hunt::default_out(&format!("shrink_{}", settings.name)).into());
            (settings, absolute(&out)?)
        }
    };
    folder::claim(&folder);
    let (config, _sockets) = config(&settings, &folder)?;
    let catch = catch(&settings);
    let job = Job { settings, config, given_seed, max_time, catch };
    let cancel = cancel::on_signals().context("shrink: cannot take Ctrl-C")?;
    // Processes that a run leaves behind become children of this process, which can reap them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let mut screen = Screen::of_steps(&job.config.name);
    let file = shrink::shrink(&job, &mut screen, &cancel)?;
    if json {
        out::json(&InFolder { file: &file, out: &job.config.out })?;
    }
    out::line("");
    out::paragraphs(&file.summary(lang));
    out::line("");
    out::say(&say!(JobLine::FilesIn { out: job.config.out.display() }));
    Ok(shrink::status(&file))
}

/// Checks the arguments.
fn settings(args: Args) -> anyhow::Result<Settings> {
    let run = args.run;
    run.check_limits().map_err(usage)?;
    let so = run.so.ok_or_else(|| usage("no allocator: give its .so with --so"))?;
    let carried = Carried::by(&so, "shrink")?;
    carried.iter().for_each(|carried| out::say(&carried.line()));
    let (so, name) = match carried {
        Some(carried) => (carried.allocator, run.name.or(carried.name)),
        None => (so, run.name),
    };
    let program = run.program.command.first().ok_or_else(|| {
        usage("no benchmark: give the command that hangs after --, as in -- ./bench 16 2000000")
    })?;
    program::find(program).map_err(usage)?;
    let name = match name {
        Some(name) => name,
        None => profile(run.profile.as_deref(), &so, None)?.name,
    };
    pin::check_name(&name).map_err(usage)?;
    let (stir, preferred_sites) = run.stir.plan("shrink", None)?;
    let seconds = |time: Duration| time.as_secs_f64();
    let settings = Settings {
        schema: Settings::schema(),
        so: absolute(&so)?,
        sha1: String::new(),
        name,
        profile: run.profile.as_deref().map(absolute).transpose()?,
        dir: std::env::current_dir().context("shrink: the folder that this is run in")?,
        command: run.program.command,
        rate: args.rate,
        confidence: args.confidence,
        class: args.class,
        hang_after_s: run.hang_after.time().map(seconds),
        stall_s: run.stall.time().map(seconds),
        tick_s: run.tick.map(seconds),
        stir,
        preferred_sites,
        cpus: run.program.cpus,
        env: run.program.env,
        only: run.program.only,
        keep: args.keep,
        least: args.least,
        confirm: args.confirm,
        verify_runs: run.verify_runs,
        verify_args: run.small.words(),
        shim: run.program.shim.path.as_deref().map(absolute).transpose()?,
    };
    settings.shape().map_err(usage)?;
    Ok(settings)
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("shrink: {}", path.display()))
}

fn profile(own: Option<&Path>, so: &Path, name: Option<&str>) -> anyhow::Result<Profile> {
    match own {
        Some(path) => profile::load(path).map_err(usage),
        None => Ok(Profile::for_dso(so, name)),
    }
}

/// How the runs are made. The folder of the sockets is removed on drop.
fn config(settings: &Settings, out: &Path) -> anyhow::Result<(Config, SocketDir)> {
    let time = |seconds: Option<f64>| seconds.map(Duration::from_secs_f64);
    let limit = |seconds: Option<f64>| time(seconds).map_or(Limit::Off, Limit::After);
    let cpus = settings.cpus.as_deref().map(Cpus::parse).transpose().map_err(usage)?;
    let notes = hunt::notes(cpus.as_ref());
    let sockets = SocketDir::temporary().context("shrink: cannot make a folder for the sockets")?;
    let profile = profile(settings.profile.as_deref(), &settings.so, Some(&settings.name))?;
    let shim = shim_path::find_both(settings.shim.as_deref()).context("shrink")?;
    let (command, out, folder) = (settings.command.clone(), out.to_owned(), sockets.path().to_owned());
    let plain = Config::plain(settings.so.clone(), profile, command, out, shim, folder);
    let config = Config {
        name: settings.name.clone(),
        verify_args: settings.verify_args.clone().or_else(|| plain.verify_args.clone()),
        runs: settings.confirm,
        hang_after: limit(settings.hang_after_s),
        stall: limit(settings.stall_s),
        cpus,
        env: settings.env.clone(),
        tick: time(settings.tick_s),
        stir: settings.stir,
        preferred_sites: settings.preferred_sites.clone(),
        only: settings.only.clone(),
        verify_runs: settings.verify_runs,
        notes,
        ..plain
    };
    Ok((config, sockets))
}

/// The words of a hunt that catches the smallest hang again, without its deadline and its command. It makes
/// as many runs as show the hang at least once, with the shrink's confidence.
fn catch(settings: &Settings) -> Vec<String> {
    let runs = stats::plan(settings.rate, settings.confidence).unwrap_or(1).to_string();
    let so = settings.so.display().to_string();
    let mut words = ["hangscope", "hunt", "--so", &so, "--name", &settings.name, "--runs", &runs]
        .map(str::to_owned)
        .to_vec();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    let time = |seconds: Option<f64>| seconds.map(|s| duration::Text(Duration::from_secs_f64(s)).to_string());
    option("--stall", time(settings.stall_s));
    // What `auto` chooses follows at the end.
    option("--stir", settings.stir.and_then(|plan| Some(plan.choice.strategy()?.to_string())));
    option("--cpus", settings.cpus.clone());
    option("--only", settings.only.clone());
    option("--profile", settings.profile.as_ref().map(|path| path.display().to_string()));
    for (name, value) in &settings.env {
        option("--env", Some(format!("{name}={value}")));
    }
    words
}

fn class(text: &str) -> Result<Class, String> {
    let classes = || Class::ALL.iter().filter(|class| !matches!(class, Class::Slow | Class::Unknown));
    classes().find(|class| class.as_str() == text).copied().ok_or_else(|| {
        let words: Vec<&str> = classes().map(|class| class.as_str()).collect();
        format!("give one of {}", words.join(", "))
    })
}

/// Of a test between two hypotheses that has the same error on both sides.
fn confidence(text: &str) -> Result<f64, String> {
    let confidence = share(text)?;
    if confidence > 0.5 {
        Ok(confidence)
    } else {
        Err("give more than 0.5: a coin is right as often as that".into())
    }
}

fn least(text: &str) -> Result<(usize, u64), String> {
    let pair = text.split_once('=').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    pair.ok_or_else(|| "give an argument's index and a number, as in 1=2".to_owned())
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("shrink: {what}")).into()
}
