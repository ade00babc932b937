//! What the end-to-end tests share: where the built things are, a program under the shim, what its shim says.
//!
//! They run what `scripts/test.sh` has built in release: the shim, the command, the benchmark, the allocators.

pub mod hunt;
pub mod record;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use hangscope_collector::listen::{Event, Listener, RecordedDump, What};

/// Longest wait for something that must come: far above what it takes, so that only a lost event ends it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A file in the target folder's `release`, such as `libhangscope.so`, `hangscope`, `examples/libfault_demo.so`.
///
/// # Panics
/// If it was not built.
pub fn built(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("release").join(name);
    assert!(path.exists(), "{} is not built: run ./scripts/test.sh, or what it builds first", path.display());
    path.canonicalize().expect("an existing path")
}

/// The shim.
pub fn shim() -> PathBuf {
    built("libhangscope.so")
}

/// The command.
pub fn hangscope() -> Command {
    let mut command = Command::new(built("hangscope"));
    command.env("HANGSCOPE_SHIM", shim()).stdin(Stdio::null());
    command
}

/// The benchmark.
pub fn bench() -> PathBuf {
    built("hangscope-bench")
}

/// An allocator of `tests/allocators`, by its name there.
pub fn allocator(name: &str) -> PathBuf {
    built(&format!("examples/libfault_{name}.so"))
}

/// An allocator of Debian's, such as `libjemalloc.so.2`.
///
/// # Panics
/// If it is not installed.
pub fn debian(file: &str) -> PathBuf {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let found = places.iter().map(|dir| Path::new(dir).join(file)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{file} is not installed: ./scripts/test.sh installs it"))
}

/// LD_PRELOAD with the shim in front.
pub fn preload(allocator: Option<&Path>) -> OsString {
    let mut value = shim().into_os_string();
    if let Some(allocator) = allocator {
        value.push(":");
        value.push(allocator);
    }
    value
}

/// A listening collector in a folder of its own.
pub struct Ears {
    /// Where the socket is.
    pub dir: tempfile::TempDir,
    /// The listener.
    pub listener: Listener,
}

impl Ears {
    /// Begins to listen.
    ///
    /// # Panics
    /// If it cannot.
    pub fn new() -> Ears {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = Listener::bind(&dir.path().join("run/hs.sock")).expect("a socket");
        Ears { dir, listener }
    }

    /// Puts the shim (and an allocator) in front of a command, with its settings.
    pub fn preload<'a>(&self, command: &'a mut Command, allocator: Option<&Path>) -> &'a mut Command {
        command.env("LD_PRELOAD", preload(allocator)).env("HANGSCOPE_SOCKET", self.listener.path())
    }

    /// The next event within `left`; none when the time is over.
    ///
    /// # Panics
    /// If the listener ended.
    pub fn next(&self, left: Duration) -> Option<Event> {
        match self.listener.events().recv_timeout(left) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the listener ended"),
        }
    }

    /// Takes events until `wanted` makes something of one.
    ///
    /// # Panics
    /// If that does not come within [`PATIENCE`].
    pub fn until<T>(&self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut seen = vec![];
        while let Some(event) = self.next(end.saturating_duration_since(Instant::now())) {
            if let Some(found) = wanted(&event) {
                return found;
            }
            seen.push(short(&event));
        }
        panic!("{what} did not come; what came: {}", seen.join(", "));
    }

    /// The next whole dump.
    pub fn dump(&self) -> RecordedDump {
        self.until("a dump", |event| match &event.what {
            What::Dump(dump) => Some((**dump).clone()),
            _ => None,
        })
    }

    /// The process of the next hello.
    pub fn hello(&self) -> hangscope_collector::session::Identity {
        self.until("a hello", |event| match &event.what {
            What::Hello(identity) => Some((**identity).clone()),
            _ => None,
        })
    }
}

impl Default for Ears {
    fn default() -> Self {
        Self::new()
    }
}

/// An event in a word or two, for a failed test.
pub fn short(event: &Event) -> String {
    let text = format!("{:?}", event.what);
    format!("{}:{}", event.conn.0, text.chars().take_while(|c| !matches!(c, '(' | ' ')).collect::<String>())
}

/// A child that is killed when the test is over.
pub struct Running(pub Child);

impl Running {
    /// Starts it, output thrown away.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Running {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(quiet.spawn().expect("a child"))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If that does not come within [`PATIENCE`].
    pub fn wait(mut self) -> ExitStatus {
        wait(&mut self.0, PATIENCE).expect("an end of the process")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a child's end, on a descriptor of it (pidfd_open(2)), at most `most`.
pub fn wait(child: &mut Child, most: Duration) -> Option<ExitStatus> {
    // SAFETY: pidfd_open takes a pid and flags.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) } as i32;
    if pidfd >= 0 {
        let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd; the descriptor was opened above and is closed once.
        unsafe {
            libc::poll(&raw mut poll, 1, most.as_millis() as i32);
            libc::close(pidfd);
        }
    }
    child.try_wait().ok().flatten()
}

/// Longest time that a command is given to end: a hunt of many runs takes its minutes on a machine that is busy.
const TO_ITS_END: Duration = Duration::from_secs(600);

/// Runs a command to its end and gives what it did; it is killed after [`TO_ITS_END`].
///
/// # Panics
/// If it cannot be started or does not end.
pub fn run(command: &mut Command) -> Output {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    let pid = child.id();
    let (sender, done) = crossbeam_channel::bounded(1);
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = done.recv_timeout(TO_ITS_END);
    if output.is_err() {
        // SAFETY: kill takes a pid and a signal; the child was not reaped yet, so the pid is its own.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end"));
    waiter.join().expect("the waiter").expect("its message");
    output.expect("its output")
}

/// Exit status as a shell has it, and both outputs as text.
pub fn told(output: &Output) -> (String, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (format!("{}", output.status), text(&output.stdout), text(&output.stderr))
}

/// A process that is no child of ours, and its end.
#[derive(Debug)]
pub struct Ending(std::os::fd::OwnedFd);

impl Ending {
    /// Of a process that lives; none if it does not.
    pub fn of(pid: u32) -> Option<Ending> {
        use std::os::fd::FromRawFd as _;
        // SAFETY: pidfd_open(2) takes two numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        // SAFETY: a descriptor that was just made, and nobody else's.
        (fd >= 0).then(|| Ending(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Waits for its end.
    pub fn ends_within(&self, patience: Duration) -> bool {
        use std::os::fd::AsRawFd as _;
        // A pidfd is readable once the process has ended, whether or not anybody has waited for it.
        let mut fd = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd.
        unsafe { libc::poll(&raw mut fd, 1, patience.as_millis() as i32) == 1 }
    }
}
