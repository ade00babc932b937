//! Launchers: a program that starts the benchmark says hello with the DSO, and that proves nothing about the
//! benchmark.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hangscope_test_e2e::faults::at_once;
use hangscope_test_e2e::hunt::Hunt;
use hangscope_test_e2e::{bench, debian, run};

/// A run that takes some tenths of a second.
const ENDS: &str = "2 2000000 50 16 256 50 64";
/// The workers never come out of a barrier of their own.
const HANGS: &str = "2 1000 50 16 256 50 64 --barrier-short";

/// Commands that start the benchmark: `BENCH` stands for it and its arguments, `CLEAR` for what takes the DSO
/// away.
struct Launchers {
    dir: tempfile::TempDir,
}

impl Launchers {
    fn new() -> Launchers {
        Launchers { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    fn script(&self, text: &str) -> Vec<String> {
        let path = self.dir.path().join("run.sh");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        vec![path.display().to_string()]
    }

    /// Each launcher by its name, with the command that it is in front of.
    fn all(&self, arguments: &str, clear: &str) -> Vec<(&'static str, Vec<String>)> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let bench = format!("{} {arguments}", bench().display());
        let clear = |how: &str| if clear.is_empty() { String::new() } else { how.to_owned() };
        let env = clear("env -i");
        let shell = |text: String| [words("sh -c"), vec![text]].concat();
        let python = |text: String| [words("/usr/bin/python3 -c"), vec![text]].concat();
        let (list, without) = (format!("'{bench}'.split()"), clear(", env={}"));
        let environ = if without.is_empty() { "os.environ" } else { "{}" };
        let other = clear(&format!("env LD_PRELOAD={}", debian("libjemalloc.so.2").display()));
        let flock = self.dir.path().display().to_string();
        let mut all = vec![
            ("flock", words(&format!("flock {flock} {env} {bench}"))),
            ("xargs", shell(format!("echo {arguments} | xargs {env} {}", bench_path()))),
            ("timeout", words(&format!("timeout 60 {env} {bench}"))),
            ("script", self.script(&format!("#!/bin/bash\ndate\n{other} {bench}\ntrue\n"))),
            ("exec", python(format!("import os; os.execve({list}[0], {list}, {environ})"))),
            (
                "spawn",
                python(format!("import subprocess; subprocess.run({list}{without}).check_returncode()")),
            ),
        ];
        if nix_is_root() {
            all.push(("unshare", words(&format!("unshare -p -f {env} {bench}"))));
        }
        if Path::new("/usr/bin/perf").exists() {
            all.push(("perf", words(&format!("perf stat {env} {bench}"))));
        }
        all
    }
}

fn bench_path() -> String {
    bench().display().to_string()
}

fn nix_is_root() -> bool {
    let id = run(std::process::Command::new("id").arg("-u"));
    id.stdout.starts_with(b"0\n")
}

fn so() -> PathBuf {
    debian("libmimalloc.so.2")
}

fn hunt(runs: &str, command: &[String]) -> Hunt {
    let options = ["--runs", runs, "--verify-runs", "0", "--hang-after", "2s", "--no-perf", "--name", "mi"];
    Hunt::new(&so(), &options, &[], command)
}

/// Hunts behind every launcher, three at a time: they mostly wait.
fn each_launcher(arguments: &str, clear: &str, runs: &str, check: impl Fn(&str, Hunt) + Sync) {
    let launchers = Launchers::new();
    at_once(&launchers.all(arguments, clear), 3, |(name, command)| check(name, hunt(runs, command)));
}

#[test]
fn a_hang_of_a_program_without_the_dso_is_not_judged() {
    each_launcher(HANGS, "clear", "1", |name, hunt| {
        assert_eq!(hunt.code(), 30, "{name}: {}", hunt.outputs());
        let verdict = hunt.verdict();
        let program = &verdict["hangs"][0]["program"];
        assert_eq!(verdict["verdict"], "inconclusive", "{name}: {verdict:#}");
        assert_eq!((&verdict["dso"]["pinned"], &verdict["dso"]["proven_in"]), (&false.into(), &().into()));
        assert_eq!((&program["exe"], &program["proven"]), (&bench_path().into(), &false.into()), "{name}");
        // With another preload the benchmark tells that its malloc comes from there.
        let chain = program["chain"].as_str().unwrap();
        assert!(chain.contains("no hello") || chain.contains("malloc from /"), "{name}: {chain}");
        let stdout = hunt.stdout();
        assert!(stdout.contains("- Reproduced with the pinned DSO: `no`"), "{name}: {stdout}");
        let sha1 = hunt.text("mi_so.sha1")[..40].to_owned();
        assert!(!hunt.text("report.md").contains(&sha1), "{name}: the SHA-1 of what did not run");
    });
}

#[test]
fn a_run_that_ends_well_without_the_dso_says_nothing() {
    each_launcher(ENDS, "clear", "2", |name, hunt| {
        assert_eq!(hunt.code(), 30, "{name}: {}", hunt.outputs());
        let verdict = hunt.verdict();
        assert_eq!(
            (&verdict["verdict"], &verdict["rate"]["of"]),
            (&"inconclusive".into(), &0.into()),
            "{name}"
        );
        let headline = verdict["headline"].as_str().unwrap();
        assert!(headline.contains("not proven to run the DSO: ") && headline.contains("(pid "), "{headline}");
        assert_eq!(verdict["dso"]["pinned"], false, "{name}");
    });
}

#[test]
fn behind_launchers_the_benchmark_itself_is_proven() {
    each_launcher(ENDS, "", "2", |name, hunt| {
        assert_eq!(hunt.code(), 0, "{name}: {}", hunt.outputs());
        let verdict = hunt.verdict();
        assert_eq!(
            (&verdict["verdict"], &verdict["rate"]["of"]),
            (&"not-reproduced".into(), &2.into()),
            "{name}"
        );
        assert_eq!(verdict["dso"]["proven_in"]["exe"], bench_path(), "{name}: {}", hunt.outputs());
        assert_eq!(verdict["dso"]["pinned"], true, "{name}");
    });
}

/// Without a launcher, too: the program clears its own environment and executes itself.
#[test]
fn a_program_that_executes_itself_without_the_dso_is_not_judged() {
    let text = "import os, sys, time\n\
        if 'LD_PRELOAD' in os.environ: os.execve('/usr/bin/python3', ['python3', *sys.argv], {})\n\
        time.sleep(float(sys.argv[1]))\n";
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("again.py");
    fs::write(&program, text).unwrap();
    let command =
        |seconds: &str| ["/usr/bin/python3", program.to_str().unwrap(), seconds].map(str::to_owned).to_vec();
    for seconds in ["0.3", "1000"] {
        let hunt = hunt("1", &command(seconds));
        assert_eq!(hunt.code(), 30, "{}", hunt.outputs());
        assert_eq!(hunt.verdict()["verdict"], "inconclusive", "{}", hunt.outputs());
    }
}
