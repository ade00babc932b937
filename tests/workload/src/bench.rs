//! The benchmark itself: workers, rings and the clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use crate::args::Settings;
use crate::block::Block;
use crate::rng::Rng;
use crate::stuck::{self, ShortBarrier};

/// Blocks that a worker takes out of its ring in one iteration. More than one comes in on average only for a
/// moment, so two keep the ring from staying full.
const DRAINED_AT_ONCE: usize = 2;

/// Everything that is allocated before the clock runs.
pub(crate) struct Bench {
    settings: Settings,
    /// One for each worker: blocks that it is to free.
    rings: Vec<ArrayQueue<Block>>,
    /// Workers that have come to their end.
    done: AtomicUsize,
    /// All start together, and the main thread with them.
    gate: Barrier,
    /// Where the first worker, when it is half through, meets a main thread that has something to do then.
    half_way: Option<Barrier>,
    /// The first failure; a worker that sees one stops.
    failure: OnceLock<String>,
    barrier: Option<ShortBarrier>,
}

/// What was done, and in what time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    elapsed: Duration,
    operations: u64,
    remote: u64,
}

impl Totals {
    /// The clock runs from the first worker's start to the last one's end, by the workers' own clocks: on few
    /// processors the main thread may come to itself when they are long at work.
    fn of(tallies: &[Tally]) -> Self {
        let start = tallies.iter().map(|tally| tally.start).min();
        let end = tallies.iter().map(|tally| tally.end).max();
        Totals {
            elapsed: start.zip(end).map_or(Duration::ZERO, |(start, end)| end.duration_since(start)),
            operations: tallies.iter().map(|tally| tally.operations).sum(),
            remote: tallies.iter().map(|tally| tally.remote).sum(),
        }
    }

    /// The last line on stdout.
    pub(crate) fn line(&self, threads: usize) -> String {
        let seconds = self.elapsed.as_secs_f64();
        format!(
            "threads={threads} seconds={seconds:.6} ops={} remote={} ops/s={:.2}",
            self.operations,
            self.remote,
            self.operations as f64 / seconds.max(1e-9),
        )
    }
}

/// What one worker did.
#[derive(Clone, Copy)]
struct Tally {
    start: Instant,
    end: Instant,
    operations: u64,
    remote: u64,
}

/// What a worker works on.
struct Worker<'a> {
    bench: &'a Bench,
    index: usize,
    tally: Tally,
}

impl Bench {
    /// Makes the rings and what else is needed, so that a child forked later needs nothing of it.
    pub(crate) fn prepare(settings: &Settings) -> Self {
        Bench {
            rings: (0..settings.threads).map(|_| ArrayQueue::new(settings.ring_slots)).collect(),
            done: AtomicUsize::new(0),
            gate: Barrier::new(settings.threads + 1),
            half_way: settings.fork_child.then(|| Barrier::new(2)),
            failure: OnceLock::new(),
            barrier: settings.barrier_short.then(|| ShortBarrier::new(settings.threads)),
            settings: settings.clone(),
        }
    }

    /// Runs the workers; `meanwhile` is done by the calling thread while they run: with `--fork-child`, when
    /// the first worker is half through.
    pub(crate) fn run(&self, meanwhile: impl FnOnce() -> Result<(), String>) -> Result<Totals, String> {
        thread::scope(|scope| {
            let mut workers = Vec::with_capacity(self.settings.threads);
            for index in 0..self.settings.threads {
                let started =
                    thread::Builder::new().name(format!("worker-{index}")).spawn_scoped(scope, move || {
                        let now = Instant::now();
                        let tally = Tally { start: now, end: now, operations: 0, remote: 0 };
                        let mut worker = Worker { bench: self, index, tally };
                        bench_worker(&mut worker);
                        worker.tally
                    });
                match started {
                    Ok(worker) => workers.push(worker),
                    Err(error) => {
                        // Those that run wait at the gate for a thread that will never come.
                        eprintln!(
                            "hangscope-bench: thread {} of {}: {error}",
                            index + 1,
                            self.settings.threads
                        );
                        std::process::exit(1);
                    }
                }
            }
            self.gate.wait();
            if let Some(half_way) = &self.half_way {
                half_way.wait();
            }
            let meant = meanwhile();
            let mut tallies = Vec::with_capacity(workers.len());
            for worker in workers {
                tallies.push(worker.join().map_err(|_| "a worker panicked".to_owned())?);
            }
            self.rings
                .iter()
                .flat_map(|ring| std::iter::from_fn(|| ring.pop()))
                .for_each(Block::check_and_free);
            meant?;
            match self.failure.get() {
                Some(what) => Err(what.clone()),
                None => Ok(Totals::of(&tallies)),
            }
        })
    }
}

/// A worker from its start to its end.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn bench_worker(worker: &mut Worker<'_>) {
    let bench = worker.bench;
    let settings = &bench.settings;
    if settings.block_signals {
        stuck::block_all_signals();
    }
    bench.gate.wait();
    worker.tally.start = Instant::now();
    if let Err(what) = bench_worker_loop(worker) {
        // The first failure is the one that is told; what follows from it is not.
        let _ = bench.failure.set(what);
    }
    worker.tally.end = Instant::now();
    bench.done.fetch_add(1, Ordering::Release);
    if settings.spin_wait_at_end {
        stuck::bench_spin_until_all_done(&bench.done, settings.threads);
    }
    if let Some(barrier) = &bench.barrier {
        barrier.wait();
    }
}

/// The iterations of a worker.
#[inline(never)]
fn bench_worker_loop(worker: &mut Worker<'_>) -> Result<(), String> {
    let bench = worker.bench;
    let settings = &bench.settings;
    let mut rng = Rng::new(worker.index);
    let mut kept: Vec<Option<Block>> = (0..settings.working_set).map(|_| None).collect();
    let sizes = settings.max_size - settings.min_size + 1;
    let half = settings.iterations / 2;
    let mut outcome = Ok(());
    for iteration in 0..settings.iterations {
        if iteration == half && worker.index == 0 {
            bench_worker_half_way(bench);
            if settings.stuck_loop_outside {
                stuck::bench_stuck_loop();
            }
        }
        let slot = rng.below(kept.len());
        if let Some(old) = kept[slot].take() {
            give_back(worker, &mut rng, old);
        }
        match Block::allocate(settings.min_size + rng.below(sizes)) {
            Ok(block) => kept[slot] = Some(block),
            Err(what) => {
                outcome = Err(what);
                // The main thread may be waiting for it.
                if iteration < half && worker.index == 0 {
                    bench_worker_half_way(bench);
                }
                break;
            }
        }
        worker.tally.operations += 1;
        drain(&bench.rings[worker.index]);
    }
    kept.into_iter().flatten().for_each(Block::check_and_free);
    outcome
}

#[cold]
fn bench_worker_half_way(bench: &Bench) {
    if let Some(half_way) = &bench.half_way {
        half_way.wait();
    }
}

/// Frees a block, or leaves it to another thread.
fn give_back(worker: &mut Worker<'_>, rng: &mut Rng, block: Block) {
    let threads = worker.bench.settings.threads;
    let remote = threads > 1 && rng.below(100) < worker.bench.settings.remote_percent as usize;
    if !remote {
        return block.check_and_free();
    }
    let other = (worker.index + 1 + rng.below(threads - 1)) % threads;
    match worker.bench.rings[other].push(block) {
        Ok(()) => worker.tally.remote += 1,
        Err(block) => block.check_and_free(),
    }
}

/// Frees some of the blocks that others left.
fn drain(ring: &ArrayQueue<Block>) {
    for _ in 0..DRAINED_AT_ONCE {
        match ring.pop() {
            Some(block) => block.check_and_free(),
            None => return,
        }
    }
}
