//! Small programs that do what ordinary hosts do: fork, exec, close all descriptors, give up root. Each
//! prints what it can see of itself. A test compares the output with that of a run without the shim.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args.get(i).and_then(|a| a.parse::<i32>().ok()).unwrap_or(0);
    match args.get(1).map(String::as_str) {
        Some("fds") => print_fds(),
        Some("fork") => fork_children(number(2)),
        Some("exec-chain") => exec_chain(&args[0], number(2)),
        Some("close-all") => close_all(),
        Some("drop-root") => drop_root(number(2)),
        Some("signals") => print_signals(),
        Some("environ") => print_environ(),
        Some("vfork") => vfork(&args[0]),
        Some("single-threaded") => println!("{}", single_threaded()),
        Some("exit") => std::process::exit(number(2)),
        Some("wait-child") => wait_child(number(2)),
        Some("directory") => directory(),
        Some("many") => many(number(2), number(3)),
        Some("many-deaf") => {
            block_all_signals();
            many(number(2), number(3));
        }
        Some("busy-forks") => busy_forks(number(2)),
        Some("busy-trap") => busy_trap(),
        Some("busy-naps") => busy_naps(number(2)),
        Some("stuck") => stuck(number(2)),
        Some("overflow") => println!("{}", overflow(1)),
        Some("overflow-thread") => {
            let thread = std::thread::Builder::new().name("deep".to_owned()).spawn(|| overflow(1));
            println!("{:?}", thread.expect("a thread").join());
        }
        Some("listen") => listen(&args[2]),
        Some("becomes") => becomes(number(2) as u32),
        Some("malloc-as-hangscope") => malloc_as_hangscope(),
        other => {
            eprintln!("unknown part: {other:?}");
            std::process::exit(2);
        }
    }
}

/// Sleeps until a watchdog has looked a few times.
fn sleep_through_some_looks() {
    let end = Instant::now() + Duration::from_millis(300);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left);
    }
}

/// Hangs: `n` threads wait for a lock, and its owner waits for their end.
fn stuck(n: i32) {
    let lock = std::sync::Mutex::new(());
    let _held = lock.lock();
    std::thread::scope(|scope| (0..n).for_each(|_| _ = scope.spawn(|| drop(lock.lock()))));
}

/// Uses up the stack.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(n: u64) -> u64 {
    let room = std::hint::black_box([n; 512]);
    overflow(n + 1) + room[0]
}

fn print_fds() {
    sleep_through_some_looks();
    // The listing itself opens the lowest free descriptor. Its number therefore also shows a descriptor that
    // another part of the process took.
    let mut fds: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .expect("/proc/self/fd")
        .map(|e| e.expect("an entry").file_name().into_string().expect("a number"))
        .collect();
    fds.sort();
    println!("{fds:?}");
}

fn fork_children(n: i32) {
    let mut codes = vec![];
    for i in 0..n {
        // SAFETY: the child only calls _exit.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: _exit runs no code of the parent, such as exit handlers.
            unsafe { libc::_exit(i % 8) };
        }
        codes.push(reap(pid));
    }
    println!("{codes:?}");
}

fn reap(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is a local variable that waitpid may write.
    let done = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(done, pid);
    libc::WEXITSTATUS(status)
}

fn exec_chain(program: &str, left: i32) {
    println!("{left}");
    if left == 0 {
        return;
    }
    let text = |s: &str| CString::new(s).expect("no NUL");
    let argv = [text(program), text("exec-chain"), text(&(left - 1).to_string())];
    let pointers: Vec<_> = argv.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: the array is NULL-terminated and holds live C strings.
    unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
    panic!("exec failed: {}", std::io::Error::last_os_error());
}

fn close_all() {
    // SAFETY: no Rust value owns these descriptors. Descriptor 1 stays open for the output.
    unsafe {
        libc::close(0);
        libc::syscall(libc::SYS_close_range, 2, u32::MAX, 0);
    }
    let open = || {
        // SAFETY: the path is a C string.
        unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) }
    };
    let before = [open(), open(), open()];
    sleep_through_some_looks();
    println!("{before:?} {:?}", [open(), open()]);
}

/// The lines of a thread's status that show its user, groups and capabilities.
fn credentials(tid: &str) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap_or_default();
    let wanted = ["Uid:", "Gid:", "Groups:", "CapPrm:", "CapEff:", "NoNewPrivs:"];
    status.lines().filter(|l| wanted.iter().any(|w| l.starts_with(w))).map(str::to_owned).collect()
}

fn drop_root(user: i32) {
    let id = user as u32;
    // SAFETY: the calls take numbers. The list of groups is empty.
    let ids = unsafe {
        if libc::geteuid() == 0 {
            [libc::setgroups(0, std::ptr::null()), libc::setgid(id), libc::setuid(id)]
        } else {
            [0, libc::setgid(libc::getgid()), libc::setuid(libc::getuid())]
        }
    };
    println!("{ids:?} {:?}", credentials(&std::process::id().to_string()));
    let deadline = Instant::now() + Duration::from_secs(10);
    // The shim's thread must give up the rights that the host gave up. It does so at its next look.
    loop {
        let mine = credentials(&std::process::id().to_string());
        let tids = std::fs::read_dir("/proc/self/task").expect("/proc/self/task");
        let all = tids
            .map(|e| credentials(&e.expect("an entry").file_name().to_string_lossy()))
            .filter(|w| !w.is_empty());
        let differing = all.filter(|w| *w != mine).count();
        if differing == 0 {
            println!("all threads alike");
            return;
        }
        if Instant::now() > deadline {
            println!("{differing} threads kept what the process gave up");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Listens at `path` until stdin ends. Prints the bytes that each connection got.
fn listen(path: &str) {
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; 108] };
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the address and the buffer live, and have the lengths that are said.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK, 0);
        let len = size_of::<libc::sockaddr_un>() as u32;
        assert_eq!(libc::bind(socket, (&raw const address).cast(), len), 0, "bind");
        let file = CString::new(path).expect("no NUL");
        assert_eq!((libc::chmod(file.as_ptr(), 0o777), libc::listen(socket, 64)), (0, 0));
        println!("listening");
        assert_eq!(libc::read(0, (&raw mut address).cast(), 1), 0, "the end of stdin");
        let mut message = [0u8; 1 << 16];
        loop {
            let connection =
                libc::accept4(socket, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_NONBLOCK);
            if connection < 0 {
                return;
            }
            let mut bytes = 0;
            while let n @ 1.. = libc::recv(connection, message.as_mut_ptr().cast(), message.len(), 0) {
                bytes += n;
            }
            println!("{bytes}");
        }
    }
}

/// Becomes another user, with CAP_SETUID. Prints how many threads are left after that.
fn becomes(user: u32) {
    sleep_through_some_looks();
    // SAFETY: it takes numbers.
    assert_eq!(unsafe { libc::setresuid(user, user, user) }, 0, "setresuid");
    sleep_through_some_looks();
    println!("{} threads", std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count));
}

fn print_signals() {
    sleep_through_some_looks();
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let wanted = ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:", "ShdPnd:"];
    status.lines().filter(|l| wanted.iter().any(|w| l.starts_with(w))).for_each(|l| println!("{l}"));
}

fn print_environ() {
    let mine = |name: &str| name.starts_with("HANGSCOPE_") || name == "LD_PRELOAD";
    let mut names: Vec<_> =
        std::env::vars().filter(|(name, _)| !mine(name)).map(|(n, v)| format!("{n}={v}")).collect();
    names.sort();
    names.iter().for_each(|n| println!("{n}"));
}

fn vfork(program: &str) {
    let text = |s: &str| CString::new(s).expect("no NUL");
    let argv = [text(program), text("exit"), text("5")];
    let pointers: Vec<_> = argv.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect();
    // Does what vfork(2) does: the child shares the memory until it calls exec, and the caller waits for
    // that. A Rust function cannot return twice, so this calls clone instead of vfork.
    extern "C" fn child(argv: *mut libc::c_void) -> i32 {
        let argv = argv.cast::<*const libc::c_char>();
        // SAFETY: the argument is the parent's array, which lives until
        // the exec. usleep and execv use no other memory of the parent.
        unsafe {
            libc::usleep(200_000);
            libc::execv(*argv, argv)
        }
    }
    let mut stack = vec![0u8; 256 * 1024];
    let top = stack.as_mut_ptr_range().end.map_addr(|a| a & !15);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: CLONE_VFORK makes the call return only after the
    // child's exec. The stack and the array live until then.
    let pid = unsafe { libc::clone(child, top.cast(), flags, pointers.as_ptr().cast_mut().cast()) };
    println!("{}", reap(pid));
}

fn single_threaded() -> u8 {
    unsafe extern "C" {
        static __libc_single_threaded: u8;
    }
    sleep_through_some_looks();
    // SAFETY: the variable is a byte of glibc (libc_single_threaded(3)). This code only reads it.
    unsafe { __libc_single_threaded }
}

fn wait_child(milliseconds: i32) {
    // SAFETY: the child only sleeps and calls _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        std::thread::sleep(Duration::from_millis(milliseconds as u64));
        // SAFETY: _exit runs no code of the parent.
        unsafe { libc::_exit(3) };
    }
    println!("{}", reap(pid));
}

fn directory() {
    let dir = std::env::current_dir().expect("a directory");
    std::env::set_current_dir("/").expect("the root");
    sleep_through_some_looks();
    let links = std::fs::read_dir("/proc/self/task").expect("tasks");
    let held = links.filter(|e| {
        let tid = e.as_ref().expect("an entry").file_name();
        let cwd = std::fs::read_link(std::path::Path::new("/proc/self/task").join(tid).join("cwd"));
        cwd.is_ok_and(|cwd| cwd == dir && dir != std::path::Path::new("/"))
    });
    println!("{} threads hold the old directory", held.count());
}

/// Calls malloc in a thread with the name of the shim's thread. The shim must never do this.
fn malloc_as_hangscope() {
    // SAFETY: the name is a C string of less than 16 bytes. The block is freed once.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"hangscope".as_ptr());
        libc::free(std::hint::black_box(libc::malloc(100)));
    }
}

/// Blocks all signals in this thread and in the threads that it starts later.
fn block_all_signals() {
    // SAFETY: sigfillset fills the local set before pthread_sigmask reads it.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// The affinity mask, scheduling policy and nice value of this thread.
fn scheduled() -> (Vec<u8>, i32, i32) {
    let mut cpus = vec![0u8; 128];
    // SAFETY: the length is that of the mask. The other calls take numbers.
    unsafe {
        libc::sched_getaffinity(0, cpus.len(), cpus.as_mut_ptr().cast());
        (cpus, libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0))
    }
}

/// Runs three busy threads that fork `n` children each. Prints how many children differ from the process in
/// their affinity, policy or nice value.
fn busy_forks(n: i32) {
    let before = scheduled();
    let work = || {
        let mut wrong = 0;
        for _ in 0..n {
            let until = Instant::now() + Duration::from_millis(1);
            while Instant::now() < until {
                std::hint::black_box(vec![7u8; 3000]);
            }
            // SAFETY: the child only makes system calls, compares memory and calls _exit.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let (mut cpus, same) = ([0u8; 128], (before.1, before.2));
                // This repeats `scheduled` without its allocation,
                // because a fork may leave malloc's locks held.
                // SAFETY: the length is that of the mask. The other calls take numbers.
                let now = unsafe {
                    libc::sched_getaffinity(0, cpus.len(), cpus.as_mut_ptr().cast());
                    (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0))
                };
                // SAFETY: _exit runs no code of the parent.
                unsafe { libc::_exit(i32::from(now != same || cpus[..] != before.0[..])) };
            }
            wrong += reap(pid);
        }
        wrong
    };
    let wrong: i32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|t| t.join().expect("its count")).sum()
    });
    println!("{wrong} children had something else");
}

/// Keeps threads busy in the allocator, and ends the process by its own SIGTRAP.
fn busy_trap() {
    for _ in 0..3 {
        std::thread::spawn(|| {
            loop {
                (0..200).for_each(|i| drop(std::hint::black_box(vec![7u8; 1000 + i])));
            }
        });
    }
    sleep_through_some_looks();
    println!("trap");
    // SAFETY: raise takes a number.
    unsafe { libc::raise(libc::SIGTRAP) };
}

/// Runs threads that work in the allocator and sleep for a millisecond
/// in turn, `n` times each. Prints how many sleeps ended early.
fn busy_naps(n: i32) {
    let work = || {
        let mut cut = 0;
        for _ in 0..n {
            (0..200).for_each(|i| drop(std::hint::black_box(vec![7u8; 1000 + i])));
            let nap = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            // SAFETY: the timespec is live. A null pointer asks for no remaining time.
            cut += i32::from(unsafe { libc::nanosleep(&raw const nap, std::ptr::null_mut()) } != 0);
        }
        cut
    };
    let cut: i32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|t| t.join().expect("its count")).sum()
    });
    println!("{cut} naps were cut short");
}

/// The number of threads of this process that are in a futex call.
fn waiters() -> i32 {
    let in_futex = |task: std::io::Result<std::fs::DirEntry>| {
        let call = std::fs::read_to_string(task.ok()?.path().join("syscall")).ok()?;
        (call.split(' ').next()?.parse() == Ok(libc::SYS_futex)).then_some(())
    };
    std::fs::read_dir("/proc/self/task").expect("its threads").filter_map(in_futex).count() as i32
}

/// Makes `n` threads wait for a lock for ever. This thread spins until SIGTERM, for `seconds` at most. It
/// then prints its longest gap, the longest time that it did not run.
fn many(n: i32, seconds: i32) {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    extern "C" fn enough(_: libc::c_int) {
        ENOUGH.store(true, Ordering::Relaxed);
    }
    // SAFETY: the handler only stores into an atomic.
    unsafe { libc::signal(libc::SIGTERM, enough as *const () as libc::sighandler_t) };
    let held = LOCK.lock().expect("the lock");
    for i in 0..n {
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        let wait_for_ever = move || {
            let _never = LOCK.lock();
        };
        if let Err(error) = thread.spawn(wait_for_ever) {
            println!("only {i} threads: {error}");
            std::process::exit(1);
        }
    }
    // Some threads may not have reached the lock yet. No event tells when they do, so this loop polls.
    while waiters() < n {
        std::thread::yield_now();
    }
    println!("ready");
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while last < end && !ENOUGH.load(Ordering::Relaxed) {
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
    }
    println!("longest gap {:.1} ms", longest.as_secs_f64() * 1e3);
    drop(held);
    std::process::exit(0);
}
