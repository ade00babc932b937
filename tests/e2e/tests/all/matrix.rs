//! `hangscope matrix`: all files of a matrix, a hang in its own cell, and going on after a kill at any
//! moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hangscope_test_e2e::hunt::{file_names, run_parts};
use hangscope_test_e2e::{Running, allocator, bench, built, debian, hangscope, shim};
use serde_json::Value;

/// A folder with a `matrix.toml`.
struct Matrix(tempfile::TempDir);

/// A row of `samples.csv`, by the names of its columns.
type Row = BTreeMap<String, String>;

/// A look at a program's memory.
#[derive(Debug)]
struct Point {
    time_ms: f64,
    rss_kib: f64,
    pss_kib: f64,
}

impl Matrix {
    /// `lanes` and `phases` are TOML. The allocators are glibc, jemalloc, mimalloc, and the demonstration,
    /// which hangs in lanes with FAULT_ONE_IN = "1".
    fn new(head: &str, lanes: &str, phases: &str) -> Matrix {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let so = |name: &str, path: &Path| format!("[[allocator]]\nname = {name:?}\nso = {path:?}\n");
        let text = [
            format!("out = \"night\"\nhang_after = \"4s\"\n{head}\n[[allocator]]\nname = \"glibc\"\n"),
            so("jemalloc", &debian("libjemalloc.so.2")),
            so("mimalloc", &debian("libmimalloc.so.2")),
            so("demo", &allocator("demo")),
            lanes.replace("BENCH", &bench().display().to_string()),
            phases.to_owned(),
        ];
        std::fs::write(dir.path().join("matrix.toml"), text.concat()).expect("a file");
        Matrix(dir)
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = hangscope();
        command.arg("matrix").arg(self.0.path().join("matrix.toml")).arg("--no-perf").args(options);
        command
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("night")
    }

    fn text(&self, file: &str) -> String {
        let path = self.out().join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The points of a time series. A run without any has a line that says so.
    fn series(&self, file: &str) -> Vec<Point> {
        let text = self.text(file);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("time_ms,rss_kib,pss_kib"));
        let points: Vec<Point> = lines
            .filter(|line| !line.starts_with("# no look: "))
            .map(|line| {
                let numbers: Vec<f64> =
                    line.split(',').map(|field| field.parse().expect("a number")).collect();
                let [time_ms, rss_kib, pss_kib] = numbers[..] else { panic!("{text}") };
                Point { time_ms, rss_kib, pss_kib }
            })
            .collect();
        assert_eq!(points.is_empty(), text.contains("# no look: "), "{text}");
        points
    }

    fn rows(&self) -> Vec<Row> {
        let text = self.text("samples.csv");
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
        assert_eq!(
            names.join(","),
            "allocator,lane,phase,run,status,class,seconds,ops_s,max_rss_kib,rc,bundle"
        );
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), names.len(), "{line}");
            names.iter().zip(fields).map(|(name, field)| ((*name).to_owned(), field.to_owned())).collect()
        };
        lines.map(row).collect()
    }
}

/// `demo stuck ops 1`.
fn cell(row: &Row) -> String {
    ["allocator", "lane", "phase", "run"].map(|name| row[name].as_str()).join(" ")
}

const LANES: &str = r#"
[[lane]]
name = "main"
command = ["BENCH", "2", "20000", "400", "16", "32768", "90", "65536"]
env = { FAULT_ONE_IN = "0" }
[[lane]]
name = "guard"
command = ["BENCH", "2", "20000", "400", "16", "2048", "0", "65536"]
env = { FAULT_ONE_IN = "0" }
[[lane]]
name = "stuck"
command = ["BENCH", "2", "20000", "400", "16", "32768", "90", "65536"]
env = { FAULT_ONE_IN = "1" }
"#;

/// What is in OUT after a whole matrix of 4 allocators, 3 lanes and 2 phases with 2 and 1 runs, in which the
/// demonstration hangs in the lane `stuck`.
fn assert_whole(matrix: &Matrix) {
    let rows = matrix.rows();
    let mut cells: Vec<String> = rows.iter().map(cell).collect();
    cells.sort();
    let mut planned = vec![];
    for allocator in ["glibc", "jemalloc", "mimalloc", "demo"] {
        for lane in ["main", "guard", "stuck"] {
            planned.extend(["ops 1", "ops 2", "rss 1"].map(|run| format!("{allocator} {lane} {run}")));
        }
    }
    planned.sort();
    assert_eq!(cells, planned, "every cell once");
    for row in &rows {
        let hangs = row["allocator"] == "demo" && row["lane"] == "stuck";
        assert_eq!(row["status"], if hangs { "HANG" } else { "OK" }, "{row:?}");
        assert!(row["seconds"].parse::<f64>().expect("seconds") > if hangs { 2.0 } else { 0.0 }, "{row:?}");
        if hangs {
            assert_eq!((row["class"].as_str(), row["ops_s"].as_str()), ("owner-spinning", ""));
            assert_eq!(row["bundle"], format!("hangs/stuck_{}_demo_{}", row["phase"], row["run"]));
            let files = file_names(&matrix.out().join(&row["bundle"]));
            for file in ["threads.json", "stacks.txt", "dump.bin", "maps_demo.txt", "ps_L.txt", "demo.so"] {
                assert!(files.iter().any(|name| name == file), "{file}: {files:?}");
            }
        } else {
            assert!(row["ops_s"].parse::<f64>().expect("ops/s") > 0.0 && row["bundle"].is_empty(), "{row:?}");
            assert_eq!((row["rc"].as_str(), row["class"].as_str()), ("0", ""));
        }
    }
    let inode = |bundle: &str| {
        let path = matrix.out().join("hangs").join(bundle).join("demo.so");
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).expect("the allocator's bytes"))
    };
    assert_eq!(inode("stuck_ops_demo_1"), inode("stuck_rss_demo_1"), "one file for the same bytes");
    let mut bundles = file_names(&matrix.out().join("hangs"));
    // Of a run whose capture a kill has ended.
    bundles.retain(|name| name != "left");
    assert_eq!(bundles, ["stuck_ops_demo_1", "stuck_ops_demo_2", "stuck_rss_demo_1"]);
    for lane in ["main", "guard", "stuck"] {
        for (file, header, count) in
            [("ops.tsv", "allocator\trun\tops_s", 8), ("rss.tsv", "allocator\trun\tmax_rss_kib", 4)]
        {
            let text = matrix.text(&format!("{lane}/{file}"));
            assert_eq!((text.lines().next(), text.lines().count()), (Some(header), 1 + count), "{text}");
        }
        for allocator in ["glibc", "jemalloc", "mimalloc", "demo"] {
            let points = matrix.series(&format!("{lane}/rss_{allocator}_1.csv"));
            assert!(points.iter().all(|point| point.rss_kib >= point.pss_kib && point.pss_kib > 0.0));
            assert!(points.is_sorted_by_key(|point| point.time_ms), "{points:?}");
            // The others may end before the first look.
            assert!((allocator, lane) != ("demo", "stuck") || points.len() >= 20, "{points:?}");
        }
    }
    let check =
        Command::new("sha1sum").args(["-c", "--status"]).arg(matrix.out().join("dso_sha1.txt")).status();
    assert!(check.expect("sha1sum").success());
    let meta = matrix.text("meta.txt");
    for name in
        ["kernel", "CPU model", "governor", "glibc", "CommitLimit", "seed", "allocator demo", "lane stuck"]
    {
        assert!(meta.lines().any(|line| line.starts_with(&format!("{name}: "))), "{name}: {meta}");
    }
    let verdict: Value = serde_json::from_str(&matrix.text("verdict.json")).expect("JSON");
    assert_eq!(
        (&verdict["verdict"], &verdict["letter"]),
        (&"allocator-bug".into(), &"B".into()),
        "{verdict}"
    );
    assert_eq!(verdict["hangs"].as_array().map(Vec::len), Some(3));
    assert_eq!(verdict["groups"].as_array().map(Vec::len), Some(24));
    assert_eq!(verdict["matrix"]["not_made"], 0);
    let summary = matrix.text("summary.md");
    assert!(summary.contains("demo in stuck (ops) 2/2") && summary.contains("## Hangs"), "{summary}");
    assert!(summary.contains("## ops/s, lane main") && summary.contains("## Peak memory (KiB), lane guard"));
    let japanese = matrix.text("summary.ja.md");
    assert!(japanese.contains("## ハング一覧") && japanese.contains("stuck rss demo 1"), "{japanese}");
}

#[test]
fn a_matrix_has_all_its_files_and_goes_on_after_a_hang() {
    let phases = "[phase.ops]\nruns = 2\nwarmup = 1\n[phase.rss]\nrss_runs = 1\nsample = \"10ms\"\n";
    // A warm-up of the demonstration would hang, too.
    let matrix = Matrix::new("order = \"shuffled\"\nseed = 4", LANES, &phases.replace("warmup = 1\n", ""));
    let (code, stdout, stderr) = run_parts(&mut matrix.command(&["--json"]));
    assert_eq!(code, Some(10), "{stdout}\n{stderr}");
    assert_whole(&matrix);
    hangscope_test_e2e::pages::keep("matrix", &matrix.out());
    let verdict: Value = serde_json::from_str(&stdout).expect("one line of JSON");
    assert_eq!(verdict["out"], matrix.out().display().to_string());
    assert!(
        stderr.contains("3 of 36 runs hung: demo in stuck (ops) 2/2, demo in stuck (rss) 1/1."),
        "{stderr}"
    );
    let progress = matrix.text("progress.log");
    assert_eq!(progress.lines().filter(|line| line.starts_with("[RUN] ")).count(), 36);
    assert_eq!(progress.lines().filter(|line| line.starts_with("[HANG] captured at run ")).count(), 3);
    // A second start makes nothing anew, and leaves what is there.
    let (code, _, stderr) = run_parts(&mut matrix.command(&[]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("go on with --resume, or give another --out"), "{stderr}");
    let before = matrix.text("samples.csv");
    assert_eq!(run_parts(&mut matrix.command(&["--resume"])).0, Some(10));
    assert_eq!(matrix.text("samples.csv"), before);
    assert_same_report(&matrix);
}

/// `hangscope report OUT` counts what the rows have, and writes the page as the matrix has written it.
fn assert_same_report(matrix: &Matrix) {
    let page = matrix.text("report.html");
    assert!(page.contains("id=\"distributions\"") && page.contains("id=\"by-allocator\""));
    let (code, stdout, stderr) = run_parts(hangscope().arg("report").arg(matrix.out()).arg("--json"));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(matrix.text("report.html"), page);
    let told: Value = serde_json::from_str(&stdout).expect("one line of JSON");
    let rows = matrix.rows();
    for line in told["table"].as_array().expect("a table") {
        let of =
            rows.iter().filter(|row| line["label"] == row["lane"] && line["allocator"] == row["allocator"]);
        let (mut runs, mut hung) = (0_u64, 0_u64);
        of.for_each(|row| (runs, hung) = (runs + 1, hung + u64::from(row["status"] == "HANG")));
        assert_eq!((&line["runs"], &line["hung"]), (&runs.into(), &hung.into()), "{line}");
    }
    let counts = told["signatures"].as_array().expect("signatures").iter();
    assert_eq!(counts.map(|bug| bug["count"].as_u64().expect("a count")).sum::<u64>(), 3, "{stdout}");
}

#[test]
fn a_matrix_that_was_killed_five_times_has_every_cell_once() {
    let phases = "[phase.ops]\nruns = 2\n[phase.rss]\nrss_runs = 1\nsample = \"10ms\"\n";
    let matrix = Matrix::new("order = \"shuffled\"", LANES, phases);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let mut random = seed | 1;
    let mut before = String::new();
    for kill in 0..5 {
        // A start that has begun nothing is no reason not to go on.
        let child = matrix.command(&["--resume"]).stdout(Stdio::null()).spawn().expect("hangscope matrix");
        let child = Running(child);
        // A xorshift: the moment is random, there is no event to wait for.
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        std::thread::sleep(Duration::from_millis(u64::from(random % 4000)));
        drop(child);
        let rows = std::fs::read_to_string(matrix.out().join("samples.csv")).unwrap_or_default();
        assert!(rows.starts_with(&before), "kill {kill}, seed {seed}: a row has changed");
        // The last row may be torn.
        before = rows[..rows.rfind('\n').map_or(0, |at| at + 1)].to_owned();
    }
    let (code, stdout, stderr) = run_parts(&mut matrix.command(&["--resume"]));
    assert_eq!(code, Some(10), "seed {seed}: {stdout}\n{stderr}");
    assert!(matrix.text("samples.csv").starts_with(&before), "seed {seed}");
    assert_whole(&matrix);
}

#[test]
fn what_follows_a_hang_is_as_told() {
    let lane = "[[lane]]\nname = \"main\"\ncommand = [\"BENCH\", \"2\", \"20000\", \"400\", \"16\", \"32768\", \"90\", \"65536\"]\n\
        env = { FAULT_ONE_IN = \"1\" }\n";
    let matrix =
        Matrix::new("order = \"blocks\"", lane, "[phase.ops]\nruns = 1\n[phase.rss]\nrss_runs = 1\n");
    // What a start leaves that is killed before its first run.
    std::fs::create_dir(matrix.out()).expect("a folder");
    for (file, text) in [("runs.jsonl", ""), ("samples.csv", "allocator,lane,phase")] {
        std::fs::write(matrix.out().join(file), text).expect("a file");
    }
    let (code, stdout, stderr) = run_parts(&mut matrix.command(&["--on-hang", "stop"]));
    assert_eq!(code, Some(10), "{stdout}\n{stderr}");
    assert_eq!(matrix.rows().iter().map(cell).collect::<Vec<_>>().last().expect("a row"), "demo main ops 1");
    assert_eq!(file_names(&matrix.out().join("hangs")), ["ops_demo_1"], "the first lane has no name there");
    assert!(matrix.text("summary.md").contains("## Not made"));
    // What a start leaves that is killed during a capture.
    let half = matrix.out().join("hangs/rss_demo_1");
    std::fs::create_dir(&half).expect("a folder");
    std::fs::write(half.join("dump.bin"), "half").expect("a file");
    let (code, stdout, _) = run_parts(&mut matrix.command(&["--resume", "--on-hang", "retry"]));
    assert_eq!(code, Some(10), "{stdout}");
    assert_eq!(matrix.text("hangs/left/rss_demo_1_1/dump.bin"), "half");
    assert!(matrix.text("progress.log").contains("[LEFT] main rss demo 1 was not finished"));
    let cells: Vec<String> = matrix.rows().iter().map(cell).collect();
    assert_eq!(cells[4], "demo main ops 2", "one run more, at once: {cells:?}");
    assert_eq!(cells.last().expect("a row"), "demo main rss 2");
    assert_eq!(cells.len(), 10);
}

#[test]
fn a_wrong_matrix_is_one_line_before_anything_runs() {
    let lane = "[[lane]]\nname = \"main\"\ncommand = [\"BENCH\", \"1\", \"10\"]\n";
    let error = |matrix: &Matrix, code: i32| {
        let (is, stdout, stderr) = run_parts(&mut matrix.command(&[]));
        assert_eq!((is, stderr.lines().count()), (Some(code), 1), "{stdout}{stderr}");
        assert!(!matrix.out().join("samples.csv").exists());
        stderr
    };
    let unknown = error(&Matrix::new("hang_afetr = \"1s\"", lane, "[phase.ops]\n"), 2);
    assert!(
        unknown.contains("matrix.toml:3: unknown key `hang_afetr`: did you mean `hang_after`?"),
        "{unknown}"
    );
    let missing = error(&Matrix::new("", &lane.replace("BENCH", "./no_bench"), "[phase.ops]\n"), 2);
    assert!(missing.contains("no_bench"), "{missing}");
    // The second DSO is no malloc: found before the first run.
    let matrix = Matrix::new("verify_runs = 1", lane, "[phase.ops]\n");
    let path = matrix.0.path().join("matrix.toml");
    let text = std::fs::read_to_string(&path).expect("text");
    let follow = built("libhangscope_follow.so").display().to_string();
    std::fs::write(&path, text.replace(&allocator("demo").display().to_string(), &follow)).expect("a file");
    let (code, _, stderr) = run_parts(&mut matrix.command(&[]));
    assert_eq!(code, Some(30), "{stderr}");
    assert!(stderr.contains("demo in lane main"), "{stderr}");
    let example = matrix.0.path().join("example.toml");
    let init = |path: &Path| run_parts(hangscope().args(["matrix", "--init"]).arg(path));
    assert_eq!(init(&example).0, Some(0));
    assert_eq!(init(&example).0, Some(2), "a file that is there is left alone");
}

#[test]
fn the_drop_ins_take_the_options_of_their_namesakes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let script = |name: &str| {
        let mut command = Command::new(scripts.join(name));
        command.current_dir(dir.path()).env("LC_ALL", "C").env("HANGSCOPE", built("hangscope"));
        command.env("HANGSCOPE_SHIM", shim()).stdin(Stdio::null());
        command
    };
    let mimalloc = debian("libmimalloc.so.2");
    let matrix = |more: &[&str]| {
        let mut command = script("ssot_mt_remote_matrix.sh");
        command.args(["--runs", "2", "--rss-runs", "1", "--allocs", "glibc,mimalloc", "--outdir", "out dir"]);
        command.args(["--bench-args", "2 4000 400 16 32768 90 65536", "--timeout-sec", "30"]).args(more);
        command.arg("--mimalloc-so").arg(&mimalloc).arg("--bench-bin").arg(bench());
        run_parts(&mut command)
    };
    let (code, stdout, stderr) = matrix(&[]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let read = |file: &str| std::fs::read_to_string(dir.path().join("out dir").join(file)).expect(file);
    assert_eq!(read("ops.tsv").lines().count(), 5);
    assert_eq!(read("rss.tsv").lines().count(), 3);
    assert_eq!(read("samples.csv").lines().filter(|row| row.contains(",OK,")).count(), 6);
    let before = read("samples.csv");
    assert_eq!(matrix(&["--resume"]).0, Some(0));
    assert_eq!(read("samples.csv"), before);
    assert_eq!(file_names(dir.path()), ["out dir"], "nothing is left beside it");
    let (code, _, stderr) =
        run_parts(script("ssot_mt_remote_matrix.sh").args(["--allocs", "hz4", "--outdir", "x"]));
    assert_eq!(code, Some(2), "{stderr}");

    let mut verify = script("verify_preload_strict.sh");
    verify
        .args(["--runs", "2", "--outdir", "v/preload_verify", "--so"])
        .arg(&mimalloc)
        .arg("--bin")
        .arg(bench());
    let (code, stdout, stderr) = run_parts(&mut verify);
    assert_eq!(
        (code, stdout.lines().last()),
        (Some(0), Some("[STRICT-PRELOAD] verification passed")),
        "{stderr}"
    );
    assert_eq!(file_names(&dir.path().join("v/preload_verify")), ["result.txt", "run_1.log", "run_2.log"]);
}

#[test]
fn the_peak_of_a_small_program_is_its_own() {
    let lane = "[[lane]]\nname = \"main\"\ncommand = [\"sleep\", \"0.5\"]\n";
    let matrix = Matrix::new("", lane, "[phase.rss]\nrss_runs = 1\n");
    let (code, stdout, stderr) = run_parts(&mut matrix.command(&[]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    for row in matrix.rows() {
        let peak: u64 = row["max_rss_kib"].parse().expect("KiB");
        let points = matrix.series(&format!("main/rss_{}_1.csv", row["allocator"]));
        let most = points.iter().map(|point| point.rss_kib as u64).max().expect("a look");
        // The kernel counts resident pages for each processor, and adds them up now and then.
        assert!(peak.abs_diff(most) < 1024, "{row:?}: {most}");
    }
    let entries = matrix.text("runs.jsonl");
    for line in entries.lines() {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        assert!(entry["shim_kib"].as_u64().is_some_and(|kib| kib > 0 && kib < 1024), "{entry}");
    }
}
