//! `hangscope hunt`.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::analysis::sequential::Until;
use crate::analysis::{Integrity, stats};
use crate::capture::{CallGraph, PerfOptions};
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::files::pin;
use crate::hunt::arm::{Arm, Treatment};
use crate::hunt::{Config, Limits, Screen, StatsLane};
use crate::launch::cpus;
use crate::launch::cpus::Cpus;
use crate::launch::program;
use crate::launch::{descriptors, preload, shim_path};
use crate::profile::{self, Profile};
use crate::report;
use crate::report::{VerdictFile, junit, terminal};
use crate::text::message::Lang;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Runs, per arm, that `--until-decided` makes at most, by those that decide if nothing hangs: for runs that die or fail, and
/// for arms whose rates are near each other.
const SPARE: u32 = 4;

/// Run a benchmark under a pinned allocator until it hangs, and say what the hang is.
///
/// The DSO is copied to where nobody rebuilds it, the preload is verified, and then the command is run again and again.
/// A run that is not done after --hang-after is captured: what every thread does (from inside, by the shim), what /proc and
/// perf say (from outside); then it is stopped. Everything is in OUT.
///
/// With several --arm it is an experiment: the same benchmark with the DSO left alone, with something that happens to its
/// file (a copy of each run's own) halfway through the run, or with another build. The arms take turns run by run, in a
/// shuffled order; all runs are made, and the arms are held against each other by Fisher's exact test.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    hangscope hunt --name hz4 --so ./libhakozuna_hz4.so --cpus 0-15 --runs 50 -- ./bench 16 2000000 400 16 32768 90 65536\n  \
    hangscope hunt --so ./libhakozuna_hz4.so --arm pinned --arm deleted --arm overwritten --arm so=old/libhakozuna_hz4.so \
    --runs 20 -- ./bench 16 2000000\n  \
    hangscope hunt --so ./libhakozuna_hz4.so --arm pinned --arm overwritten --until-decided --max-time 8h -- ./bench 16 2000000\n\n\
    A profile says what is particular to an allocator (built in: hz3, hz4, mimalloc, jemalloc, tcmalloc):\n  \
    name = \"hz4\"                          # short name\n  \
    dso = [\"hakozuna_hz4*\"]               # its files, without lib and version\n  \
    env = [\"HZ4_\", \"HAKMEM_\"]            # variables that are recorded\n  \
    ops = 'ops/s=([0-9.eE+]+)'            # where the figure is in the output\n  \
    [[counters]]                          # lines of the counter lane, by prefix into a file\n  \
    prefix = \"[HZ4_OS_STATS\"\n  \
    file = \"os_stats.log\"\n  \
    [[memory]]                            # counters in memory: read at the exit of good runs, and of a run that hangs\n  \
    symbol = \"g_hz4_mid_stats_free\"       # a variable; if it has another size than its fields, it is left alone\n  \
    fields = [\"free_calls\", \"-\"]         # its words, named as in the lines; - for one that is no counter\n  \
    type = \"u64\"                          # of a word: u64 (if not said), i64, u32, i32\n  \
    size = 120                            # bytes of the whole variable, where the fields are only its beginning\n  \
    [[ratios]]                            # quotients of counters\n  \
    name = \"locked frees\"\n  \
    of = \"free_locked\"\n  \
    to = \"free_calls\"\n\n\
    Exit status: 0 no hang, 10 a hang was captured, 20 the DSO was not intact, 30 the preload could not be verified, \
    2 wrong usage, 1 anything else.")]
pub(crate) struct Args {
    /// The allocator's DSO. For a demonstration with none of your own, run ./scripts/hunt.sh without arguments.
    #[arg(long, value_name = "SO")]
    so: Option<PathBuf>,
    /// Short name of the allocator, part of file names [default: the profile's, else the file's stem].
    #[arg(long)]
    name: Option<String>,
    /// An arm: pinned (the DSO left alone), deleted, replaced, overwritten (what happens to its file in the middle of a run),
    /// so=PATH or so=NAME:PATH (another build). May be given several times; pinned is to be among them [default: pinned].
    #[arg(long = "arm", value_name = "ARM", value_parser = Arm::parse)]
    arms: Vec<Arm>,
    /// Bytes for the arms replaced and overwritten [default: those of --so].
    #[arg(long, value_name = "SO", requires = "arms")]
    other_so: Option<PathBuf>,
    /// Seed of the order in which several arms take turns [default: a new one, printed].
    #[arg(long, value_name = "N", requires = "arms")]
    seed: Option<u64>,
    /// Most runs that are made, per arm [default: 50; with --until-decided four times what decides if nothing hangs].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Make runs until the question is decided: of one arm, whether a run hangs, or the rate of hangs is below --rate; of
    /// several, whether what happens to the DSO makes it hang, whether it hangs without that, or whether no arm hangs at
    /// --rate; of other builds, whether each hangs more or less often than the pinned one. The sequential tests keep their error
    /// rate, 1 - --confidence, though they look after every run.
    #[arg(long, conflicts_with = "keep_going")]
    until_decided: bool,
    /// Share of the runs, between 0 and 1, below which hangs are not looked for [default: 0.02: 149 runs].
    #[arg(long, value_name = "RATE", value_parser = super::plan::share, requires = "until_decided")]
    rate: Option<f64>,
    /// How sure --until-decided has to be, 0.5 to 1 [default: 0.95].
    #[arg(long, value_name = "SHARE", value_parser = confidence, requires = "until_decided")]
    confidence: Option<f64>,
    /// No run begins when the runs have taken so long; the one that goes on then is brought to its end.
    #[arg(long, value_name = "TIME", value_parser = preload::parse_duration)]
    max_time: Option<Duration>,
    /// A run that is not done by then hangs; `off`: only --stall counts.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = preload::parse_duration_or_off)]
    hang_after: Duration,
    /// Without any progress for so long is a hang, too.
    #[arg(long, value_name = "TIME", value_parser = preload::parse_duration)]
    stall: Option<Duration>,
    /// Processors for the runs, as taskset -c takes them.
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Go on after a hang, and count them. With several arms it always goes on, until all runs are made.
    #[arg(long)]
    keep_going: bool,
    /// Folder for everything [default: hangscope_{name}_{time}_{pid} here].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A variable for the benchmark; may be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Free text that goes with the runs [default: {name}_run_{number}].
    #[arg(long)]
    label: Option<String>,
    /// A profile of one's own, in TOML (--help shows its keys).
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// A build that prints its counters: run after the hunt, whether anything hung or not.
    #[arg(long, value_name = "SO")]
    stats_so: Option<PathBuf>,
    /// Runs with --stats-so.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), requires = "stats_so")]
    stats_runs: u32,
    /// Runs of the preload verification before the hunt; 0: none.
    #[arg(long, value_name = "N", default_value_t = 3)]
    verify_runs: u32,
    /// Between two looks of the shim [the shim's default: 1s].
    #[arg(long, value_name = "TIME", value_parser = preload::parse_duration)]
    tick: Option<Duration>,
    #[command(flatten)]
    stir: super::stir::StirArgs,
    /// No perf at a hang.
    #[arg(long)]
    no_perf: bool,
    /// For how long perf records.
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    perf_seconds: f64,
    /// How perf unwinds.
    #[arg(long, value_name = "HOW", default_value = "fp")]
    perf_call_graph: CallGraph,
    /// The shim [default: HANGSCOPE_SHIM, else libhangscope.so beside hangscope or in ../lib].
    #[arg(long, value_name = "PATH")]
    shim: Option<PathBuf>,
    /// Watch only programs of these names (comma-separated) [default: the command's first word that is no wrapper].
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// Folder for the runs' sockets [default: one of its own in the temporary folder].
    #[arg(long, value_name = "DIR")]
    sockets: Option<PathBuf>,
    /// Language of the headline and the short report on the terminal; the files are in both.
    #[arg(long, default_value = "en", value_parser = language)]
    lang: Lang,
    /// A JUnit report of the hunt, too: a suite an arm, a case a run.
    #[arg(long, value_name = "FILE", value_parser = in_a_folder)]
    junit: Option<PathBuf>,
    /// Only one line of JSON on stdout, at the end: what is in verdict.json, and out, the folder; progress goes to stderr.
    #[arg(long)]
    json: bool,
    /// The benchmark and its arguments.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (lang, json, junit) = (args.lang, args.json, args.junit.clone());
    if json {
        out::only_json();
    }
    descriptors::raise();
    let (config, _sockets) = config(args)?;
    let cancel = cancel::on_signals().context("hunt: cannot take Ctrl-C")?;
    // What a run leaves behind when its first process ends becomes a child of this one, and can be reaped.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let mut screen = Screen::new(&config.name, config.planned(), config.arms.len());
    let hunted = crate::hunt::hunt(&config, &mut screen, &cancel)?;
    screen.finish();
    let conclusion = hunted.report(&config.out)?;
    if json {
        out::json(
            &VerdictFile::of(&hunted.facts, &conclusion).with_counters(&hunted.lanes).in_folder(&config.out),
        )?;
    }
    out::line("");
    out::paragraphs(&terminal::summary(&hunted.facts, &conclusion, lang));
    out::text(report::counters::brief(&hunted.lanes, lang));
    out::line(format!("\nThe evidence is in {}", config.out.display()));
    super::actions::tell(&hunted.facts, &conclusion, &config.out, lang);
    if let Some(path) = junit {
        junit::write(&path, &hunted.facts, &conclusion, &config.out).context("hunt: --junit")?;
    }
    Ok(hunted.status())
}

/// What was asked for, checked; and the folder of the sockets, which goes when it is dropped.
fn config(args: Args) -> anyhow::Result<(Config, Option<tempfile::TempDir>)> {
    let Some(so) = args.so else {
        return Err(usage(
            "no allocator: give its .so with --so, or run ./scripts/hunt.sh without arguments for a demonstration",
        ));
    };
    let Some(program) = args.command.first() else {
        return Err(usage("no benchmark: give its command after --, as in -- ./bench 16 2000000"));
    };
    program::find(program).map_err(usage)?;
    let mut profile = match &args.profile {
        Some(path) => profile::load(path).map_err(usage)?,
        None => Profile::for_dso(&so, args.name.as_deref()),
    };
    if let (Some(name), true) = (&args.name, profile.from.is_none()) {
        profile.name.clone_from(name);
    }
    let name = args.name.unwrap_or_else(|| profile.name.clone());
    pin::check_name(&name).map_err(usage)?;
    if args.hang_after.is_zero() && args.stall.is_none() {
        return Err(usage("--hang-after off needs --stall: else nothing would ever count as a hang"));
    }
    let arms = if args.arms.is_empty() { vec![Arm::pinned()] } else { args.arms };
    Arm::check(&arms).map_err(usage)?;
    let takes_other =
        |arm: &Arm| matches!(arm.treatment, Treatment::Change(Integrity::Replaced | Integrity::Overwritten));
    if args.other_so.is_some() && !arms.iter().any(takes_other) {
        return Err(usage("--other-so is for --arm replaced or --arm overwritten: give one of them"));
    }
    let until = args.until_decided.then(|| until(args.rate, args.confidence)).transpose()?;
    let runs = args.runs.unwrap_or_else(|| until.map_or(50, |until| until.runs.saturating_mul(SPARE)));
    let cpus = args.cpus.as_deref().map(Cpus::parse).transpose().map_err(usage)?;
    let notes = notes(cpus.as_ref());
    let shim = shim_path::find(args.shim.as_deref()).context("hunt")?;
    let only = args.only.clone().or_else(|| program::only(&args.command));
    let (sockets, temporary) = sockets(args.sockets)?;
    let out = args.out.unwrap_or_else(|| PathBuf::from(default_out(&name)));
    let out = std::path::absolute(&out).with_context(|| format!("hunt: {}", out.display()))?;
    let config = Config {
        so,
        name,
        profile,
        arms,
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
        other_so: args.other_so,
        runs,
        limits: Limits { until, max_time: args.max_time },
        hang_after: (!args.hang_after.is_zero()).then_some(args.hang_after),
        stall: args.stall,
        cpus,
        keep_going: args.keep_going,
        out,
        env: args.env,
        label: args.label,
        stats: args.stats_so.map(|so| StatsLane { so, runs: args.stats_runs }),
        tick: args.tick,
        stir: args.stir.stir(),
        perf: (!args.no_perf).then(|| PerfOptions {
            time: Duration::from_secs_f64(args.perf_seconds),
            call_graph: args.perf_call_graph,
            ..PerfOptions::default()
        }),
        shim,
        only,
        only_named: args.only,
        verify_runs: args.verify_runs,
        sockets,
        command: args.command,
        notes,
    };
    Ok((config, temporary))
}

/// The question of `--until-decided`.
fn until(rate: Option<f64>, confidence: Option<f64>) -> anyhow::Result<Until> {
    let (rate, confidence) = (rate.unwrap_or(stats::RATE), confidence.unwrap_or(stats::CONFIDENCE));
    Until::new(rate, confidence)
        .ok_or_else(|| usage(format!("--rate {rate} needs more than {} runs; give a higher one", u32::MAX)))
}

/// What a person should know before the runs begin.
pub(super) fn notes(cpus: Option<&Cpus>) -> Vec<Text> {
    let mut notes = vec![];
    if let Some(cpus) = cpus.filter(|c| !c.missing.is_empty()) {
        let (missing, used) = (cpus::show(&cpus.missing), cpus::show(&cpus.used));
        notes.push(say!(Note::CpusMissing { missing, used }).said());
    }
    if std::env::var_os("LD_PRELOAD").is_some_and(|v| !v.is_empty()) {
        notes.push(Note::PreloadDropped {}.said());
    }
    notes
}

/// A folder of mode 0700 whose path is short enough for sockets and can be in LD_PRELOAD.
fn sockets(named: Option<PathBuf>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    /// What is added to it: `/` and the name of a socket, `a12_4294967295`.
    const NAME: usize = 15;
    if let Some(dir) = named {
        let dir = std::path::absolute(&dir).with_context(|| format!("hunt: {}", dir.display()))?;
        let len = dir.as_os_str().len() + NAME;
        if len > crate::listen::MAX_PATH {
            let most = crate::listen::MAX_PATH;
            return Err(usage(format!(
                "--sockets {}: a socket in it has a path of {len} bytes, the system takes at most {most}; give a shorter one",
                dir.display()
            )));
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.with_context(|| format!("hunt: cannot make {}", dir.display()))?;
        return Ok((dir, None));
    }
    let temporary = own_sockets().context("hunt")?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

/// Such a folder of one's own, which goes when it is dropped.
pub(super) fn own_sockets() -> anyhow::Result<tempfile::TempDir> {
    let good = |dir: &Path| dir.as_os_str().len() < 80 && preload::value([dir]).is_ok();
    let dir = std::env::temp_dir();
    let dir = if good(&dir) { dir } else { PathBuf::from("/tmp") };
    let temporary = tempfile::Builder::new().prefix("hangscope-").tempdir_in(&dir);
    temporary.with_context(|| format!("cannot make a folder in {}", dir.display()))
}

pub(super) fn default_out(name: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    format!("hangscope_{name}_{}_{}", crate::files::stamp::stamp(seconds), std::process::id())
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    match name {
        "" => Err("not NAME=VALUE".into()),
        "LD_PRELOAD" => Err("LD_PRELOAD is what the hunt sets; give the allocator with --so".into()),
        "HANGSCOPE_SOCKET" => Err("HANGSCOPE_SOCKET is what the hunt sets".into()),
        "HANGSCOPE_STIR" | "HANGSCOPE_STIR_SEED" => Err(format!("{name} is what the hunt sets; give --stir")),
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

pub(super) fn language(text: &str) -> Result<Lang, String> {
    match text {
        "en" => Ok(Lang::En),
        "ja" => Ok(Lang::Ja),
        _ => Err("en or ja".into()),
    }
}

/// A file to be written at the end: what is wrong with its folder is not to be found out after an hour.
fn in_a_folder(text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text).map_err(|e| e.to_string())?;
    match path.parent() {
        Some(dir) if dir.is_dir() && !path.is_dir() => Ok(path),
        _ => Err("give a file in a folder that is there".into()),
    }
}

/// Less than one half would be decided by a coin.
fn confidence(text: &str) -> Result<f64, String> {
    let share = super::plan::share(text)?;
    if share >= 0.5 { Ok(share) } else { Err("give a number between 0.5 and 1, such as 0.95".into()) }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    if (0.1..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("give 0.1 to 3600 seconds".into()) }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("hunt: {what}")).into()
}
