//! The fault table: what a process or a client does, what is promised all the same, and what was seen.
//!
//! The programs are those of `tests/faults`, a C file for each group. Each runs without the shim and with it,
//! and what it prints and how it ends must be the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::{TestCollector, hangscope, output_parts, run};

/// A row of the printed table.
#[derive(Clone, Debug)]
pub struct Row {
    pub group: String,
    pub fault: String,
    pub promise: &'static str,
    /// What was seen; else how the promise was broken.
    pub result: Result<String, String>,
}

/// A group of programs: the C file, and what is promised to all of them.
pub struct Group {
    pub file: &'static str,
    pub promise: &'static str,
}

pub const GROUPS: [Group; 7] = [
    Group { file: "waits", promise: "a call waits its whole time" },
    Group { file: "stacks", promise: "no frame on a stack that has no room for it" },
    Group { file: "signals", promise: "no signal that was not there before" },
    Group { file: "filters", promise: "no call that a filter forbids" },
    Group { file: "limits", promise: "limits, credentials and descriptors are the program's own" },
    Group { file: "processes", promise: "children and new programs are what they were" },
    Group { file: "threads", promise: "threads and what they compute are what they were" },
];

/// Builds the programs. Gives the path, and group and name of each fault, sorted.
pub fn build(to: &Path) -> (PathBuf, Vec<(String, String)>) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../faults");
    let program = to.join("faults");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-o"]).arg(&program).arg("-I").arg(&sources);
    cc.arg(sources.join("main.c")).args(GROUPS.iter().map(|g| sources.join(format!("{}.c", g.file))));
    let built = run(cc.args(["-pthread", "-ldl", "-lrt"]));
    assert!(built.status.success(), "{built:?}");
    let listed = run(&mut Command::new(&program));
    let mut faults: Vec<(String, String)> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| line.split_once(".c "))
        .map(|(group, name)| (group.to_owned(), name.to_owned()))
        .collect();
    faults.sort();
    (program, faults)
}

/// Runs one fault without the shim and with it, while a dump of it is made.
pub fn of_program(program: &Path, group: &str, name: &str, collector: &TestCollector) -> Row {
    let promise = GROUPS.iter().find(|g| g.file == group).expect("a group of the table").promise;
    let command = || {
        let mut command = Command::new(program);
        command.arg(name).current_dir(program.parent().expect("a folder"));
        command
    };
    let seen = |with: bool| {
        let mut command = command();
        if with {
            collector.preload(&mut command, None);
            command.env("HANGSCOPE_HANG_AFTER", "100ms").env("HANGSCOPE_TICK", "50ms");
        }
        output_parts(&run(&mut command))
    };
    // A busy machine can make a program late by itself: what differs is looked at again.
    let mut broken = String::new();
    for _ in 0..3 {
        let (plain, watched) = (seen(false), seen(true));
        if plain == watched {
            let fault = name.replace('_', " ");
            return Row { group: group.into(), fault, promise, result: Ok(one_line(&watched)) };
        }
        broken = format!("without the shim {}, with it {}", one_line(&plain), one_line(&watched));
    }
    Row { group: group.into(), fault: name.replace('_', " "), promise, result: Err(broken) }
}

fn one_line((status, stdout, stderr): &(String, String, String)) -> String {
    let said = format!("{stdout}{stderr}").lines().collect::<Vec<_>>().join("; ");
    let said: String = said.chars().filter(|c| !c.is_control()).take(60).collect();
    let status = status.trim_start_matches("exit status: ");
    if said.is_empty() { status.to_owned() } else { format!("{status}: {said}") }
}

/// Runs `hangscope ARGS`, which must end by itself with one line that says why it cannot, or with a result.
pub fn of_file(fault: &str, args: &[&str]) -> Row {
    let promise = "an answer or one line that says why not, and no crash";
    let output = run(hangscope().args(args));
    let (status, _, stderr) = output_parts(&output);
    let result = match output.status.code() {
        Some(0) => Ok("read".to_owned()),
        Some(1 | 2) if stderr.lines().count() == 1 => Ok("refused".to_owned()),
        _ => Err(format!("{} ends with {status}: {stderr}", args.join(" "))),
    };
    Row { group: "files".into(), fault: format!("{fault}: {}", args[0]), promise, result }
}

/// All of a list at once, so many at a time.
pub fn at_once<T: Sync, R: Send>(items: &[T], many: usize, each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (std::sync::atomic::AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..many {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(n) else { return };
                    let result = each(item);
                    done.lock().expect("no panic").push((n, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic");
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The table as the tests print it.
pub fn print(rows: &[Row]) {
    let broken = rows.iter().filter(|row| row.result.is_err()).count();
    println!("fault table: {} faults, {broken} promises broken", rows.len());
    for row in rows {
        let result = match &row.result {
            Ok(seen) => format!("held: {seen}"),
            Err(how) => format!("BROKEN: {how}"),
        };
        println!("{:<11}{:<48}{:<60}{result}", row.group, row.fault, row.promise);
    }
}
