//! Code that the end-to-end tests share: the paths of the built files, programs under the shim, and a
//! listener for the shim's messages.
//!
//! A helper panics if it cannot do its work, which fails the test.
//!
//! The tests run the files that `scripts/test.sh` builds in release:
//! the shim, the command, the benchmark and the allocators.

pub mod carriers;
pub mod client;
pub mod collect;
pub mod cores;
pub mod exported;
pub mod faults;
pub mod hung;
pub mod hunt;
pub mod kinds;
pub mod pages;
pub mod record;
pub mod runners;
pub mod slurm;
pub mod tmux;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use hangscope_collector::listen::{Event, Listener, RecordedDump, What};

/// Time limit of each wait for an event that must come. Every event
/// comes much earlier, so only a lost event reaches the limit.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The path of a file in the target folder's `release`, such as `hangscope` or `examples/libfault_demo.so`.
pub fn built(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("release").join(name);
    assert!(path.exists(), "{} is not built: run ./scripts/test.sh, or what it builds first", path.display());
    path.canonicalize().expect("an existing path")
}

pub fn shim() -> PathBuf {
    built("libhangscope.so")
}

/// The `hangscope` command, set to use the shim of this build, in English, with an empty stdin, and a history
/// of its own.
pub fn hangscope() -> Command {
    let mut command = Command::new(built("hangscope"));
    command.env("HANGSCOPE_SHIM", shim()).env("LC_ALL", "C").stdin(Stdio::null());
    command.env("XDG_DATA_HOME", new_data_home());
    command
}

/// A folder in the target folder that no other command has. `scripts/test.sh` removes all of them.
fn new_data_home() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    built("hangscope").with_file_name("test-data").join(format!("{}-{number}", std::process::id()))
}

pub fn bench() -> PathBuf {
    built("hangscope-bench")
}

/// An allocator of `tests/allocators`, by the name of its row in the table.
pub fn allocator(name: &str) -> PathBuf {
    built(&format!("examples/libfault_{name}.so"))
}

/// The path of a library that a Debian package installs, such as `libjemalloc.so.2`.
pub fn debian(file: &str) -> PathBuf {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let found = places.iter().map(|dir| Path::new(dir).join(file)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{file} is not installed: ./scripts/test.sh installs it"))
}

/// The value of LD_PRELOAD: the shim, then the allocator if there is one.
pub fn preload(allocator: Option<&Path>) -> OsString {
    let mut value = shim().into_os_string();
    if let Some(allocator) = allocator {
        value.push(":");
        value.push(allocator);
    }
    value
}

/// A collector inside the test process. It listens on a socket in its own temporary folder.
pub struct TestCollector {
    /// The folder of the socket.
    pub dir: tempfile::TempDir,
    pub listener: Listener,
}

impl TestCollector {
    pub fn new() -> TestCollector {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = Listener::bind(&dir.path().join("run/hs.sock")).expect("a socket");
        TestCollector { dir, listener }
    }

    /// Makes a command preload the shim (and an allocator), and report to this collector.
    pub fn preload<'a>(&self, command: &'a mut Command, allocator: Option<&Path>) -> &'a mut Command {
        command.env("LD_PRELOAD", preload(allocator)).env("HANGSCOPE_SOCKET", self.listener.path())
    }

    /// Waits at most `left` for the next event.
    pub fn next(&self, left: Duration) -> Option<Event> {
        match self.listener.events().recv_timeout(left) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the listener ended"),
        }
    }

    /// Takes events until `wanted` returns a value for one of them, and returns that value. `what` names the
    /// event in the message of a failure.
    pub fn until<T>(&self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let end = Instant::now() + GIVE_UP_AFTER;
        let mut seen = vec![];
        while let Some(event) = self.next(end.saturating_duration_since(Instant::now())) {
            if let Some(found) = wanted(&event) {
                return found;
            }
            seen.push(event_name(&event));
        }
        panic!("{what} did not come; these events came: {}", seen.join(", "));
    }

    /// Waits for the next complete dump.
    pub fn dump(&self) -> RecordedDump {
        self.until("a dump", |event| match &event.what {
            What::Dump(dump) => Some(dump.read().expect("a dump that can be read")),
            _ => None,
        })
    }

    /// Waits for the next hello, and returns the process that sent it.
    pub fn hello(&self) -> hangscope_collector::session::Identity {
        self.until("a hello", |event| match &event.what {
            What::Hello(identity) => Some((**identity).clone()),
            _ => None,
        })
    }
}

impl Default for TestCollector {
    fn default() -> Self {
        Self::new()
    }
}

/// Connection and kind of an event, for the message of a failed test.
fn event_name(event: &Event) -> String {
    let text = format!("{:?}", event.what);
    format!("{}:{}", event.conn.0, text.chars().take_while(|c| !matches!(c, '(' | ' ')).collect::<String>())
}

/// A child process. Dropping the value kills it.
pub struct Running(pub Child);

impl Running {
    /// Starts a command and discards its output.
    pub fn start(command: &mut Command) -> Running {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(quiet.spawn().expect("a child"))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until the child ends.
    pub fn wait(mut self) -> ExitStatus {
        wait(&mut self.0, GIVE_UP_AFTER).expect("the end of the child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a child that nothing has waited for yet.
pub fn send_signal(child: &Child, signal: i32) {
    // SAFETY: kill touches no memory. The child was not reaped, so the pid is still the child's own.
    unsafe { libc::kill(child.id() as i32, signal) };
}

/// Kills the process group of a child that is the leader of its group and was not waited for yet.
pub fn kill_group(child: &Child) {
    // SAFETY: kill touches no memory. The child was not reaped, so the group is still the child's own.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
}

/// Waits at most `limit` for the end of a child. Returns None if the child still runs then.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    // SAFETY: pidfd_open takes two numbers.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) } as i32;
    if pidfd >= 0 {
        let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        // SAFETY: poll gets one live pollfd. The descriptor was opened above and is closed once.
        unsafe {
            libc::poll(&raw mut poll, 1, limit.as_millis() as i32);
            libc::close(pidfd);
        }
    }
    child.try_wait().ok().flatten()
}

/// Time limit of one command. A hunt of many runs takes minutes on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

/// Runs a command to its end and returns its status and outputs. Kills it after `COMMAND_TIMEOUT`.
pub fn run(command: &mut Command) -> Output {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    let pid = child.id();
    let (sender, done) = crossbeam_channel::bounded(1);
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = done.recv_timeout(COMMAND_TIMEOUT);
    if output.is_err() {
        // SAFETY: kill touches no memory. The waiter has not returned, so
        // the child was not reaped and the pid is still the child's own.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end"));
    waiter.join().expect("the waiter").expect("its message");
    output.expect("its output")
}

/// The status as text (such as `exit status: 0`), stdout and stderr of a command that has ended.
pub fn output_parts(output: &Output) -> (String, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (format!("{}", output.status), text(&output.stdout), text(&output.stderr))
}

/// A handle (pidfd) for the end of a process that is not a child of this one.
#[derive(Debug)]
pub struct ProcessEnd(std::os::fd::OwnedFd);

impl ProcessEnd {
    /// Opens the handle. Returns None if the process does not exist.
    pub fn of(pid: u32) -> Option<ProcessEnd> {
        use std::os::fd::FromRawFd as _;
        // SAFETY: pidfd_open(2) takes two numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        // SAFETY: the descriptor was just opened, and nothing else owns it.
        (fd >= 0).then(|| ProcessEnd(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Waits at most `limit`, and returns whether the process has ended.
    pub fn ends_within(&self, limit: Duration) -> bool {
        use std::os::fd::AsRawFd as _;
        // A pidfd is readable once the process has ended, even before its parent waits for it.
        let mut fd = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: poll gets one live pollfd.
        unsafe { libc::poll(&raw mut fd, 1, limit.as_millis() as i32) == 1 }
    }
}
