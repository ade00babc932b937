//! How often each natural race hangs: under a plain loop, under other ways to disturb a program, and under
//! `--stir`. Prints a table of hangs per run and of hangs per hour of wall time, each with its exact interval
//! of 95 %.
//!
//! "Times plain" compares the hangs per hour with those of the plain loop. If no plain run hung, one hang is
//! assumed. "Lowest" is the lower bound of the row divided by the upper bound of the plain loop.
//!
//! And that the holds of a hung run name the race: its last holds, with their stacks, have a line of it.
//!
//! A row is printed as soon as it is measured. The environment chooses how much is measured:
//! - `HANGSCOPE_TEST_RACE_SECONDS`: time for each row, in seconds; 20 by default;
//! - `HANGSCOPE_TEST_RACE_RUNS`: most runs of each row; not limited by default;
//! - `HANGSCOPE_TEST_RACES`: names of the races, with commas between them; all by default;
//! - `HANGSCOPE_TEST_RACE_WAYS`: names of the ways, with commas between them; all by default.

use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hangscope_collector::analysis::stats::{CONFIDENCE, Rate, per_hour};
use hangscope_test_allocators::races::{RACES, Race};
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{Running, built, hangscope, kill_group, wait};
use serde_json::Value;

/// A run that has not ended after this time hangs. A plain run takes 0.1 s on an idle machine.
const HANG_AFTER: Duration = Duration::from_secs(3);
/// How much longer than its time a hunt may take: it ends the run that goes on, and writes its report.
const HUNT_MAY_TAKE_LONGER: Duration = Duration::from_secs(120);

/// A way to run the benchmark many times.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The benchmark itself, in a loop, after the words of a launcher.
    Loop(&'static [&'static str]),
    /// The same beside two busy processes.
    BesideLoad,
    /// `rr record --chaos`, with its own folder for each recording.
    Chaos,
    /// `hangscope hunt --stir LEVEL`.
    Stir(&'static str),
}

const WAYS: &[(&str, Way)] = &[
    ("plain", Way::Loop(&[])),
    ("taskset", Way::Loop(&["taskset", "-c", "0"])),
    ("load", Way::BesideLoad),
    ("rr-chaos", Way::Chaos),
    ("stir-1", Way::Stir("1")),
    ("stir-2", Way::Stir("2")),
    ("stir-3", Way::Stir("3")),
    ("stir-auto", Way::Stir("auto")),
];

/// What the environment asks for.
struct Budget {
    time: Duration,
    runs: u32,
}

/// Hangs and runs, and the wall time that all of them took.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    hung: u32,
    runs: u32,
    time: Duration,
}

impl Count {
    fn per_hour(&self) -> f64 {
        f64::from(self.hung) / self.hours()
    }

    fn hours(&self) -> f64 {
        self.time.as_secs_f64() / 3600.0
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is not a number")),
        Err(_) => default,
    }
}

/// Whether a list in the environment has the name. A list that is not set has all names.
fn is_chosen(list: &str, name: &str) -> bool {
    std::env::var(list).map_or(true, |names| names.split(',').any(|chosen| chosen == name))
}

#[test]
#[ignore = "measuring rates below 1 % takes hours: scripts/soak.sh stir"]
fn how_often_each_race_hangs() {
    let budget = Budget {
        time: Duration::from_secs(setting("HANGSCOPE_TEST_RACE_SECONDS", 20)),
        runs: setting("HANGSCOPE_TEST_RACE_RUNS", u32::MAX),
    };
    println!("| race | way | hung of runs | % of runs | hangs per hour | times plain (lowest) | wall time |");
    println!("|---|---|---|---|---|---|---|");
    for race in RACES.iter().filter(|race| is_chosen("HANGSCOPE_TEST_RACES", race.name)) {
        let mut plain = None;
        for (name, way) in WAYS.iter().filter(|(name, _)| is_chosen("HANGSCOPE_TEST_RACE_WAYS", name)) {
            match way.measure(race, &budget) {
                Ok(count) => {
                    println!("{}", row(race, name, count, plain));
                    if matches!(way, Way::Loop([])) {
                        plain = Some(count);
                    }
                }
                Err(why) => println!("| {} | {name} | not measured: {why} | | | | |", race.name),
            }
        }
    }
}

fn row(race: &Race, way: &str, count: Count, plain: Option<Count>) -> String {
    let rate = Rate::exact(count.hung, count.runs, CONFIDENCE);
    let percent = 100.0 * f64::from(count.hung) / f64::from(count.runs.max(1));
    let hourly = per_hour(count.hung, count.hours(), CONFIDENCE).expect("a time that is not zero");
    let times = match plain {
        Some(plain) => {
            let plain_hourly =
                per_hour(plain.hung, plain.hours(), CONFIDENCE).expect("a time that is not zero");
            // If no plain run hung, one is assumed.
            let assumed = f64::from(plain.hung.max(1)) / plain.hours();
            format!("{:.1} ({:.1})", count.per_hour() / assumed, hourly.low / plain_hourly.high)
        }
        None => "-".to_owned(),
    };
    format!(
        "| {} | {way} | {} of {} | {percent:.2} ({:.2} to {:.2}) | {:.1} ({:.1} to {:.1}) | {times} \
         | {:.1} s |",
        race.name,
        count.hung,
        count.runs,
        100.0 * rate.low,
        100.0 * rate.high,
        count.per_hour(),
        hourly.low,
        hourly.high,
        count.time.as_secs_f64()
    )
}

impl Way {
    /// Runs the benchmark until the budget is used up. The error says why that cannot be done here.
    fn measure(&self, race: &Race, budget: &Budget) -> Result<Count, String> {
        match self {
            Way::Loop(launcher) => {
                run_loop(race, budget, |_| launcher.iter().map(|&w| w.to_owned()).collect())
            }
            Way::BesideLoad => {
                let mut load = Command::new("stress-ng");
                load.args(["--cpu", "2", "--quiet"]);
                check_starts(Command::new("stress-ng").arg("--version"))?;
                // stress-ng ends its workers when it ends by SIGTERM, but not by SIGKILL.
                let mut load = Load(Running::start(&mut load));
                let count = run_loop(race, budget, |_| vec![]);
                load.end();
                count
            }
            Way::Chaos => {
                let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
                let chaos = |run: u32| {
                    let trace = dir.path().join(run.to_string()).display().to_string();
                    ["rr", "record", "--chaos", "-o", &trace].map(str::to_owned).to_vec()
                };
                let words = chaos(0);
                check_starts(Command::new(&words[0]).args(&words[1..]).arg("true"))?;
                run_loop(race, budget, |run| {
                    // Only one recording is kept at a time.
                    let _ = std::fs::remove_dir_all(dir.path().join((run - 1).to_string()));
                    chaos(run)
                })
            }
            Way::Stir(level) => hunt(race, budget, level),
        }
    }
}

/// A load that runs until [`Load::end`], or until the value is dropped.
struct Load(Running);

impl Load {
    fn end(&mut self) {
        hangscope_test_e2e::send_signal(&self.0.0, libc::SIGTERM);
        let _ = wait(&mut self.0.0, HANG_AFTER);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a command to its end. The error is why it cannot start, or what it said before it failed.
fn check_starts(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).output() {
        Err(error) => Err(format!("{name}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().find(|line| !line.is_empty()).unwrap_or("nothing said");
            Err(format!("{name}: {}: {first}", output.status))
        }
    }
}

/// Runs the benchmark under the allocator again and again, without hangscope. `launcher` returns the words
/// before the benchmark's own, for a run that is counted from 1.
fn run_loop(race: &Race, budget: &Budget, launcher: impl Fn(u32) -> Vec<String>) -> Result<Count, String> {
    use std::os::unix::process::CommandExt as _;
    let so = built("examples/libraces.so");
    let mut count = Count::default();
    let start = Instant::now();
    while count.runs < budget.runs && start.elapsed() < budget.time {
        let words = [launcher(count.runs + 1), bench_with(race.workload_args)].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("LD_PRELOAD", &so).envs(race.env.iter().copied()).process_group(0);
        let mut run = Running::start(&mut command);
        count.runs += 1;
        match wait(&mut run.0, HANG_AFTER) {
            Some(status) if status.success() => (),
            Some(status) => return Err(format!("a run ended with {status}")),
            None => {
                count.hung += 1;
                kill_group(&run.0);
            }
        }
    }
    count.time = start.elapsed();
    Ok(count)
}

/// One hunt with `--stir LEVEL`. Its whole wall time counts, also that of its evidence and its report.
fn hunt(race: &Race, budget: &Budget, level: &str) -> Result<Count, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let out = dir.path().join("out");
    let seconds = budget.time.as_secs();
    let mut command = hangscope();
    command.args(["hunt", "--name", race.name, "--stir", level, "--keep-going", "--hang-after", "1s"]);
    command.args(["--no-perf", "--verify-runs", "0", "--max-time", &format!("{seconds}s")]);
    command.args(["--runs", &budget.runs.min(MOST_RUNS).to_string()]);
    command.arg("--so").arg(built("examples/libraces.so")).arg("--out").arg(&out);
    command.envs(race.env.iter().copied()).arg("--").args(bench_with(race.workload_args));
    let said = std::fs::File::create(dir.path().join("said")).map_err(|e| e.to_string())?;
    command.stdout(Stdio::null()).stderr(said);
    let start = Instant::now();
    let mut hunt = Running(command.spawn().map_err(|e| e.to_string())?);
    let status = wait(&mut hunt.0, budget.time + HUNT_MAY_TAKE_LONGER);
    let time = start.elapsed();
    let said = std::fs::read_to_string(dir.path().join("said")).unwrap_or_default();
    let Some(status) = status else { return Err(format!("the hunt did not end in {time:.0?}")) };
    match counted(&out) {
        Some((hung, runs)) => Ok(Count { hung, runs, time }),
        None => Err(format!("{status}: {}", said.lines().next().unwrap_or("nothing said"))),
    }
}

/// Most runs of a hunt for the first hang. About two runs of three hang under `both:2`, as measured.
const UNTIL_HANG: &str = "60";

/// Hangs whose holds are looked at before a race counts as not named.
const HANGS: u32 = 3;

/// What the evidence of one hang says of the race.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    /// A hold of `verdict.json`, which the report tells, is at a line of the race, or was called from there.
    told: bool,
    /// A hold of `holds.tsv` is.
    listed: bool,
}

/// Hunts the race until it hangs once.
fn hang(race: &Race) -> Named {
    let options =
        ["--stir", "both:2", "--runs", UNTIL_HANG, "--hang-after", "1s", "--no-perf", "--verify-runs", "0"];
    let hunt = Hunt::new(&built("examples/libraces.so"), &options, race.env, &bench_with(race.workload_args));
    assert_eq!(hunt.code(), 10, "{}: {}", race.name, hunt.outputs());
    let hang = &hunt.verdict()["hangs"][0];
    let class = hang["class"].as_str().expect("a class");
    println!("{}: {class} ({}) in run {}", race.name, hang["confidence"], hang["run"]);
    let file = format!("{}.rs:", race.name);
    let lines = race.lines();
    let is_race = |source: &str| {
        let number = source.rsplit('/').next().and_then(|name| name.strip_prefix(&file));
        let number = number.and_then(|number| number.parse().ok());
        number.is_some_and(|number: u32| lines.iter().any(|range| range.contains(&number)))
    };
    let holds = hang["holds"].as_array().expect("holds");
    assert!(!holds.is_empty(), "{}: the hang follows holds", race.name);
    let places = holds.iter().flat_map(|hold| [&hold["source"], &hold["caller_source"]]);
    let told = places.filter_map(Value::as_str).any(is_race);
    let list = hunt.text(&format!("{}/holds.tsv", hang["snapshot"].as_str().expect("a folder")));
    let listed = list.split([' ', '\t', '\n']).any(is_race);
    Named { told, listed }
}

/// What the evidence of up to [`HANGS`] hangs says.
fn named(race: &Race) -> Named {
    let mut named = Named::default();
    for _ in 0..HANGS {
        let one = hang(race);
        named = Named { told: named.told || one.told, listed: named.listed || one.listed };
        if named.told && named.listed {
            break;
        }
    }
    println!("{}: {named:?}", race.name);
    named
}

/// The short form of the test below.
#[test]
fn a_race_that_never_hangs_hangs_under_stir_and_its_holds_name_it() {
    let named = named(Race::named("wake_lost"));
    assert!(named.told && named.listed, "{named:?}");
}

#[test]
#[ignore = "all races: scripts/soak.sh stir"]
fn the_holds_of_at_least_six_of_the_eight_races_name_them() {
    let told = RACES.iter().map(named).filter(|named| named.told).count();
    println!("holds that the report tells name {told} of {} races", RACES.len());
    assert!(told >= 6, "{told} of {}", RACES.len());
}

/// More runs than a hunt can make in its time.
const MOST_RUNS: u32 = 1_000_000;

/// The hangs, and the runs that could have hung, of a hunt. None if it made no run.
fn counted(out: &Path) -> Option<(u32, u32)> {
    let verdict: Value = serde_json::from_slice(&std::fs::read(out.join("verdict.json")).ok()?).ok()?;
    let number = |name: &str| verdict["rate"][name].as_u64().and_then(|n| u32::try_from(n).ok());
    Some((number("hung")?, number("of")?))
}
