//! Counters of real runs: lines that the allocator prints, and memory
//! that the shim reads at the exit of a good run or at a hang.

use std::path::Path;
use std::process::Command;

use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{allocator, run};
use serde_json::{Value, json};

const LINES: &str = "name = 'counted'\n\
    [[counters]]\nprefix = '[COUNTED]'\nfile = 'counted.log'\n\
    [[ratios]]\nname = 'lock path'\nof = 'mid_lock_path'\nto = 'mid_calls'\n\
    [[ratios]]\nname = 'walk'\nof = 'mid_walk_steps'\nto = 'mid_calls'\n\
    [[ratios]]\nname = 'of nothing'\nof = 'mid_calls'\nto = 'mid_never'\n";
const MEMORY: &str = "[[memory]]\nsymbol = 'g_counted'\n\
    fields = ['mid_calls', 'mid_lock_path', 'mid_walk_steps', 'mid_never']\n\
    [[memory]]\nsymbol = 'g_counted_inside'\ntype = 'i32'\nfields = ['mid_inside']\n";

/// Arguments for the benchmark. A run takes most of a second, so the request for memory comes before its end.
const WORK: [&str; 7] = ["4", "400000", "100", "16", "4096", "50", "1024"];

/// A command line that runs the benchmark. It counts the runs by files in `dir`, and enables the fault in
/// the runs whose numbers are in `hang`.
fn hanging_in_runs(dir: &Path, hang: &[u32], args: &[&str]) -> Vec<String> {
    let dir = dir.display();
    let cases: String = hang.iter().map(|n| format!("{n}) FAULT_ONE_IN=1;; ")).collect();
    let script = format!(
        "i=1; while [ -e {dir}/$i ]; do i=$((i+1)); done; : > {dir}/$i; \
         export FAULT_ONE_IN=0; case $i in {cases}esac; exec \"$@\""
    );
    ["sh", "-c", &script, "sh"].map(str::to_owned).into_iter().chain(bench_with(args)).collect()
}

/// Hunts with this profile. Returns the hunt and the lanes of counters.json.
fn hunt_with_profile(profile: &str, options: &[&str], hang: &[u32]) -> (Hunt, Vec<Value>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("counted.toml");
    std::fs::write(&file, profile).expect("a profile");
    let own = ["--profile", file.to_str().expect("text"), "--keep-going", "--no-perf", "--verify-runs", "0"];
    // The shim must watch the benchmark, and not the shell that counts the runs.
    let only: &[&str] = if options.contains(&"--only") { &[] } else { &["--only", "hangscope-bench"] };
    // The long deadline keeps a slow run from counting as a hang.
    let options = [&own[..], &["--hang-after", "8s"], only, options].concat();
    let command = hanging_in_runs(dir.path(), hang, &WORK);
    let hunt = Hunt::new(&allocator("counted"), &options, &[("FAULT_COUNTERS", "1")], &command);
    let file: Value = serde_json::from_str(&hunt.text("counters.json")).expect("counters.json is JSON");
    assert_eq!(file["schema"], "hangscope/counters/1");
    let lanes = file["lanes"].as_array().expect("lanes").clone();
    (hunt, lanes)
}

/// The value of a counter that a run printed.
fn printed(hunt: &Hunt, run: &str, counter: &str) -> f64 {
    let text = hunt.text(&format!("{run}.err"));
    let line = |l: &str| l.split(' ').find_map(|w| w.strip_prefix(&format!("{counter}="))?.parse().ok());
    text.lines()
        .filter(|l| l.starts_with("[COUNTED]"))
        .find_map(line)
        .unwrap_or_else(|| panic!("{counter}: {text}"))
}

fn sorted(mut values: [f64; 3]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    values
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let found = list.as_array().into_iter().flatten().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

/// Checks that `value` has these figures as minimum, median and maximum, and the skew that follows from them.
fn check_figures(value: &Value, figures: [f64; 3]) {
    let figure = |key: &str| value[key].as_f64().unwrap_or_else(|| panic!("no {key} in {value}"));
    assert_eq!(value["n"], 3, "{value}");
    let found = [figure("min"), figure("median"), figure("max")];
    let close = |(a, b): (&f64, f64)| (a - b).abs() <= 1e-9 * b.abs();
    assert!(found.iter().zip(figures).all(close), "{found:?}, not {figures:?}");
    let skew = (figures[2] - figures[0]) / figures[1];
    if skew.is_finite() {
        assert!((figure("skew") - skew).abs() < 1e-9, "{value}");
    } else {
        assert!(value["skew"].is_null(), "{value}");
    }
}

#[test]
fn a_hung_run_stands_beside_the_good_ones() {
    let (hunt, lanes) = hunt_with_profile(&[LINES, MEMORY].concat(), &["--runs", "4"], &[3]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let [lane] = &lanes[..] else { panic!("{lanes:?}") };
    assert_eq!(
        (&lane["lane"], &lane["good"], &lane["hung"]),
        (&"pinned".into(), &3.into(), &["3"][..].into())
    );

    // The good runs have the figures of their printed lines.
    let of = |counter: &str| ["run_1", "run_2", "run_4"].map(|run| printed(&hunt, run, counter));
    let (calls, locked) = (of("mid_calls"), of("mid_lock_path"));
    check_figures(&named(&lane["counters"], "mid_calls")["good"], sorted(calls));
    check_figures(&named(&lane["counters"], "mid_lock_path")["good"], sorted(locked));
    let ratio = [0, 1, 2].map(|n| locked[n] / calls[n]);
    check_figures(&named(&lane["ratios"], "lock path")["good"], sorted(ratio));
    assert_eq!(lane["zeros"], json!(["mid_never"]));
    let of_nothing = named(&lane["ratios"], "of nothing");
    assert_eq!((&of_nothing["zero"], &of_nothing["good"]), (&3.into(), &Value::Null));
    assert_eq!(lane["passed_over"], 3 * 5, "`of a build that counts`");

    // The memory at their exit has the same figures, so the layout is right.
    assert_eq!(lane["check"]["runs"], 3, "{lane:#}");
    assert_eq!((&lane["check"]["counters"], &lane["check"]["differs"]), (&4.into(), &json!([])));
    assert_eq!(lane["runs"][0]["moment"], "exit");
    assert_eq!(lane["runs"][0]["memory"]["mid_calls"].as_f64(), Some(calls[0]));

    // The hung run printed nothing. The shim read its memory: the run reached the fault and walks the list.
    assert!(!hunt.text("run_3.err").contains("COUNTED"), "{}", hunt.text("run_3.err"));
    assert_eq!(lane["runs"][2]["moment"], "dump");
    let hung = |counter: &str| {
        let hung = &named(&lane["counters"], counter)["hung"][0];
        (hung["value"].as_f64().expect("a figure"), hung["outside"].as_bool())
    };
    let (at_hang, outside) = hung("mid_calls");
    assert!(at_hang >= 20_000.0 && at_hang < sorted(calls)[0], "{at_hang} of {calls:?}");
    assert_eq!(outside, Some(true));
    let (steps, outside) = hung("mid_walk_steps");
    assert!(steps > 1000.0 && outside == Some(true), "{steps} steps");
    // The owner of the lock is inside. The others wait for the lock outside.
    assert!(hung("mid_inside").0 >= 1.0);
    assert_eq!(named(&lane["counters"], "mid_inside")["memory_only"], true);
    assert_eq!(named(&lane["ratios"], "walk")["hung"][0]["outside"], true);

    let brief = &hunt.verdict()["counters"][0];
    assert_eq!((&brief["memory_checked"], &brief["hung"]), (&true.into(), &json!(["3"])));
    assert!(brief["outside"].as_array().expect("names").contains(&"mid_walk_steps".into()), "{brief}");
    for (file, heading) in [("report.md", "| counter | median |"), ("report.ja.md", "| カウンタ | 中央値 |")]
    {
        let report = hunt.text(file);
        assert!(report.contains(heading) && report.contains("`mid_walk_steps`"), "{report}");
    }
    assert!(hunt.stdout().contains("hung, outside the range of the good runs: "), "{}", hunt.stdout());
    // The recorded dump contains the memory: the peak of the resident set, then the counters.
    let dump = std::fs::read(hunt.out().join("hang_run_3/dump.bin")).expect("dump.bin");
    let dumps = hangscope_collector::session::read_dumps(&dump).expect("dumps");
    assert_eq!(dumps[0].memory.iter().map(|m| m.bytes.len()).collect::<Vec<_>>(), [8, 32, 4]);
}

#[test]
fn the_counter_lane_has_its_own_table_and_its_file() {
    let so = allocator("counted");
    let options = ["--runs", "1", "--stats-so", so.to_str().expect("text"), "--stats-runs", "3"];
    let (hunt, lanes) = hunt_with_profile(LINES, &options, &[]);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    let [pinned, stats] = &lanes[..] else { panic!("{lanes:?}") };
    assert_eq!((&pinned["lane"], &pinned["good"]), (&"pinned".into(), &1.into()));
    assert_eq!((&stats["lane"], &stats["good"], &stats["check"]), (&"stats".into(), &3.into(), &Value::Null));
    let of = |counter: &str| [1, 2, 3].map(|n| printed(&hunt, &format!("stats_run_{n}"), counter));
    check_figures(&named(&stats["counters"], "mid_calls")["good"], sorted(of("mid_calls")));
    assert_eq!(hunt.text("counted.log").lines().count(), 6);
    assert_eq!(stats["runs"][0]["run"], "stats/1");
}

#[test]
fn a_layout_that_is_not_this_builds_is_found_out() {
    // The profile swaps two names, gives one variable a wrong
    // size, and names one variable that does not exist.
    let memory = "[[memory]]\nsymbol = 'g_counted'\n\
        fields = ['mid_lock_path', 'mid_calls', 'mid_walk_steps', 'mid_never']\n\
        [[memory]]\nsymbol = 'g_counted_inside'\nfields = ['mid_inside']\n\
        [[memory]]\nsymbol = 'g_counted_elsewhere'\nfields = ['mid_elsewhere']\n";
    let (hunt, lanes) = hunt_with_profile(&[LINES, memory].concat(), &["--runs", "2"], &[2]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let lane = &lanes[0];
    let mut differs: Vec<&str> = lane["check"]["differs"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["name"].as_str())
        .collect();
    differs.sort_unstable();
    assert_eq!(differs, ["mid_calls", "mid_lock_path"]);
    // The hung run has no figures for these two counters, and figures for the others.
    assert_eq!(named(&lane["counters"], "mid_calls")["hung"], json!([]));
    assert!(named(&lane["counters"], "mid_walk_steps")["hung"][0]["value"].as_f64() > Some(1000.0));
    let report = hunt.text("report.md");
    assert!(report.contains("differs from the printed lines for 2 of 4 counters"), "{report}");
    assert!(report.contains("g_counted_inside has 4 bytes, the fields of the profile have 8"), "{report}");
    assert!(report.contains("no variable is called g_counted_elsewhere"), "{report}");
}

/// The shim watches only other programs here, so nothing comes
/// from inside. The collector then reads the memory from outside.
#[test]
fn without_the_shim_memory_is_read_from_outside() {
    let (hunt, lanes) =
        hunt_with_profile(&[LINES, MEMORY].concat(), &["--runs", "2", "--only", "another"], &[2]);
    assert_eq!(hunt.code(), 30, "{}", hunt.outputs());
    let lane = &lanes[0];
    assert_eq!((&lane["hung"], &lane["check"]), (&json!(["2"]), &Value::Null));
    assert_eq!(lane["runs"][1]["moment"], "outside");
    let steps = named(&lane["counters"], "mid_walk_steps")["hung"][0]["value"].as_f64();
    assert!(steps > Some(1000.0), "{steps:?}");
    let report = hunt.text("report.md");
    assert!(report.contains("Hung 2: nothing arrived from inside"), "{report}");
    assert!(report.contains("it is not verified that the addresses in memory are right"), "{report}");
}

/// The tripwire aborts if the shim calls malloc, also while the shim reads memory, and in its destructor.
#[test]
fn reading_memory_never_calls_malloc() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let profile = dir.path().join("tripwire.toml");
    let fields = ["'a'"; 40].join(", ").replacen("'a'", "'lock_word'", 1).replace("'a'", "'-'");
    std::fs::write(
        &profile,
        format!("name = 't'\n[[memory]]\nsymbol = 'g_mid_locks'\nfields = [{fields}]\n"),
    )
    .expect("a profile");
    let command = bench_with(&WORK);
    let options =
        ["--profile", profile.to_str().expect("text"), "--runs", "3", "--verify-runs", "0", "--no-perf"];
    let hunt = Hunt::new(&allocator("tripwire"), &options, &[], &command);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    let file: Value = serde_json::from_str(&hunt.text("counters.json")).expect("JSON");
    let runs = file["lanes"][0]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|r| r["moment"] == "exit" && r["memory"]["lock_word"] == 0), "{file:#}");
}

/// A program that ends by `_exit` runs no destructor, so the shim reads no memory and there are no figures.
#[test]
fn an_exit_without_destructors_is_no_reading() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let source = dir.path().join("leaves.c");
    std::fs::write(
        &source,
        "#include <stdlib.h>\n#include <unistd.h>\nint main(void) { free(malloc(9)); sleep(1); _exit(0); }\n",
    )
    .expect("a source");
    let program = dir.path().join("leaves");
    let cc = run(Command::new("cc").arg("-O0").arg("-o").arg(&program).arg(&source));
    assert!(cc.status.success(), "{cc:?}");
    let profile = dir.path().join("counted.toml");
    std::fs::write(&profile, [LINES, MEMORY].concat()).expect("a profile");
    let healthy = allocator("healthy");
    let options = [
        ["--profile", profile.to_str().expect("text"), "--stats-so", healthy.to_str().expect("text")],
        ["--stats-runs", "1", "--runs", "1"],
        ["--verify-runs", "0", "--no-perf", "--hang-after=9s"],
    ]
    .concat();
    let hunt = Hunt::new(&allocator("counted"), &options, &[], &[program.to_str().expect("text")]);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    assert!(!hunt.out().join("counters.json").exists(), "there are no counters");
    // The DSO of the counter lane has none of the variables.
    let wanted = "stats: no counters in memory: no variable is called g_counted; no variable is called g_counted_inside";
    assert!(hunt.text("report.md").contains(wanted), "{}", hunt.text("report.md"));
}
