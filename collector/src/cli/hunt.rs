//! `hangscope hunt`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use super::args::{CoreArgs, MetricsArgs, RunArgs, ShardArgs, share};
use super::carried::Carried;
use super::history::HistoryArgs;
use super::times;
use crate::analysis::sequential::Until;
use crate::analysis::{Integrity, conclude, stats};
use crate::capture::{CallGraph, PerfOptions};
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::console::usr1::Requests;
use crate::files::pin;
use crate::history::{JobRow, Remember};
use crate::hunt::arm::{Arm, Treatment};
use crate::hunt::{Config, Limits, OnHang, Screen, StatsLane};
use crate::launch::cpu_sets::CpuSets;
use crate::launch::cpus::{self, Cpus};
use crate::launch::descriptors;
use crate::launch::program;
use crate::launch::sockets::{BadSocketDir, SocketDir};
use crate::live::model::Kind;
use crate::profile::{self, Profile};
use crate::report::{self, VerdictFile, junit, terminal};
use crate::shard::{Own, settings};
use crate::symbolize::KeptNames;
use crate::text::message::{Lang, Say as _, Text, say};
use crate::text::note::Note;
use crate::text::progress::JobLine;

/// `--until-decided` makes at most this many times the runs that decide if nothing hangs. Runs may die or
/// fail, and two arms may hang at nearly the same rate.
const SPARE: u32 = 4;

/// Run a benchmark under a pinned allocator until it hangs, and say why it hangs.
///
/// hangscope copies the DSO to a place where nobody rebuilds it, verifies the preload, and then runs the
/// command again and again. It captures a run that takes longer than --hang-after: what every thread does
/// (from inside, by the shim), and what /proc and perf show (from outside). Then it stops the run. All files
/// are in OUT.
///
/// With several --arm this is an experiment. An arm is the same benchmark with the pinned DSO, with something
/// that happens to the DSO's file in the middle of the run (each run has its own copy), or with another
/// build. The arms take turns in a shuffled order. All runs are made, and Fisher's exact test compares the
/// arms.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope hunt --name hz4 --so ./libhakozuna_hz4.so --cpus 0-15 --runs 50 -- ./bench 16 2000000 400 16 32768 90 65536\n  \
    hangscope hunt --so ./libhakozuna_hz4.so --arm pinned --arm deleted --arm overwritten --arm so=old/libhakozuna_hz4.so \
    --runs 20 -- ./bench 16 2000000\n  \
    hangscope hunt --so ./libhakozuna_hz4.so --runs 2000 --jobs 8 --cpus 0-63 -- ./bench 8 2000000   # a rare hang: 8 at a time, 8 CPUs each\n  \
    hangscope hunt --so ./libhakozuna_hz4.so --arm pinned --arm overwritten --until-decided --max-time 8h -- ./bench 16 2000000\n  \
    hangscope hunt --so ./libhakozuna_hz4.so --runs 400 --shard 3/4 --out night -- ./bench 16 2000000   # then: hangscope merge night --out whole\n\n\
    A profile describes an allocator (built in: hz3, hz4, mimalloc, jemalloc, tcmalloc):\n  \
    name = \"hz4\"                          # short name\n  \
    dso = [\"hakozuna_hz4*\"]               # names of its files, without lib and version\n  \
    env = [\"HZ4_\", \"HAKMEM_\"]            # variables to record\n  \
    ops = 'ops/s=([0-9.eE+]+)'            # finds the figure in the output\n  \
    verify_args = [\"2\", \"1000\"]         # arguments of a small run, for the verification (--verify-args)\n  \
    [[counters]]                          # lines of the counter lane, by prefix into a file\n  \
    prefix = \"[HZ4_OS_STATS\"\n  \
    file = \"os_stats.log\"\n  \
    [[memory]]                            # counters in memory: read when a good run exits, and when a run hangs\n  \
    symbol = \"g_hz4_mid_stats_free\"       # a variable; not read if its size is not that of the fields\n  \
    fields = [\"free_calls\", \"-\"]         # its words, named as in the lines; - for a word that is no counter\n  \
    type = \"u64\"                          # type of a word: u64 (the default), i64, u32, i32\n  \
    size = 120                            # bytes of the whole variable, if the fields are only its beginning\n  \
    [[ratios]]                            # quotients of counters\n  \
    name = \"locked frees\"\n  \
    of = \"free_locked\"\n  \
    to = \"free_calls\"\n  \
    [[list]]                              # lists of free blocks that end: one that is a ring gets the name of its head\n  \
    head = \"g_bins\"                     # a variable: one pointer, or an array of heads\n  \
    stride = 64                           # bytes from head to head; without it there is one head\n  \
    count = 32                            # heads; without it as many as the variable has room for\n  \
    offset = 8                            # bytes from the beginning of an element to its head: 0 without it\n  \
    next = 0                              # bytes from the beginning of a block to its next pointer: 0 without it\n  \
    sizes = [16, 32]                      # size of the blocks of each head; the last one holds for the rest\n\n\
    Exit status: 0 no hang, 10 a hang was captured, 20 the DSO was not intact, 30 the preload could not be verified, \
    3 no run came to a good end (all died or failed), 2 wrong usage, 1 anything else.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// An arm: pinned (the DSO is left alone); deleted, replaced or overwritten (what happens to its file in
    /// the middle of a run); so=PATH or so=NAME:PATH (another build). May be given several times; one must be
    /// pinned [default: pinned].
    #[arg(long = "arm", value_name = "ARM", value_parser = Arm::parse)]
    arms: Vec<Arm>,
    /// The file that the arms replaced and overwritten put in the DSO's place [default: the same bytes as
    /// --so].
    #[arg(long, value_name = "SO", requires = "arms")]
    other_so: Option<PathBuf>,
    /// Seed of the order in which several arms take turns [default: a new one, printed].
    #[arg(long, value_name = "N", requires = "arms")]
    seed: Option<u64>,
    /// Most runs of an arm [default: 50; with --until-decided four times the runs that decide if nothing
    /// hangs].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Make runs until the question is decided. With one arm: does a run hang, or is the rate of hangs below
    /// --rate? With several: does the change of the DSO make it hang, does it hang without the change, or
    /// does no arm hang at --rate? With other builds: does each hang more or less often than the pinned one?
    /// These are sequential tests: they look after every run, and their error rate is still 1 - --confidence.
    #[arg(long, conflicts_with = "keep_going")]
    until_decided: bool,
    /// Smallest rate of hangs to look for: 0.02, 2% or 1/50 [default: 2%: 149 runs].
    #[arg(long, value_name = "RATE", value_parser = share, requires = "until_decided")]
    rate: Option<f64>,
    /// Confidence of --until-decided, 0.5 to 1 [default: 0.95].
    #[arg(long, value_name = "SHARE", value_parser = confidence, requires = "until_decided")]
    confidence: Option<f64>,
    /// Runs at a time. The CPUs (--cpus, else all) are cut into so many disjoint sets of equal size, whole
    /// cores, and each run is pinned to one of them. A rare hang is found sooner, but ops/s of such runs are
    /// no figures: they share caches, memory bandwidth and turbo. They also need so many times the memory.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// What follows a hang: stop makes no further run; next goes on, and counts the hangs; keep makes no
    /// further run and leaves the process alive for a debugger (its pid and the command are printed). With
    /// several arms hangscope always makes all runs [default: stop; with several arms next].
    #[arg(long, value_name = "WHAT", conflicts_with = "keep_going")]
    on_hang: Option<OnHang>,
    /// The same as --on-hang next.
    #[arg(long)]
    keep_going: bool,
    /// Free text that goes with the runs [default: {name}_run_{number}].
    #[arg(long)]
    label: Option<String>,
    /// A build that prints its counters. It runs after the hunt, whether anything hung or not.
    #[arg(long, value_name = "SO")]
    stats_so: Option<PathBuf>,
    /// Runs with --stats-so.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), requires = "stats_so")]
    stats_runs: u32,
    /// Keep all of every stack in dump.bin, however large it is. Otherwise a bundle has at most 2 MB.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    core: CoreArgs,
    #[command(flatten)]
    history: HistoryArgs,
    /// Do not run perf at a hang.
    #[arg(long)]
    no_perf: bool,
    /// How long perf records, 100ms to 1h.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = perf_time)]
    perf_seconds: Duration,
    /// How perf unwinds the stacks.
    #[arg(long, value_name = "HOW", default_value = "fp")]
    perf_call_graph: CallGraph,
    /// Folder for the sockets of the runs [default: a new one in the temporary folder].
    #[arg(long, value_name = "DIR")]
    sockets: Option<PathBuf>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Write a JUnit report, too: a suite for each arm, a case for each run.
    #[arg(long, value_name = "FILE", value_parser = in_a_folder)]
    junit: Option<PathBuf>,
    /// Only one line of JSON on stdout, at the end: what is in verdict.json, and out, the folder. Progress
    /// goes to stderr.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let (lang, json, junit, history) = (out::lang(), args.json, args.junit.clone(), args.history.clone());
    let ending = args.shard.ending();
    let metrics = args.metrics.address();
    if json {
        out::only_json();
    }
    descriptors::raise();
    let (mut config, _sockets) = config(args)?;
    let cancel = cancel::on_signals().context("hunt: cannot take Ctrl-C")?;
    // Processes that a run leaves behind become children of this process, which can reap them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let requests = Requests::on_usr1().context("hunt: cannot take USR1")?;
    let screen = Screen::new(&config.name, config.planned(), config.arms.len(), config.stops_at_first());
    let screen = if config.part.is_some() { screen.of_whole(config.runs) } else { screen };
    let mut screen = screen.side_by_side(config.side_by_side.len());
    let job = (Kind::Hunt, &*config.name, &*config.out);
    screen.show_to_all(job, metrics).context("hunt: --metrics")?;
    let recorder = history.begin(
        JobRow::now("hunt", &config.name, &config.out),
        config.part.is_some().then_some(&*config.out),
    )?;
    config.remember = recorder.remember();
    let mut hunted = crate::hunt::hunt(&config, &screen, &cancel, &requests)?;
    screen.finish();
    // Before the history is asked, which another process may hold.
    let mut reported = hunted.report(&config.out);
    let written = recorder.end();
    let earlier = written.earlier();
    if !earlier.is_empty() {
        hunted.notes.extend(earlier.iter().cloned());
        reported = hunted.report(&config.out);
    }
    let (conclusion, unwritten) = match reported {
        Ok(conclusion) => (conclusion, None),
        // What was found is said all the same.
        Err(error) => (conclude(&hunted.facts), Some(error)),
    };
    let notes = written.close(Some(conclusion.verdict.as_str()), Some(&conclusion.headline(Lang::En)));
    if json {
        out::json(
            &VerdictFile::of(&hunted.facts, &conclusion).with_counters(&hunted.lanes).in_folder(&config.out),
        )?;
    }
    out::line("");
    out::paragraphs(&terminal::summary(&hunted.facts, &conclusion, lang));
    out::text(report::counters::brief(&hunted.lanes, lang));
    super::history::tell(&earlier, &notes);
    out::line("");
    out::say(&say!(JobLine::EvidenceIn { out: config.out.display() }));
    super::actions::tell(&hunted.facts, &conclusion, &config.out, lang);
    if let Some(path) = junit {
        junit::write(&path, &hunted.facts, &conclusion, &config.out).context("hunt: --junit")?;
    }
    match unwritten {
        Some(error) => Err(error.into()),
        None => Ok(ending.of(hunted.status(), hunted.facts.interrupted)),
    }
}

/// Checks the arguments. The folder of the sockets is removed on drop.
fn config(args: Args) -> anyhow::Result<(Config, SocketDir)> {
    let Args { mut run, .. } = args;
    let Some(mut so) = run.so.clone() else {
        return Err(usage(
            "no allocator: give its .so with --so, or run ./scripts/hunt.sh without arguments for a demonstration",
        ));
    };
    let carried = Carried::by(&so, "hunt")?;
    if let Some(carried) = &carried {
        so.clone_from(&carried.allocator);
        run.name = run.name.or_else(|| carried.name.clone());
    }
    let Some(program) = run.program.command.first() else {
        return Err(usage("no benchmark: give its command after --, as in -- ./bench 16 2000000"));
    };
    program::find(program).map_err(usage)?;
    let mut profile = match &run.profile {
        Some(path) => profile::load(path).map_err(usage)?,
        None => Profile::for_dso(&so, run.name.as_deref()),
    };
    if let (Some(name), true) = (&run.name, profile.from.is_none()) {
        profile.name.clone_from(name);
    }
    let name = run.name.clone().unwrap_or_else(|| profile.name.clone());
    pin::check_name(&name).map_err(usage)?;
    run.check_limits().map_err(usage)?;
    let arms = if args.arms.is_empty() { vec![Arm::pinned()] } else { args.arms };
    Arm::check(&arms).map_err(usage)?;
    let takes_other =
        |arm: &Arm| matches!(arm.treatment, Treatment::Change(Integrity::Replaced | Integrity::Overwritten));
    if args.other_so.is_some() && !arms.iter().any(takes_other) {
        return Err(usage("--other-so is for --arm replaced or --arm overwritten: give one of them"));
    }
    let asked = args.on_hang.or(args.keep_going.then_some(OnHang::Next));
    let on_hang = on_hang(asked, arms.len() > 1, args.until_decided).map_err(usage)?;
    let until = args.until_decided.then(|| until(args.rate, args.confidence)).transpose()?;
    let runs = args.runs.unwrap_or_else(|| until.map_or(50, |until| until.runs.saturating_mul(SPARE)));
    let own = args.shard.own("hunt")?;
    check_shard(own.as_ref(), runs, args.until_decided, run.out.is_some()).map_err(usage)?;
    let cpus = run.program.cpus.as_deref().map(Cpus::parse).transpose().map_err(usage)?;
    let mut notes = notes(cpus.as_ref());
    let side_by_side = side_by_side(args.jobs, cpus.as_ref(), &mut notes)?;
    notes.extend(carried.iter().map(|carried| carried.line().said()));
    let shim = run.program.shim.find().context("hunt")?;
    let sockets = match args.sockets {
        Some(dir) => sockets(&dir)?,
        None => SocketDir::temporary().context("hunt: cannot make a folder for the sockets")?,
    };
    let out = run.out.clone().unwrap_or_else(|| PathBuf::from(default_out(&name)));
    let out = std::path::absolute(&out).with_context(|| format!("hunt: {}", out.display()))?;
    let out = own.as_ref().map_or(out.clone(), |own| own.shard.folder(&out));
    run.share.begin(Some(&out));
    let verify_args = run.small.words().or_else(|| profile.verify_args.clone());
    // All shards need the same seeds, and know nothing of each other.
    let seed = own.as_ref().map(|_| shared_seed(&name, runs, &run.program.command));
    let (stir, preferred_sites) = run.stir.plan("hunt", seed.map(|seed| seed as u32))?;
    let RunArgs { program, .. } = run;
    let config = Config {
        so,
        system: false,
        carrier: carried.map(|carried| carried.carrier),
        name,
        profile,
        arms,
        seed: args.seed.or(seed).unwrap_or_else(|| fastrand::u64(..)),
        other_so: args.other_so,
        runs,
        part: own,
        limits: Limits { until, max_time: run.max_time },
        hang_after: run.hang_after,
        stall: run.stall,
        cpus,
        side_by_side,
        on_hang,
        core: args.core.limit(),
        out,
        env: program.env,
        label: args.label,
        stats: args.stats_so.map(|so| StatsLane { so, runs: args.stats_runs }),
        tick: run.tick,
        stir,
        preferred_sites,
        full: args.full,
        kept: KeptNames::default(),
        perf: (!args.no_perf).then(|| PerfOptions {
            time: args.perf_seconds,
            call_graph: args.perf_call_graph,
            ..PerfOptions::default()
        }),
        shim,
        only: program.only,
        verify_runs: run.verify_runs,
        verify_args,
        sockets: sockets.path().to_owned(),
        command: program.command,
        remember: Remember::default(),
        notes,
    };
    Ok((config, sockets))
}

/// Refuses what cannot be cut into shards. `has_out`: the user has named OUT.
fn check_shard(own: Option<&Own>, runs: u32, until_decided: bool, has_out: bool) -> Result<(), String> {
    let Some(Own { shard, origin, .. }) = own else { return Ok(()) };
    if until_decided {
        return Err(format!(
            "--until-decided looks at all runs in their order, and a shard ({shard}, from {origin}) sees only its own; give --runs \
             in its place, or --shard off"
        ));
    }
    if !has_out {
        return Err(format!(
            "shard {shard}, from {origin}, needs --out DIR, the same for all shards; or give --shard off to make the whole"
        ));
    }
    if shard.of > runs {
        let of = shard.of;
        return Err(format!(
            "{of} shards of --runs {runs} leave some without a run: give at most {runs} shards"
        ));
    }
    Ok(())
}

/// A seed that is the same in all shards of a hunt. The same hunt again has the same one.
fn shared_seed(name: &str, runs: u32, command: &[String]) -> u64 {
    let runs = runs.to_string();
    let parts: Vec<&str> = [name, &runs].into_iter().chain(command.iter().map(String::as_str)).collect();
    settings::seed(&parts)
}

/// The sets of CPUs for `--jobs`; none for one run at a time.
fn side_by_side(jobs: u32, cpus: Option<&Cpus>, notes: &mut Vec<Text>) -> anyhow::Result<Vec<Cpus>> {
    if jobs == 1 {
        return Ok(vec![]);
    }
    let given = cpus.cloned().unwrap_or_else(Cpus::all);
    let cut = CpuSets::cut(&given.used, jobs as usize).map_err(usage)?;
    if !cut.left_over.is_empty() {
        notes.push(say!(Note::CpusLeftOver { unused: cpus::show(&cut.left_over), jobs }).said());
    }
    if cut.core_is_shared {
        notes.push(say!(Note::CoresShared { jobs }).said());
    }
    Ok(cut.sets.into_iter().map(|used| Cpus { used, missing: vec![] }).collect())
}

/// What follows a hang. Refuses what the question of the hunt does not allow.
fn on_hang(asked: Option<OnHang>, several: bool, until_decided: bool) -> Result<OnHang, &'static str> {
    match asked {
        None if several => Ok(OnHang::Next),
        None => Ok(OnHang::Stop),
        Some(OnHang::Retry) => Err(
            "--on-hang retry is for a matrix: all runs of a hunt are of one kind; give next, and more --runs",
        ),
        Some(OnHang::Stop | OnHang::Keep) if several => {
            Err("--on-hang stop and keep are for one arm: a comparison of arms needs all of its runs")
        }
        Some(OnHang::Next) if until_decided && !several => {
            Err("--until-decided ends with the first hang: leave --on-hang next out")
        }
        Some(on_hang) => Ok(on_hang),
    }
}

/// The question of `--until-decided`.
fn until(rate: Option<f64>, confidence: Option<f64>) -> anyhow::Result<Until> {
    let (rate, confidence) = (rate.unwrap_or(stats::RATE), confidence.unwrap_or(stats::CONFIDENCE));
    Until::new(rate, confidence)
        .ok_or_else(|| usage(format!("--rate {rate} needs more than {} runs; give a higher one", u32::MAX)))
}

/// Notes for the person before the first run.
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

fn sockets(dir: &Path) -> anyhow::Result<SocketDir> {
    let path = std::path::absolute(dir).with_context(|| format!("hunt: {}", dir.display()))?;
    SocketDir::at(path).map_err(|bad| match bad {
        BadSocketDir::TooLong { .. } | BadSocketDir::NotPrivate(_) => {
            usage(format!("--sockets {}: {bad}", dir.display()))
        }
        BadSocketDir::Io(e) => anyhow::Error::new(e).context(format!("hunt: cannot make {}", dir.display())),
    })
}

pub(super) fn default_out(name: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    format!("hangscope_{name}_{}_{}", crate::files::stamp::stamp(seconds), std::process::id())
}

/// A file that is written at the end. A wrong folder is refused now, not after an hour.
fn in_a_folder(text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text).map_err(|e| e.to_string())?;
    match path.parent() {
        Some(dir) if dir.is_dir() && !path.is_dir() => Ok(path),
        _ => Err("give a file in a folder that is there".into()),
    }
}

/// A coin is right half of the time, so less than that decides nothing.
fn confidence(text: &str) -> Result<f64, String> {
    let share = share(text)?;
    if share >= 0.5 { Ok(share) } else { Err("give a share between 0.5 and 1, as 0.95 or 95%".into()) }
}

pub(super) fn perf_time(text: &str) -> Result<Duration, String> {
    let time = times::time(text).map_err(|problem| problem.to_string())?;
    let possible = Duration::from_millis(100)..=Duration::from_secs(3600);
    if possible.contains(&time) { Ok(time) } else { Err("give 100ms to 1h".into()) }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("hunt: {what}")).into()
}
