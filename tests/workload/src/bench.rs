//! The workers, the rings between them, and the time measurement.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use crate::args::Settings;
use crate::block::Block;
use crate::rng::Rng;
use crate::stuck::{self, ShortBarrier};

/// Number of blocks that a worker takes out of its ring in one iteration. On average at most one block
/// arrives in one iteration, so taking two empties a full ring.
const RECEIVED_AT_ONCE: usize = 2;

/// The state that all workers share. It is allocated before the measurement starts.
pub(crate) struct Bench {
    settings: Settings,
    /// One ring for each worker: the blocks that other workers left for it to free.
    rings: Vec<ArrayQueue<Block>>,
    /// Number of workers that have finished.
    done: AtomicUsize,
    /// All workers and the main thread wait here, so that all start together.
    start_barrier: Barrier,
    /// With `--fork-child`: after half of its iterations, the first worker meets the main thread here.
    half_way: Option<Barrier>,
    /// The first failure of any worker.
    failure: OnceLock<String>,
    short_barrier: Option<ShortBarrier>,
}

/// The sums over all workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    elapsed: Duration,
    operations: u64,
    /// Number of blocks that were left to another worker.
    remote: u64,
}

impl Totals {
    /// Adds up the tallies. The elapsed time runs from the first worker's start to the last worker's end, as
    /// the workers measured it. On few processors, the main thread may run long after the workers started.
    fn sum(tallies: &[Tally]) -> Self {
        let start = tallies.iter().map(|tally| tally.start).min();
        let end = tallies.iter().map(|tally| tally.end).max();
        Totals {
            elapsed: start.zip(end).map_or(Duration::ZERO, |(start, end)| end.duration_since(start)),
            operations: tallies.iter().map(|tally| tally.operations).sum(),
            remote: tallies.iter().map(|tally| tally.remote).sum(),
        }
    }

    /// The last line on stdout; its format is in `--help`.
    pub(crate) fn summary_line(&self, threads: usize) -> String {
        let seconds = self.elapsed.as_secs_f64();
        format!(
            "threads={threads} seconds={seconds:.6} ops={} remote={} ops/s={:.2}",
            self.operations,
            self.remote,
            self.operations as f64 / seconds.max(1e-9),
        )
    }
}

/// The work that one worker did.
#[derive(Clone, Copy)]
struct Tally {
    start: Instant,
    end: Instant,
    operations: u64,
    remote: u64,
}

struct Worker<'a> {
    bench: &'a Bench,
    index: usize,
    tally: Tally,
}

impl Bench {
    /// Allocates the shared state. A child that is forked later then needs no memory for it.
    pub(crate) fn prepare(settings: &Settings) -> Self {
        Bench {
            rings: (0..settings.threads).map(|_| ArrayQueue::new(settings.ring_slots)).collect(),
            done: AtomicUsize::new(0),
            start_barrier: Barrier::new(settings.threads + 1),
            half_way: settings.fork_child.then(|| Barrier::new(2)),
            failure: OnceLock::new(),
            short_barrier: settings.barrier_short.then(|| ShortBarrier::new(settings.threads)),
            settings: settings.clone(),
        }
    }

    /// Runs the workers. The calling thread calls `meanwhile` while they run. With `--fork-child`, it makes
    /// that call when the first worker has done half of its iterations.
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
                        // The started workers wait at the barrier for a
                        // thread that never comes, so a join would hang.
                        eprintln!(
                            "hangscope-bench: thread {} of {}: {error}",
                            index + 1,
                            self.settings.threads
                        );
                        std::process::exit(1);
                    }
                }
            }
            self.start_barrier.wait();
            if let Some(half_way) = &self.half_way {
                half_way.wait();
            }
            let meanwhile_result = meanwhile();
            let mut tallies = Vec::with_capacity(workers.len());
            for worker in workers {
                tallies.push(worker.join().map_err(|_| "a worker panicked".to_owned())?);
            }
            self.rings
                .iter()
                .flat_map(|ring| std::iter::from_fn(|| ring.pop()))
                .for_each(Block::check_and_free);
            meanwhile_result?;
            match self.failure.get() {
                Some(what) => Err(what.clone()),
                None => Ok(Totals::sum(&tallies)),
            }
        })
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn bench_worker(worker: &mut Worker<'_>) {
    let bench = worker.bench;
    let settings = &bench.settings;
    if settings.block_signals {
        stuck::block_all_signals();
    }
    bench.start_barrier.wait();
    worker.tally.start = Instant::now();
    if let Err(what) = bench_worker_loop(worker) {
        // Only the first failure is reported. Later failures may be its consequences.
        let _ = bench.failure.set(what);
    }
    worker.tally.end = Instant::now();
    bench.done.fetch_add(1, Ordering::Release);
    if settings.spin_wait_at_end {
        stuck::bench_spin_until_all_done(&bench.done, settings.threads);
    }
    if let Some(barrier) = &bench.short_barrier {
        barrier.wait();
    }
}

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
            free_or_leave_to_other(worker, &mut rng, old);
        }
        match Block::allocate(settings.min_size + rng.below(sizes)) {
            Ok(block) => kept[slot] = Some(block),
            Err(what) => {
                outcome = Err(what);
                // The main thread may wait at the half-way barrier for this worker.
                if iteration < half && worker.index == 0 {
                    bench_worker_half_way(bench);
                }
                break;
            }
        }
        worker.tally.operations += 1;
        free_received(&bench.rings[worker.index]);
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

/// Frees a block, or puts it into the ring of another worker. Frees it too if that ring is full.
fn free_or_leave_to_other(worker: &mut Worker<'_>, rng: &mut Rng, block: Block) {
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

/// Frees at most [`RECEIVED_AT_ONCE`] of the blocks that other workers left in `ring`.
fn free_received(ring: &ArrayQueue<Block>) {
    for _ in 0..RECEIVED_AT_ONCE {
        match ring.pop() {
            Some(block) => block.check_and_free(),
            None => return,
        }
    }
}
