//! The shim is a guest: it does nothing that it was not asked for, and speaks to its own user only.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use hangscope_test_e2e::{TestCollector, run, shim};

/// A user that owns nothing.
const NOBODY: u32 = 65534;

/// Whether there is such a command: a test says that it skips what it cannot do.
fn has(command: &str) -> bool {
    let found = Command::new(command).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// The system calls of `/bin/true`, without the loader's look-up of files.
fn calls(with_shim: bool) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o"]).arg(&trace).env_remove("HANGSCOPE_SOCKET");
    if with_shim {
        let mut preload = std::ffi::OsString::from("LD_PRELOAD=");
        preload.push(shim());
        strace.arg("-E").arg(preload);
    }
    assert!(run(strace.arg("/bin/true")).status.success());
    let text = std::fs::read_to_string(&trace).expect("a trace");
    let name = |line: &str| line.split_whitespace().nth(1)?.split('(').next().map(str::to_owned);
    text.lines().filter_map(name).collect()
}

#[test]
fn without_a_socket_it_makes_no_system_call() {
    // Everything that the loader does for one more DSO ends before the first call that libc makes for itself.
    let (plain, with) = (calls(false), calls(true));
    let of_start = |calls: &[String]| {
        let at = calls.iter().position(|call| call == "arch_prctl").expect("the start of libc");
        calls.get(at..).unwrap_or(&[]).to_vec()
    };
    let mut expected = of_start(&plain);
    let protect = expected.iter().position(|call| call == "mprotect").expect("the loader's mprotect");
    expected.insert(protect, "mprotect".to_owned());
    assert_eq!(
        of_start(&with),
        expected,
        "one mprotect more, of the shim's own relocations, and nothing else"
    );
    for quiet in ["clock_gettime", "clone", "gettid", "getpid"] {
        let count = |calls: &[String]| calls.iter().filter(|call| *call == quiet).count();
        assert_eq!(count(&with), count(&plain), "{quiet}");
    }
}

#[test]
fn under_valgrind_it_stays_quiet() {
    if !has("valgrind") {
        println!("skipped: no valgrind");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("sock");
    let mut server = Server::start(&socket, None);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["-q", "--error-exitcode=9"]).arg(if Path::new("/usr/bin/true").exists() {
        "/usr/bin/true"
    } else {
        "/bin/true"
    });
    // Valgrind begins as a program of its own, which would be watched: it is told which one it is.
    valgrind.env("LD_PRELOAD", shim()).env("HANGSCOPE_SOCKET", &socket).env("HANGSCOPE_ONLY", "true");
    let output = run(&mut valgrind);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.connections_until_now(), Vec::<u64>::new(), "nothing was watched");
}

/// A process that listens, and counts the bytes of each connection.
struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    socket: PathBuf,
}

impl Server {
    fn start(socket: &Path, user: Option<u32>) -> Server {
        let folder = socket.parent().expect("a folder");
        // The build's folder may be closed to other users. Another process copies: a child that another test
        // has just forked would hold the file open for writing.
        let program = folder.join("server");
        let copied = run(Command::new("cp").arg(env!("CARGO_BIN_EXE_hangscope-host")).arg(&program));
        assert!(copied.status.success(), "{copied:?}");
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).expect("an open folder");
        let mut command = Command::new(&program);
        command.arg("listen").arg(socket).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().expect("a server");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        assert_eq!(lines.next().expect("a line").expect("text"), "listening");
        Server { child, lines, socket: socket.to_owned() }
    }

    /// Ends the server. Gives the bytes of each connection so far.
    fn connections_until_now(&mut self) -> Vec<u64> {
        drop(self.child.stdin.take());
        let rest = self.lines.by_ref().map(|line| line.expect("text").parse().expect("a number")).collect();
        assert!(self.child.wait().expect("its end").success());
        let _ = std::fs::remove_file(&self.socket);
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of the shim that every user can read: the build's folder may be closed.
fn readable_shim(folder: &Path) -> PathBuf {
    let library = folder.join("shim.so");
    std::fs::copy(shim(), &library).expect("a copy");
    std::fs::set_permissions(&library, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    library
}

/// What a server of `server`'s gets of a process of `host`'s: the bytes of each connection.
fn heard(server: Option<u32>, host: Option<u32>) -> Vec<u64> {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("sock");
    let library = readable_shim(folder.path());
    let mut server = Server::start(&socket, server);
    let mut command = Command::new("/bin/false");
    // The destructor waits for the hello, or until it is clear that there is none.
    command.env("LD_PRELOAD", &library).env("HANGSCOPE_SOCKET", &socket);
    if let Some(user) = host {
        command.uid(user).gid(user);
    }
    let output = run(&mut command);
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(1), &b""[..]));
    server.connections_until_now()
}

fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn another_user_who_listens_hears_nothing_and_root_and_the_own_user_hear_all() {
    let own = heard(None, None);
    assert!(own.iter().sum::<u64>() > 500, "{own:?}");
    if !is_root() {
        println!("skipped: two users need root");
        return;
    }
    assert_eq!(heard(Some(NOBODY), None), [0], "root's process connects, looks, and leaves");
    assert_eq!(heard(Some(NOBODY), Some(1)), [0]);
    for (server, host) in [(None, Some(NOBODY)), (Some(NOBODY), Some(NOBODY))] {
        let heard = heard(server, host);
        assert!(heard.iter().sum::<u64>() > 500, "{server:?} {host:?}: {heard:?}");
    }
}

#[test]
fn a_host_that_becomes_another_user_leaves_a_collector_of_the_one_before() {
    if !is_root() {
        println!("skipped: two users need root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("sock");
    let mut server = Server::start(&socket, Some(NOBODY));
    let program = folder.path().join("server");
    let library = readable_shim(folder.path());
    let host = |user: u32| {
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        command.args(["--inh-caps", "+setuid", "--ambient-caps", "+setuid", "env"]);
        let preload = format!("LD_PRELOAD={}", library.display());
        command.args([&preload, "HANGSCOPE_TICK=10ms"]).arg(&program).args(["becomes", &user.to_string()]);
        let output = run(command.env("HANGSCOPE_SOCKET", &socket));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    // It begins as nobody does, with nobody's collector. Once it is another user, the watchdog leaves.
    assert_eq!(host(1), "1 threads\n");
    assert_eq!(host(NOBODY), "2 threads\n");
    assert_eq!(server.connections_until_now().len(), 2);
}

/// A filter that ends the process for every call but those of a small program, installed after the start.
/// Then a child that only computes, and a look of the watchdog.
const FILTERED: &str = r#"
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int allowed[] = { SYS_read, SYS_write, SYS_futex, SYS_clone, SYS_clone3, SYS_set_robust_list,
    SYS_rseq, SYS_wait4, SYS_gettid, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn, SYS_clock_nanosleep,
    SYS_exit, SYS_exit_group, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_brk, SYS_fstat, SYS_newfstatat,
    SYS_restart_syscall, SYS_getrandom };

int main(int argc, char **argv) {
    struct sock_filter code[2 * sizeof allowed / sizeof *allowed + 2];
    unsigned n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = { n, code };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int all = argc > 1 && !strcmp(argv[1], "all");
    /* The watchdog is between two looks: one that looks at this very moment would be killed. */
    if (all) usleep(300000);
    long done = all ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program)
                    : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    if (done) return 3;
    pid_t child = fork();
    if (!child) {
        for (volatile unsigned long i = 0; i < 200000000; i++) { }
        _exit(5);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("child %x\n", status);
    return 7;
}
"#;

#[test]
fn a_program_that_filters_its_system_calls_and_forks_runs_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, program) = (folder.path().join("p.c"), folder.path().join("p"));
    std::fs::write(&source, FILTERED).expect("a source file");
    let compiled = run(Command::new("gcc").arg("-O1").arg("-o").arg(&program).arg(&source));
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let collector = TestCollector::new();
    for threads in ["own", "all"] {
        let mut command = Command::new(&program);
        collector.preload(&mut command, None).env("HANGSCOPE_TICK", "1s").env("HANGSCOPE_HANG_AFTER", "off");
        // The hello is out before the filter is in force.
        let output = run(command.arg(threads).env("HANGSCOPE_GREET", "1"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!((output.status.code(), text.as_str()), (Some(7), "child 500\n"), "{threads}: {output:?}");
        collector.hello();
    }
}
