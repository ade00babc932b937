//! `hangscope shrink`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::analysis::{Class, stats};
use crate::cli::{hunt, plan};
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::files::pin;
use crate::hunt::arm::Arm;
use crate::hunt::{Config, Limits, Screen};
use crate::launch::cpus::Cpus;
use crate::launch::program;
use crate::launch::{descriptors, preload, shim_path};
use crate::profile::{self, Profile};
use crate::report::shrink::ShrinkFile;
use crate::shrink::{self, Job, Settings};
use crate::text::message::Lang;

/// Make a command that hangs as small as it can be, so that the hang can be had again and again in little time.
///
/// The whole numbers among the benchmark's arguments (threads, iterations, sizes ...) are brought down by delta debugging, as
/// far as the command still hangs, with the same class, in at least the share --rate of its runs. Each step takes as many runs
/// as a sequential test needs; at the end fresh runs of the smallest command give its rate. It can be stopped at any moment
/// (Ctrl-C, kill -9) and goes on where it stood with --resume.
///
/// The evidence of a hang stays for the first hang of the original command, of the smallest, and of every other class; that of
/// the others is removed, to save the disk.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    hangscope shrink --so ./libhakozuna_hz4.so --rate 0.5 --hang-after 5s --keep 5 --min 1=2 --out small \
    -- ./bench 16 2000000 400 16 32768 90 65536\n  \
    hangscope shrink --resume small\n\n\
    Arguments are counted from 1, as $1 of a script: in the example --keep 5 is the 32768, and --min 1=2 keeps at least two \
    threads. Numbers behind an equals sign (--threads=16) are numbers, too.\n\n\
    Leaves shrink.json, shrink.md and shrink.ja.md, and shrink_runs.jsonl with a line a run.\n\n\
    Exit status: 10 it hangs, and what it was shrunk to is told (also where --max-time was over); 0 no hang was seen; 20 the \
    DSO was not intact, 30 the preload could not be verified, 2 wrong usage, 1 interrupted, or anything else.")]
pub(crate) struct Args {
    /// The allocator's DSO.
    #[arg(long, value_name = "SO", required_unless_present = "resume")]
    so: Option<PathBuf>,
    /// Short name of the allocator, part of file names [default: the profile's, else the file's stem].
    #[arg(long)]
    name: Option<String>,
    /// Share of the runs that have to hang, between 0 and 1. The original command has to reach it, too.
    #[arg(long, value_name = "RATE", default_value_t = 0.5, value_parser = plan::share)]
    rate: f64,
    /// Probability of being right in each step, and confidence of the intervals.
    #[arg(long, value_name = "SHARE", default_value_t = stats::CONFIDENCE, value_parser = confidence)]
    confidence: f64,
    /// Class of the hang that is looked for, such as lost-wakeup [default: that of the command's first hang].
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: Option<Class>,
    /// A run that is not done by then hangs; `off`: only --stall counts. Brought down as the command becomes shorter.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = preload::parse_duration_or_off)]
    hang_after: Duration,
    /// Without any progress for so long is a hang, too: most are known by it long before the deadline. `off`: only the
    /// deadline counts.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = preload::parse_duration_or_off)]
    stall: Duration,
    /// Arguments that stay as they are, by index from 1.
    #[arg(long, value_name = "I,J", value_delimiter = ',')]
    keep: Vec<usize>,
    /// The least that an argument may become [default: 1]; may be given several times.
    #[arg(long = "min", value_name = "I=N", value_parser = least)]
    least: Vec<(usize, u64)>,
    /// Fresh runs of the smallest command, for its rate.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    confirm: u32,
    /// Begin no further run when so much time is over; --resume goes on.
    #[arg(long, value_name = "TIME", value_parser = preload::parse_duration)]
    max_time: Option<Duration>,
    /// Processors for the runs, as taskset -c takes them.
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// A variable for the benchmark; may be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = hunt::variable)]
    env: Vec<(String, String)>,
    /// Folder for everything; that of a shrink with the same options goes on [default: hangscope_shrink_{name}_{time}_{pid}
    /// here].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the shrink in this folder, as it was begun.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["so", "name", "rate", "confidence", "class", "hang_after", "stall",
        "keep", "least", "confirm", "cpus", "env", "out", "profile", "verify_runs", "tick", "stir", "stir_seed", "shim", "only", "command"])]
    resume: Option<PathBuf>,
    /// A profile of one's own, in TOML (hangscope hunt --help shows its keys).
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Runs of the preload verification before the first run; 0: none.
    #[arg(long, value_name = "N", default_value_t = 3)]
    verify_runs: u32,
    /// Between two looks of the shim [default: a quarter of --hang-after or --stall, at most 1s].
    #[arg(long, value_name = "TIME", value_parser = preload::parse_duration)]
    tick: Option<Duration>,
    #[command(flatten)]
    stir: super::stir::StirArgs,
    /// The shim [default: HANGSCOPE_SHIM, else libhangscope.so beside hangscope or in ../lib].
    #[arg(long, value_name = "PATH")]
    shim: Option<PathBuf>,
    /// Watch only programs of these names (comma-separated) [default: the command's first word that is no wrapper].
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// Language of what is said at the end on the terminal; the files are in both.
    #[arg(long, default_value = "en", value_parser = hunt::language)]
    lang: Lang,
    /// Only one line of JSON on stdout, at the end: what is in shrink.json, and out, the folder; progress goes to stderr.
    #[arg(long)]
    json: bool,
    /// The benchmark and its arguments.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// A result with the folder that its file, and the evidence, are in: what `--json` prints.
#[derive(Serialize)]
struct InFolder<'a> {
    #[serde(flatten)]
    file: &'a ShrinkFile,
    out: &'a Path,
}

/// Runs it.
pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (lang, json, max_time) = (args.lang, args.json, args.max_time);
    let given_seed = args.stir.has_seed();
    if json {
        out::only_json();
    }
    descriptors::raise();
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
            let out = args.out.clone();
            let settings = settings(args)?;
            let out = out.unwrap_or_else(|| hunt::default_out(&format!("shrink_{}", settings.name)).into());
            (settings, absolute(&out)?)
        }
    };
    let (config, _sockets) = config(&settings, &folder)?;
    let catch = catch(&settings);
    let job = Job { settings, config, given_seed, max_time, catch };
    let cancel = cancel::on_signals().context("shrink: cannot take Ctrl-C")?;
    // What a run leaves behind when its first process ends becomes a child of this one, and can be reaped.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let mut screen = Screen::of_steps(&job.config.name);
    let file = shrink::shrink(&job, &mut screen, &cancel)?;
    if json {
        out::json(&InFolder { file: &file, out: &job.config.out })?;
    }
    out::line("");
    out::paragraphs(&file.summary(lang));
    out::line(format!("\nEverything is in {}", job.config.out.display()));
    Ok(shrink::status(&file))
}

/// What was asked for, checked.
fn settings(args: Args) -> anyhow::Result<Settings> {
    let so = args.so.ok_or_else(|| usage("no allocator: give its .so with --so"))?;
    let program = args.command.first().ok_or_else(|| {
        usage("no benchmark: give the command that hangs after --, as in -- ./bench 16 2000000")
    })?;
    program::find(program).map_err(usage)?;
    if args.hang_after.is_zero() && args.stall.is_zero() {
        return Err(usage("--hang-after off needs --stall: else nothing would ever count as a hang"));
    }
    let name = match args.name {
        Some(name) => name,
        None => profile(args.profile.as_deref(), &so, None)?.name,
    };
    pin::check_name(&name).map_err(usage)?;
    let unless_off = |time: Duration| (!time.is_zero()).then_some(time.as_secs_f64());
    let settings = Settings {
        schema: Settings::schema(),
        so: absolute(&so)?,
        sha1: String::new(),
        name,
        profile: args.profile.as_deref().map(absolute).transpose()?,
        dir: std::env::current_dir().context("shrink: the folder that this is run in")?,
        command: args.command,
        rate: args.rate,
        confidence: args.confidence,
        class: args.class,
        hang_after_s: unless_off(args.hang_after),
        stall_s: unless_off(args.stall),
        tick_s: args.tick.and_then(unless_off),
        stir: args.stir.stir(),
        cpus: args.cpus,
        env: args.env,
        only: args.only,
        keep: args.keep,
        least: args.least,
        confirm: args.confirm,
        verify_runs: args.verify_runs,
        shim: args.shim.as_deref().map(absolute).transpose()?,
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

/// How the runs are made; and the folder of the sockets, which goes when it is dropped.
fn config(settings: &Settings, out: &Path) -> anyhow::Result<(Config, tempfile::TempDir)> {
    let time = |seconds: Option<f64>| seconds.map(Duration::from_secs_f64);
    let cpus = settings.cpus.as_deref().map(Cpus::parse).transpose().map_err(usage)?;
    let notes = hunt::notes(cpus.as_ref());
    let sockets = hunt::own_sockets().context("shrink")?;
    let config = Config {
        so: settings.so.clone(),
        name: settings.name.clone(),
        profile: profile(settings.profile.as_deref(), &settings.so, Some(&settings.name))?,
        arms: vec![Arm::pinned()],
        seed: 0,
        other_so: None,
        runs: settings.confirm,
        limits: Limits::default(),
        hang_after: time(settings.hang_after_s),
        stall: time(settings.stall_s),
        cpus,
        keep_going: true,
        out: out.to_owned(),
        env: settings.env.clone(),
        label: None,
        stats: None,
        tick: time(settings.tick_s),
        stir: settings.stir,
        perf: None,
        shim: shim_path::find(settings.shim.as_deref()).context("shrink")?,
        only: settings.only.clone().or_else(|| program::only(&settings.command)),
        only_named: settings.only.clone(),
        verify_runs: settings.verify_runs,
        sockets: sockets.path().to_owned(),
        command: settings.command.clone(),
        notes,
    };
    Ok((config, sockets))
}

/// The hunt that catches the smallest hang again, up to its deadline: as many runs as show it at least once.
fn catch(settings: &Settings) -> Vec<String> {
    let runs = stats::plan(settings.rate, settings.confidence).unwrap_or(1).to_string();
    let so = settings.so.display().to_string();
    let mut words = ["hangscope", "hunt", "--so", &so, "--name", &settings.name, "--runs", &runs]
        .map(str::to_owned)
        .to_vec();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    let time = |seconds: Option<f64>| seconds.map(|s| preload::duration(Duration::from_secs_f64(s)));
    option("--stall", time(settings.stall_s));
    option("--stir", settings.stir.map(|stir| stir.level.to_string()));
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

/// Of a test that decides between two hypotheses with the same error on either side.
fn confidence(text: &str) -> Result<f64, String> {
    let confidence = plan::share(text)?;
    if confidence > 0.5 {
        Ok(confidence)
    } else {
        Err("give more than 0.5: as much has the toss of a coin".into())
    }
}

fn least(text: &str) -> Result<(usize, u64), String> {
    let pair = text.split_once('=').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    pair.ok_or_else(|| "give an argument's index and a number, as in 1=2".to_owned())
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("shrink: {what}")).into()
}
