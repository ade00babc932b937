use super::*;

const LEAST: &str =
    "[[allocator]]\nname = 'system'\n[[lane]]\nname = 'main'\ncommand = ['./bench', '16']\n[phase.ops]\n";

fn read(text: &str) -> Result<Matrix, BadMatrix> {
    Reading { path: Path::new("matrix.toml"), text, dir: Path::new("/m") }.matrix()
}

fn error(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

/// The least matrix, with one text in it replaced.
fn with(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    LEAST.replacen(from, to, 1)
}

#[test]
fn the_least_matrix_has_defaults() {
    let matrix = read(LEAST).unwrap();
    assert_eq!(matrix.allocators[0].so, None);
    assert_eq!(matrix.lanes[0].command, ["./bench", "16"]);
    assert_eq!(matrix.lanes[0].hang_after.to_string(), "15s");
    assert_eq!(matrix.phases, [Phase { name: PhaseName::Ops, runs: 10, warmup: 0, sample: None }]);
    assert_eq!((matrix.order, matrix.on_hang, matrix.out), (Order::Interleaved, OnHang::Next, None));
}

#[test]
fn every_key_counts_and_paths_are_those_of_the_file() {
    let text = "out = 'night'\nhang_after = '20s'\ncpus = '0-15'\norder = 'shuffled'\nseed = 7\non_hang = 'retry'\n\
        command = ['taskset', './bench']\nenv = { A = '1' }\n\
        [[allocator]]\nname = 'hz4'\nso = '../lib/libhz4.so'\nenv = { HZ4_X = '1' }\n\
        [[lane]]\nname = 'main'\nargs = ['16']\n\
        [[lane]]\nname = 'guard'\ncommand = ['env', 'x']\nhang_after = '1m'\ncpus = '2'\nenv = { A = '2' }\n\
        [phase.ops]\nruns = 4\nwarmup = 1\n[phase.rss]\nrss_runs = 2\nsample = '10ms'\n";
    let matrix = read(text).unwrap();
    assert_eq!(matrix.out.as_deref(), Some(Path::new("/m/night")));
    assert_eq!(matrix.allocators[0].so.as_deref(), Some(Path::new("/m/../lib/libhz4.so")));
    let [main, guard] = &matrix.lanes[..] else { panic!("{matrix:?}") };
    assert_eq!(main.command, ["taskset", "./bench", "16"]);
    assert_eq!((main.hang_after.to_string(), main.cpus.as_deref()), ("20s".into(), Some("0-15")));
    assert_eq!((guard.hang_after.to_string(), guard.cpus.as_deref()), ("60s".into(), Some("2")));
    assert_eq!(guard.env, [("A".into(), "1".into()), ("A".into(), "2".into())], "its own comes last");
    let rss = Phase { name: PhaseName::Rss, runs: 2, warmup: 0, sample: Some(Duration::from_millis(10)) };
    assert_eq!(matrix.phases[1], rss);
    assert_eq!((matrix.seed, matrix.on_hang), (Some(7), OnHang::Retry));
}

#[test]
fn each_mistake_is_one_line_with_its_remedy() {
    let lane = "[[lane]]\nname = 'main'\ncommand = ['./bench', '16']\n";
    let all = [
        with("[[allocator]]", "hang_afetr = '1s'\n[[allocator]]"),
        with("name = 'system'", "name = 'system'\nsoo = 'x'"),
        with("command", "comand"),
        format!("{LEAST}run = 3\n"),
        format!("{LEAST}[phase.rss]\nruns = 3\n"),
        format!("{LEAST}[phase.memory]\nruns = 3\n"),
        with("[[allocator]]", "order = 'random'\n[[allocator]]"),
        with("[[allocator]]", "on_hang = 'retyr'\n[[allocator]]"),
        with("[[allocator]]\nname = 'system'\n", ""),
        with(lane, ""),
        with("[phase.ops]\n", ""),
        with("'system'", "'sys tem'"),
        with("'system'", "'../x'"),
        with("'main'", "'hangs'"),
        format!("{LEAST}[[allocator]]\nname = 'system'\n"),
        format!("{LEAST}{lane}"),
        format!("{LEAST}[[allocator]]\nname = 'a'\nso = ' '\n"),
        format!("{LEAST}runs = 0\n"),
        format!("{LEAST}[phase.rss]\nsample = '1ms'\n"),
        format!("{LEAST}[phase.rss]\nsample = 'often'\n"),
        with("[[allocator]]", "hang_after = 'soon'\n[[allocator]]"),
        with("[[allocator]]", "hang_after = 'off'\n[[allocator]]"),
        with("['./bench', '16']", "[]"),
        with("command", "args = ['1']\ncommand"),
        with("command", "args"),
        with("command = ['./bench', '16']\n", ""),
        with("'system'", "'system'\nenv = { LD_PRELOAD = 'x.so' }"),
        with("'system'", "'system"),
        format!(
            "{LEAST}[[allocator]]\nname = 'guard_ops_x'\n[[allocator]]\nname = 'x'\n{}",
            lane.replace("main", "ops")
        ),
        format!(
            "{LEAST}[[allocator]]\nname = 'ops_x'\n[[allocator]]\nname = 'x'\n{}",
            lane.replace("main", "ops")
        ),
    ];
    let all: Vec<String> =
        all.iter().map(|text| read(text).map_or_else(|e| e.to_string(), |_| "good".into())).collect();
    assert!(all.iter().all(|line| !line.contains('\n')));
    insta::assert_snapshot!(all.join("\n"), @r#"
    matrix.toml:1: unknown key `hang_afetr`: did you mean `hang_after`?
    matrix.toml:3: unknown key `soo`: did you mean `so`?
    matrix.toml:5: unknown key `comand`: did you mean `command`?
    matrix.toml:7: unknown key `run`: did you mean `runs`?
    matrix.toml:8: unknown key `runs`: did you mean `rss_runs`?
    matrix.toml:7: unknown key `memory`; there are ops, rss
    matrix.toml:1: unknown value `random`; there are interleaved, shuffled, blocks
    matrix.toml:1: unknown value `retyr`: did you mean `retry`? There are next, retry, stop, keep
    matrix.toml: no allocator: add [[allocator]] with name = "..." and so = "PATH"
    matrix.toml: no lane: add [[lane]] with name = "main" and command = ["./bench", ...]
    matrix.toml: no phase: add [phase.ops] with runs = 10, or [phase.rss] with rss_runs = 3
    matrix.toml:2: not a usable name: "sys tem"; it becomes part of file names: give letters, digits, '.', '_' or '-'
    matrix.toml:2: not a usable name: "../x"; it becomes part of file names: give letters, digits, '.', '_' or '-'
    matrix.toml:4: a lane cannot be named "hangs": OUT has another file of that name
    matrix.toml:8: two allocators are named "system": give one of them another name
    matrix.toml:8: two lanes are named "main": give one of them another name
    matrix.toml:9: `so` is empty
    matrix.toml:7: `runs` is 0: give 1 to 100000
    matrix.toml:8: `sample` = "1ms": give 5ms or more: a look takes a millisecond itself
    matrix.toml:8: `sample` = "often": not a duration such as 15s, 500ms, 2m, 1m30s or 1h
    matrix.toml:1: `hang_after` = "soon": not a duration such as 15s, 500ms, 2m, 1m30s or 1h
    matrix.toml:1: hang_after = "off" needs stall: without both, no run ever counts as a hang
    matrix.toml:5: lane "main" has an empty command
    matrix.toml:5: lane "main" has `command` and `args`: give one
    matrix.toml:5: `args` needs a `command` above the first table: it has the program
    matrix.toml:4: lane "main" has no command: add command = ["./bench", ...]
    matrix.toml:3: LD_PRELOAD is set by hangscope: give the allocator as `so`
    matrix.toml:2: invalid literal string, expected `'`
    good
    matrix.toml: hangs of lane "ops" with allocator "x" would have the folders of another lane (hangs/ops_ops_x_1): give one of them another name
    "#);
}

#[test]
fn a_file_that_is_not_there_has_a_remedy() {
    let missing = load(Path::new("/nonexistent/matrix.toml")).unwrap_err().to_string();
    assert!(missing.ends_with("hangscope matrix --init FILE writes one to begin with"), "{missing}");
    assert!(error("x").starts_with("matrix.toml:1: "));
}
