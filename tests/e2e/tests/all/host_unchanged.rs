//! The host does not notice the shim. Exit status, output and descriptors of ordinary programs are the same
//! with and without the shim. The shim looks every 10 ms and reports to a listener.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hangscope_collector::listen::What;
use hangscope_test_e2e::{GIVE_UP_AFTER, TestCollector, output_parts, run};

/// Runs `make()` without and with the shim, and checks that both runs are the same. Returns the number of
/// programs that sent a hello. `preloads` says whether the loader can preload the shim into the program.
fn check_same(name: &str, preloads: bool, make: impl Fn() -> Command) -> usize {
    check_same_stirred("0", name, preloads, make)
}

/// Does the same with the shim's level `stir` of disturbed scheduling.
fn check_same_stirred(stir: &str, name: &str, preloads: bool, make: impl Fn() -> Command) -> usize {
    let plain = output_parts(&run(&mut make()));
    let collector = TestCollector::new();
    let mut watched = make();
    collector.preload(&mut watched, None);
    watched.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", "off").env("HANGSCOPE_STIR", stir);
    // As a hunt does. SigCgt of /proc/self/status, which this part prints, is what shows the handler.
    watched.env("HANGSCOPE_CRASH", if name == "signals" { "off" } else { "on" });
    let watched = output_parts(&run(&mut watched));
    assert_eq!(plain, watched, "{name}: (status, stdout, stderr) without and with the shim");
    // The program has ended, so all its messages have reached the listener's socket. The listener's threads
    // may not have read them yet, so this loop waits for one hello if there must be one.
    let mut hellos = 0;
    let mut left = if preloads { GIVE_UP_AFTER } else { Duration::ZERO };
    while let Some(event) = collector.next(left) {
        hellos += usize::from(matches!(event.what, What::Hello(_)));
        assert!(!matches!(event.what, What::Rejected(_)), "{name}: {:?}", event.what);
        left = if hellos > 0 { Duration::ZERO } else { left };
    }
    hellos
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn host(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    command.args(args);
    command
}

/// Does the same, and checks that the program sent a hello, so that the shim was really there.
fn check_same_and_watched(name: &str, make: impl Fn() -> Command) {
    let hellos = check_same(name, true, make);
    assert!(hellos > 0, "{name}: no program sent a hello");
    println!("{name}: same, {hellos} hellos");
}

#[test]
fn shell() {
    check_same_and_watched("sh", || {
        sh("i=0; while [ $i -lt 50 ]; do i=$((i+1)); done; echo $i | cat | tr 0-9 a-j; exit 3")
    });
}

#[test]
fn python() {
    check_same_and_watched("python3", threads_in_python);
}

fn threads_in_python() -> Command {
    let script = "import os, threading, sys\n\
        t = [threading.Thread(target=lambda: sum(range(100000))) for _ in range(4)]\n\
        [x.start() for x in t]; [x.join() for x in t]\n\
        print(sorted(os.listdir('/proc/self/fd'))); sys.exit(9)";
    let mut command = Command::new("/usr/bin/env");
    command.args(["python3", "-c", script]);
    command
}

#[test]
fn git() {
    let repository = tempfile::tempdir().expect("a folder");
    let dir = repository.path().to_owned();
    check_same_and_watched("git", || {
        let mut command = sh("rm -rf .git a && git init -q . && echo hello > a && git add a && \
            git -c user.name=n -c user.email=e commit -qm one && git log --format=%s && git status --short");
        command.current_dir(&dir).env("GIT_AUTHOR_DATE", "0 +0000").env("GIT_COMMITTER_DATE", "0 +0000");
        command
    });
}

#[test]
fn tar() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a"), vec![7; 100_000]).expect("a file");
    let dir = folder.path().to_owned();
    check_same_and_watched("tar", || {
        let mut command = sh("tar czf - a | tar tzvf - ; tar cf /nowhere/x a; echo $?");
        command.current_dir(&dir);
        command
    });
}

/// Compiles a C program in `dir`.
fn compile(dir: &std::path::Path, code: &str, options: &[&str]) -> PathBuf {
    let (source, program) = (dir.join("p.c"), dir.join("p"));
    std::fs::write(&source, code).expect("a source file");
    let mut gcc = Command::new("gcc");
    let output = run(gcc.args(options).arg("-o").arg(&program).arg(&source));
    assert!(output.status.success(), "gcc: {}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn gcc() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_owned();
    std::fs::write(dir.join("p.c"), "#include <stdio.h>\nint main(void) { puts(\"hi\"); return 4; }\n")
        .expect("a file");
    check_same_and_watched("gcc", || {
        let mut command = sh("gcc -O2 -Wall -o p p.c && ./p; echo $?; gcc -c nothing.c; echo $?");
        command.current_dir(&dir);
        command
    });
}

#[test]
fn a_static_binary() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = "#include <stdio.h>\nint main(void) { puts(\"static\"); return 6; }\n";
    let program = compile(folder.path(), code, &["-static"]);
    let hellos = check_same("static", false, || Command::new(&program));
    assert_eq!(hellos, 0, "a static binary has no loader, so nothing is preloaded");
}

#[test]
fn descriptors() {
    check_same_and_watched("fds", || host(&["fds"]));
}

#[test]
fn one_that_closes_all_descriptors() {
    check_same_and_watched("close-all", || host(&["close-all"]));
}

#[test]
fn one_that_forks_200_children() {
    check_same_and_watched("fork", || host(&["fork", "200"]));
}

#[test]
fn one_that_execs_in_a_chain() {
    check_same_and_watched("exec-chain", || host(&["exec-chain", "12"]));
}

#[test]
fn one_whose_first_thread_calls_pthread_exit() {
    // The program is in C. pthread_exit unwinds the stack, and Rust's main aborts on that.
    let folder = tempfile::tempdir().expect("a folder");
    let code = "#include <pthread.h>\n#include <stdio.h>\n#include <unistd.h>\n\
        static void *later(void *n) { usleep(300000); puts(\"the first thread is gone\"); return n; }\n\
        int main(void) { pthread_t t; pthread_create(&t, 0, later, 0); pthread_exit(0); }\n";
    let program = compile(folder.path(), code, &["-pthread"]);
    check_same_and_watched("pthread-exit", || Command::new(&program));
}

#[test]
fn one_that_drops_root() {
    check_same_and_watched("drop-root", || host(&["drop-root", "65534"]));
}

#[test]
fn signal_handlers_and_masks() {
    check_same_and_watched("signals", || host(&["signals"]));
}

#[test]
fn environment() {
    check_same_and_watched("environ", || host(&["environ"]));
}

#[test]
fn vfork() {
    check_same_and_watched("vfork", || host(&["vfork"]));
}

#[test]
fn glibc_still_thinks_that_there_is_one_thread() {
    check_same_and_watched("single-threaded", || host(&["single-threaded"]));
}

#[test]
fn the_old_working_directory_is_not_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_owned();
    check_same_and_watched("directory", || {
        let mut command = host(&["directory"]);
        command.current_dir(&dir);
        command
    });
}

#[test]
fn at_once() {
    check_same_and_watched("exit", || host(&["exit", "7"]));
}

/// Disturbed scheduling changes nothing else: programs print the same and end in the same way.
#[test]
fn also_where_scheduling_is_disturbed() {
    let stirred = |name: &str, make: &dyn Fn() -> Command| {
        let hellos = check_same_stirred("3", name, true, make);
        assert!(hellos > 0, "{name}: no program sent a hello");
    };
    stirred("sh", &|| {
        sh("i=0; while [ $i -lt 50 ]; do i=$((i+1)); done; echo $i | cat | tr 0-9 a-j; exit 3")
    });
    stirred("python3", &threads_in_python);
    stirred("fds", &|| host(&["fds"]));
    stirred("fork", &|| host(&["fork", "50"]));
    stirred("exec-chain", &|| host(&["exec-chain", "12"]));
    stirred("drop-root", &|| host(&["drop-root", "65534"]));
    stirred("signals", &|| host(&["signals"]));
    stirred("vfork", &|| host(&["vfork"]));
    stirred("single-threaded", &|| host(&["single-threaded"]));
    stirred("children of busy threads", &|| host(&["busy-forks", "100"]));
    stirred("a trap of its own", &|| host(&["busy-trap"]));
    stirred("interrupted calls", &|| host(&["busy-naps", "300"]));
}
