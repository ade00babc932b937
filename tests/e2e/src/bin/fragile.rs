//! Programs that a signal, or a system call on one of their threads, would harm. Each is busy or waits for as
//! long as its last argument says (milliseconds), and prints what it can see of harm.

use std::hint::black_box;
use std::io::Error;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// What canaries are filled with.
const CANARY: u8 = 0xab;
const BEFORE: usize = 64 << 10;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let arg = |i: usize| args.get(i).map_or("", String::as_str);
    let lasts = Duration::from_millis(args.last().and_then(|a| a.parse().ok()).unwrap_or(0));
    match arg(1) {
        "alternate-stack" => alternate_stack(lasts),
        "full-stack" => full_stack(lasts),
        "coroutine" => coroutine(lasts),
        "waits-for-signals" => waits_for_signals(lasts),
        "timed-waits" => timed_waits(lasts),
        "filtered" => {
            filter(&KILLING, libc::SECCOMP_RET_KILL_PROCESS);
            busy(lasts);
            println!("lives");
        }
        // Starts another program, which is refused perf events.
        "refused" => {
            filter(&[libc::SYS_perf_event_open], libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
            let error = Command::new(arg(2)).args(&args[3..]).exec();
            panic!("{}: {error}", arg(2));
        }
        other => panic!("unknown part: {other:?}"),
    }
}

fn busy(lasts: Duration) {
    let end = Instant::now() + lasts;
    let mut turns = 0u64;
    while Instant::now() < end {
        for _ in 0..10_000 {
            turns = black_box(turns + 1);
        }
    }
}

/// Memory with canaries, of which `size` bytes behind [`BEFORE`] may be used.
struct Guarded(&'static mut [u8]);

impl Guarded {
    fn new(size: usize) -> Guarded {
        Guarded(vec![CANARY; BEFORE + size].leak())
    }

    fn start(&mut self) -> *mut libc::c_void {
        self.0[BEFORE..].as_mut_ptr().cast()
    }

    fn size(&self) -> usize {
        self.0.len() - BEFORE
    }

    /// Bytes before the usable ones that were written over.
    fn written_over(&self) -> usize {
        self.0[..BEFORE].iter().filter(|b| **b != CANARY).count()
    }
}

/// A busy thread with the smallest alternate stack that the kernel takes.
fn alternate_stack(lasts: Duration) {
    let mut memory = Guarded::new(libc::MINSIGSTKSZ);
    let stack = libc::stack_t { ss_sp: memory.start(), ss_flags: 0, ss_size: memory.size() };
    // SAFETY: the memory lives for ever. The thread installs no handler.
    let set = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    busy(lasts);
    let used = memory.0[BEFORE..].iter().any(|b| *b != CANARY);
    println!("set {set}, used {used}, written over {}", memory.written_over());
}

/// A busy thread on a small stack that is nearly full.
fn full_stack(lasts: Duration) {
    #[inline(never)]
    fn fill(lasts: Duration) {
        let mut filled = [1u8; 10_000];
        black_box(&mut filled);
        busy(lasts);
        black_box(&mut filled);
    }
    extern "C" fn run(lasts: *mut libc::c_void) -> *mut libc::c_void {
        fill(Duration::from_millis(lasts as u64));
        std::ptr::null_mut()
    }
    // SAFETY: attributes and thread are live locals, and the thread is joined.
    unsafe {
        let (mut attributes, mut thread) = (std::mem::zeroed(), std::mem::zeroed());
        libc::pthread_attr_init(&raw mut attributes);
        assert_eq!(libc::pthread_attr_setstacksize(&raw mut attributes, 16_384), 0);
        let millis = lasts.as_millis() as usize as *mut libc::c_void;
        let made = libc::pthread_create(&raw mut thread, &raw const attributes, run, millis);
        assert_eq!(made, 0, "a thread");
        libc::pthread_join(thread, std::ptr::null_mut());
    }
    println!("ends well");
}

static mut CONTEXTS: [std::mem::MaybeUninit<libc::ucontext_t>; 2] =
    [const { std::mem::MaybeUninit::zeroed() }; 2];

/// A busy coroutine on a stack of 4 KiB without a guard page.
fn coroutine(lasts: Duration) {
    extern "C" fn body(millis: i32) {
        busy(Duration::from_millis(millis as u64));
    }
    let mut memory = Guarded::new(4096);
    // SAFETY: one thread uses the contexts, the stack lives for ever, and makecontext(3) passes ints on as
    // they are.
    unsafe {
        let [main, own] = [0, 1].map(|i| (&raw mut CONTEXTS).cast::<libc::ucontext_t>().add(i));
        libc::getcontext(own);
        (*own).uc_stack.ss_sp = memory.start();
        (*own).uc_stack.ss_size = memory.size();
        (*own).uc_link = main;
        let body: extern "C" fn() = std::mem::transmute(body as extern "C" fn(i32));
        libc::makecontext(own, body, 1, lasts.as_millis() as i32);
        libc::swapcontext(main, own);
    }
    println!("written over {}", memory.written_over());
}

/// Waits for every real-time signal.
fn waits_for_signals(lasts: Duration) {
    let time = libc::timespec { tv_sec: lasts.as_secs() as i64, tv_nsec: lasts.subsec_nanos().into() };
    // SAFETY: the sets and the time are live locals.
    let (got, why) = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in 34..=64 {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let got = libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const time);
        (got, Error::last_os_error().raw_os_error())
    };
    println!("{got} {why:?}");
}

/// Waits with time limits. None of them may end early.
fn timed_waits(lasts: Duration) {
    type Wait = fn(Duration);
    let waits: [(&str, Wait); 4] = [
        ("poll", |lasts| {
            // SAFETY: no descriptors.
            unsafe { libc::poll(std::ptr::null_mut(), 0, lasts.as_millis() as i32) };
        }),
        ("usleep", |lasts| {
            // SAFETY: takes a number.
            unsafe { libc::usleep(lasts.as_micros() as u32) };
        }),
        ("sem_timedwait", |lasts| {
            // SAFETY: the semaphore and the time are live locals.
            unsafe {
                let (mut semaphore, mut until) = (std::mem::zeroed(), std::mem::zeroed::<libc::timespec>());
                libc::sem_init(&raw mut semaphore, 0, 0);
                libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut until);
                until.tv_sec += lasts.as_secs() as i64;
                libc::sem_timedwait(&raw mut semaphore, &raw const until);
            }
        }),
        ("epoll_wait", |lasts| {
            // SAFETY: one event, which is live; the descriptor is closed.
            unsafe {
                let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
                let mut event = std::mem::zeroed();
                libc::epoll_wait(fd, &raw mut event, 1, lasts.as_millis() as i32);
                libc::close(fd);
            }
        }),
    ];
    // Whole seconds, for the semaphore.
    let lasts = Duration::from_secs(lasts.as_secs());
    std::thread::scope(|scope| {
        let early = waits.map(|(name, wait)| {
            scope.spawn(move || {
                let begun = Instant::now();
                wait(lasts);
                (name, begun.elapsed() + Duration::from_millis(5) < lasts)
            })
        });
        println!("{:?}", early.map(|thread| thread.join().expect("a thread")));
    });
}

/// Calls that the shim makes, or has made, and that this program does not.
const KILLING: [i64; 6] = [
    libc::SYS_process_vm_readv,
    libc::SYS_perf_event_open,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_mincore,
    libc::SYS_ptrace,
    libc::SYS_getdents64,
];

/// Puts a filter in force for this thread, and for the threads and programs that it starts.
fn filter(calls: &[i64], action: u32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // The number of the call is the first word of seccomp_data.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for call in calls {
        let jump = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *call as u32);
        program.push(libc::sock_filter { jt: 0, jf: 1, ..jump });
        program.push(statement(libc::BPF_RET | libc::BPF_K, action));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program is live and as long as it says.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    assert_eq!(set, 0, "{}", Error::last_os_error());
}
