//! Small programs that do what ordinary hosts do to a guest: fork, exec, close everything, give up
//! root. Each prints what it can see of itself, so that a test can hold it against the same
//! run without the shim.

use std::ffi::CString;
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
        Some("malloc-as-hangscope") => malloc_as_hangscope(),
        other => {
            eprintln!("unknown part: {other:?}");
            std::process::exit(2);
        }
    }
}

/// Busy or blocked for so long that a watchdog has looked a few times.
fn live_a_while() {
    let end = Instant::now() + Duration::from_millis(300);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left);
    }
}

fn print_fds() {
    live_a_while();
    // The listing's own descriptor is the lowest that is free, so it shows any that somebody else took.
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
        // SAFETY: the child only leaves.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(i % 8) };
        }
        codes.push(reap(pid));
    }
    println!("{codes:?}");
}

fn reap(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is live.
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
    // SAFETY: a NULL-terminated array of live C strings.
    unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
    panic!("exec failed: {}", std::io::Error::last_os_error());
}

fn close_all() {
    // SAFETY: closes descriptors by number; 1 is kept to print on.
    unsafe {
        libc::close(0);
        libc::syscall(libc::SYS_close_range, 2, u32::MAX, 0);
    }
    let open = || {
        // SAFETY: a C string.
        unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) }
    };
    let before = [open(), open(), open()];
    live_a_while();
    println!("{before:?} {:?}", [open(), open()]);
}

/// The lines of every thread's status that tell who it is, the first thread's first.
fn who(tid: &str) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap_or_default();
    let wanted = ["Uid:", "Gid:", "Groups:", "CapPrm:", "CapEff:", "NoNewPrivs:"];
    status.lines().filter(|l| wanted.iter().any(|w| l.starts_with(w))).map(str::to_owned).collect()
}

fn drop_root(user: i32) {
    let id = user as u32;
    // SAFETY: plain numbers; the list is empty.
    let ids = unsafe {
        if libc::geteuid() == 0 {
            [libc::setgroups(0, std::ptr::null()), libc::setgid(id), libc::setuid(id)]
        } else {
            [0, libc::setgid(libc::getgid()), libc::setuid(libc::getuid())]
        }
    };
    println!("{ids:?} {:?}", who(&std::process::id().to_string()));
    let deadline = Instant::now() + Duration::from_secs(10);
    // A guest must give up what the host gave up. It does at its next look.
    loop {
        let mine = who(&std::process::id().to_string());
        let tids = std::fs::read_dir("/proc/self/task").expect("/proc/self/task");
        let all =
            tids.map(|e| who(&e.expect("an entry").file_name().to_string_lossy())).filter(|w| !w.is_empty());
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

fn print_signals() {
    live_a_while();
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
    // What vfork does (vfork(2)): memory is shared until the exec, the caller waits. By clone, since a Rust
    // function cannot return twice.
    extern "C" fn child(argv: *mut libc::c_void) -> i32 {
        let argv = argv.cast::<*const libc::c_char>();
        // SAFETY: the parent's array, which lives until the exec; usleep and execv touch nothing else.
        unsafe {
            libc::usleep(200_000);
            libc::execv(*argv, argv)
        }
    }
    let mut stack = vec![0u8; 256 * 1024];
    let top = stack.as_mut_ptr_range().end.map_addr(|a| a & !15);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack and the array live until the child has exec'ed, which CLONE_VFORK waits for.
    let pid = unsafe { libc::clone(child, top.cast(), flags, pointers.as_ptr().cast_mut().cast()) };
    println!("{}", reap(pid));
}

fn single_threaded() -> u8 {
    unsafe extern "C" {
        static __libc_single_threaded: u8;
    }
    live_a_while();
    // SAFETY: glibc's flag (libc_single_threaded(3)): a byte that is only read here.
    unsafe { __libc_single_threaded }
}

fn wait_child(milliseconds: i32) {
    // SAFETY: the child only sleeps and leaves.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        std::thread::sleep(Duration::from_millis(milliseconds as u64));
        // SAFETY: ends the child.
        unsafe { libc::_exit(3) };
    }
    println!("{}", reap(pid));
}

fn directory() {
    let dir = std::env::current_dir().expect("a directory");
    std::env::set_current_dir("/").expect("the root");
    live_a_while();
    let links = std::fs::read_dir("/proc/self/task").expect("tasks");
    let held = links.filter(|e| {
        let tid = e.as_ref().expect("an entry").file_name();
        let cwd = std::fs::read_link(std::path::Path::new("/proc/self/task").join(tid).join("cwd"));
        cwd.is_ok_and(|cwd| cwd == dir && dir != std::path::Path::new("/"))
    });
    println!("{} threads hold the old directory", held.count());
}

/// What the shim must never do: its thread's name, and a call of malloc.
fn malloc_as_hangscope() {
    // SAFETY: a live C string; malloc and free of a block.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"hangscope".as_ptr());
        libc::free(std::hint::black_box(libc::malloc(100)));
    }
}

/// For this thread and those that it starts.
fn block_all_signals() {
    // SAFETY: a set of its own that is filled before it is read.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// What a thread is given to run on, and how: processors, policy and nice value.
fn scheduled() -> (Vec<u8>, i32, i32) {
    let mut cpus = vec![0u8; 128];
    // SAFETY: the set is as long as is said; the other calls take numbers.
    unsafe {
        libc::sched_getaffinity(0, cpus.len(), cpus.as_mut_ptr().cast());
        (cpus, libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0))
    }
}

/// Three busy threads, which fork `n` children each: every child has what the process had at its start.
fn busy_forks(n: i32) {
    let before = scheduled();
    let work = || {
        let mut wrong = 0;
        for _ in 0..n {
            let until = Instant::now() + Duration::from_millis(1);
            while Instant::now() < until {
                std::hint::black_box(vec![7u8; 3000]);
            }
            // SAFETY: the child makes system calls, compares memory that it has, and leaves.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let (mut cpus, same) = ([0u8; 128], (before.1, before.2));
                // SAFETY: as in `scheduled`, without an allocation.
                let now = unsafe {
                    libc::sched_getaffinity(0, cpus.len(), cpus.as_mut_ptr().cast());
                    (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0))
                };
                // SAFETY: ends the child.
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

/// Threads at work in the allocator, and a SIGTRAP of the program's own, which ends it.
fn busy_trap() {
    for _ in 0..3 {
        std::thread::spawn(|| {
            loop {
                (0..200).for_each(|i| drop(std::hint::black_box(vec![7u8; 1000 + i])));
            }
        });
    }
    live_a_while();
    println!("trap");
    // SAFETY: always.
    unsafe { libc::raise(libc::SIGTRAP) };
}

/// Threads that alternate between work in the allocator and naps of a millisecond, `n` each: how many naps were cut short.
fn busy_naps(n: i32) {
    let work = || {
        let mut cut = 0;
        for _ in 0..n {
            (0..200).for_each(|i| drop(std::hint::black_box(vec![7u8; 1000 + i])));
            let nap = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            // SAFETY: a live timespec; nothing is wanted back.
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

/// Threads of this process that are in a futex call.
fn waiters() -> i32 {
    let in_futex = |task: std::io::Result<std::fs::DirEntry>| {
        let call = std::fs::read_to_string(task.ok()?.path().join("syscall")).ok()?;
        (call.split(' ').next()?.parse() == Ok(libc::SYS_futex)).then_some(())
    };
    std::fs::read_dir("/proc/self/task").expect("its threads").filter_map(in_futex).count() as i32
}

/// `n` threads wait for a lock for ever; this one spins for `seconds` and prints its longest gap: how long
/// anything has kept it off its processor.
fn many(n: i32, seconds: i32) {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let held = LOCK.lock().expect("the lock");
    for i in 0..n {
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        let waits = move || {
            let _never = LOCK.lock();
        };
        if let Err(error) = thread.spawn(waits) {
            println!("only {i} threads: {error}");
            std::process::exit(1);
        }
    }
    // Not all of them have come to the lock yet, and the kernel tells of that to nobody but who asks.
    while waiters() < n {
        std::thread::yield_now();
    }
    println!("ready");
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while last < end {
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
    }
    println!("longest gap {:.1} ms", longest.as_secs_f64() * 1e3);
    drop(held);
    std::process::exit(0);
}
