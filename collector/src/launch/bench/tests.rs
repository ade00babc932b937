//! Real processes, started and stopped.

use std::path::Path;

use hangscope_reader::task::Stat;

use crate::launch::bench::*;
use crate::proc::task;

fn start(script: &str, mark: &str) -> Bench {
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("HANGSCOPE_TEST_MARK", mark);
    let null = || File::options().write(true).open("/dev/null").unwrap();
    Bench::start(command, null(), null(), None, format!("HANGSCOPE_TEST_MARK={mark}"), AtOurEnd::Killed)
        .unwrap()
}

fn alive(signs: &Signs) -> Vec<Member> {
    signs.look().unwrap().alive
}

#[test]
fn the_status_is_that_of_the_run() {
    let mut bench = start("exit 7", "a1");
    bench.ended().recv().unwrap();
    let ended = bench.reap().unwrap();
    assert_eq!((ended.code, ended.signal), (Some(7), None));
    let mut bench = start("kill -SEGV $$", "a2");
    bench.ended().recv().unwrap();
    assert_eq!(bench.reap().unwrap().signal, Some(11));
    let mut bench = start("kill -40 $$", "a3");
    bench.ended().recv().unwrap();
    assert_eq!(bench.reap().unwrap().signal, Some(40), "a real-time signal");
}

#[test]
fn a_run_is_stopped_with_all_that_belongs_to_it() {
    // A child in the group that ignores TERM, one that left the group, and a first process that waits.
    let script = "(trap '' TERM; while :; do sleep 1; done) & setsid sleep 1000 & wait";
    let mut bench = start(script, "b1");
    while bench.members().unwrap().len() < 4 {
        std::thread::yield_now();
    }
    let ended = bench.stop(Duration::from_millis(300)).unwrap();
    assert_eq!(ended.signal, Some(15));
    assert_eq!(alive(&bench.signs), []);
}

#[test]
fn one_that_cannot_be_waited_for_is_not_started() {
    let mut command = Command::new("sleep");
    command.arg("1000").env("HANGSCOPE_TEST_MARK", "f1");
    let null = || File::options().write(true).open("/dev/null").unwrap();
    let (mut pid, mark) = (None, "HANGSCOPE_TEST_MARK=f1".to_owned());
    let no_thread = |child: Pid| {
        pid = Some(child);
        Err(io::Error::from_raw_os_error(libc::EAGAIN))
    };
    let error =
        Bench::start_with(command, [null(), null()], None, mark, AtOurEnd::Killed, no_thread).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(alive(&Signs::of_run(pid.unwrap(), "HANGSCOPE_TEST_MARK=f1".into())), []);
}

#[test]
fn it_gets_the_limit_of_open_files_from_before_it_was_raised() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let before = hard - 1;
    setrlimit(Resource::RLIMIT_NOFILE, before, hard).unwrap();
    descriptors::raise();
    assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    let mut out = tempfile::tempfile().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn; ulimit -Hn"]);
    let null = File::options().write(true).open("/dev/null").unwrap();
    let mut bench =
        Bench::start(command, out.try_clone().unwrap(), null, None, "D=2".into(), AtOurEnd::Killed).unwrap();
    assert_eq!(bench.reap().unwrap().code, Some(0));
    let mut text = String::new();
    std::io::Seek::rewind(&mut out).unwrap();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    assert_eq!(text, format!("{before}\n{hard}\n"));
}

#[test]
fn the_kernel_tells_whether_it_has_ended() {
    let mut bench = start("exec sleep 1000", "g1");
    assert!(!bench.has_ended());
    nix::sys::signal::kill(bench.pid, Signal::SIGTERM).unwrap();
    bench.ended().recv().unwrap();
    assert!(bench.has_ended());
    assert_eq!(bench.reap().unwrap().signal, Some(15), "it was not reaped");
    assert!(bench.has_ended());
}

#[test]
fn one_that_takes_no_term_is_killed() {
    let mut bench = start("trap '' TERM; echo; while :; do sleep 1; done", "e1");
    // It may have inherited other ignored signals (nohup). TERM is bit 14.
    let ignores_term = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", bench.pid())).unwrap();
        let set = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).unwrap();
        u64::from_str_radix(set.trim(), 16).unwrap() & 1 << 14 != 0
    };
    while !ignores_term() {
        std::thread::yield_now();
    }
    assert_eq!(bench.stop(Duration::from_millis(100)).unwrap().signal, Some(9));
}

#[test]
fn a_dropped_run_is_killed() {
    let bench = start("trap '' TERM; while :; do sleep 1; done", "c1");
    let pid = bench.pid;
    drop(bench);
    assert_eq!(alive(&Signs::of_run(pid, "HANGSCOPE_TEST_MARK=c1".into())), []);
}

#[test]
fn it_runs_on_the_processors_it_was_given() {
    let cpus = crate::launch::cpus::Cpus::parse("0").unwrap();
    let mut out = tempfile::tempfile().unwrap();
    let mut command = Command::new("grep");
    command.args(["Cpus_allowed_list", "/proc/self/status"]);
    let null = File::options().write(true).open("/dev/null").unwrap();
    let mut bench = Bench::start(
        command,
        out.try_clone().unwrap(),
        null,
        Some(cpus.set()),
        "D=1".into(),
        AtOurEnd::Killed,
    )
    .unwrap();
    assert_eq!(bench.reap().unwrap().code, Some(0));
    let mut text = String::new();
    std::io::Seek::rewind(&mut out).unwrap();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    assert_eq!(text.split_whitespace().last(), Some("0"));
}

#[test]
fn a_process_that_goes_on_without_its_main_thread_belongs_to_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("main_left");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/main_left.c");
    let gcc = Command::new("gcc").args([source, "-pthread", "-o"]).arg(&program).status();
    assert!(gcc.unwrap().success());
    let mut bench = start(&format!("setsid {} & wait", program.display()), "m1");
    let without_main = |pid: &u32| {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        Stat::parse(&stat).is_some_and(|stat| stat.ppid == bench.pid() && stat.state == b'Z')
    };
    let pid = loop {
        if let Some(pid) = task::pids(Path::new("/proc")).unwrap().into_iter().find(without_main) {
            break pid;
        }
    };
    assert!(bench.members().unwrap().iter().any(|m| m.pid == pid));
    bench.stop(Duration::from_millis(300)).unwrap();
    assert_eq!(alive(&bench.signs), []);
}
