//! A dump, safest first: identity and DSO integrity; every thread's state, wait and raw stack (no signal);
//! then signals to running threads; samples of them; a second look. What is late or does not fit is left
//! out, and the dump says so: a short dump is a legal dump.
//!
//! Nothing here waits long: the first look is made in one go, the rest in steps between the watchdog's other
//! work ([`Pending`]).

use hangscope_protocol::record::{
    DumpBeginRecord, DumpEndRecord, MarkRecord, ProbeRecord, StackRecord, ThreadRecord, dump_flags,
    mark_part, stack_flags,
};
use hangscope_protocol::{Kind, Record};
use hangscope_reader::status::Status;
use hangscope_reader::task::Syscall;

use crate::arena::{MOST_THREADS, Work};
use crate::host::fds::Fds;
use crate::link::{Batch, Link};
use crate::signal::probe;
use crate::sys;
use crate::watchdog::Watchdog;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;
/// From the first look to the second.
const SECOND_LOOK: u64 = 2 * SECOND;
/// Running threads are sampled until so long after the first look.
const SAMPLED: u64 = 3 * SECOND;
/// Between two samples: 199 a second, so as not to march in step with anything that ticks at 100 or 1000 Hz.
const SAMPLE_PAUSE: u64 = SECOND / 199;
/// Threads that are sampled.
const MOST_HOT: usize = 16;
/// Stack of a sample.
const SAMPLE_STACK: u32 = 8 * 1024;
/// A full socket may be waited for so long in a dump.
const PATIENCE: u64 = 2 * SECOND;
/// Answers are waited for so long before other work goes on; later ones are collected in between.
const FIRST_ANSWERS: u64 = 40 * MILLISECOND;

/// A thread that is asked by signal: one that ran in the first look, or one whose stack the collector found cut.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    pub(crate) tid: u32,
    /// SigBlk.
    pub(crate) blocked_signals: u64,
    /// It was blocked in the first look.
    pub(crate) was_blocked: bool,
}

/// What the first look found: running threads, and (sent, dropped) of threads and of stacks.
struct FirstLook {
    running: usize,
    threads: (u32, u32),
    stacks: (u32, u32),
}

/// A dump that is not complete yet.
pub(crate) struct Pending {
    number: u32,
    trigger_ns: u64,
    first_look_ns: u64,
    cpu_before: u64,
    /// Threads to be asked, the running ones first, and how many of them were.
    running: usize,
    asked: usize,
    probes_done: bool,
    answered: u32,
    hot: [u32; MOST_HOT],
    hot_len: usize,
    samples: [u32; MOST_HOT],
    next_sample: u64,
    second_done: bool,
    threads_left_out: bool,
    second_threads: u32,
}

impl Pending {
    /// When there is something to do for it.
    pub(crate) fn next(&self) -> u64 {
        let fixed = if self.second_done { self.trigger_ns + SAMPLED } else { self.trigger_ns + SECOND_LOOK };
        if self.hot_len > 0 || !self.probes_done { fixed.min(self.next_sample) } else { fixed }
    }
}

impl Watchdog {
    /// The first look, whole; the rest follows in [`Watchdog::go_on`].
    pub(crate) fn begin_dump(&mut self, work: &mut Work, reason: u8, request: u32) {
        self.calm(work);
        let trigger_ns = sys::now();
        let cpu_before = sys::thread_cpu();
        self.dumps += 1;
        self.link.dump = self.dumps;
        self.link.count_anew();
        self.link.patience = trigger_ns + PATIENCE;
        let found = self.tasks.list(&mut work.entries, &mut work.tids).unwrap_or(0);
        let listed = found.min(MOST_THREADS);
        let begin = DumpBeginRecord {
            number: self.dumps,
            reason,
            reserved: [0; 3],
            threads: found as u32,
            request,
            trigger_ns,
            since_init_ns: trigger_ns.saturating_sub(self.init_ns),
            second_look_after_ns: SECOND_LOOK,
            rss_kib: self.tasks.rss_kib(self.facts.page_size, &mut work.text),
        };
        self.link.send_record(&mut work.frames[0], Kind::DumpBegin, &begin);
        self.send_integrity(work, true, true);
        self.send_maps(work);
        self.mark(work, mark_part::IDENTITY, (0, 0), trigger_ns, cpu_before);

        let threads_cpu = sys::thread_cpu();
        let FirstLook { running, threads, stacks } = self.first_look(work, listed);
        self.mark(work, mark_part::THREADS, threads, trigger_ns, threads_cpu);
        self.wanted.send(&mut self.link, &mut work.frames[0]);
        self.mark(work, mark_part::STACKS, stacks, trigger_ns, threads_cpu);
        let mut pending = Pending {
            number: self.dumps,
            trigger_ns,
            first_look_ns: sys::now() - trigger_ns,
            cpu_before,
            running,
            asked: 0,
            probes_done: false,
            answered: 0,
            hot: [0; MOST_HOT],
            hot_len: 0,
            samples: [0; MOST_HOT],
            next_sample: 0,
            second_done: false,
            threads_left_out: found > listed,
            second_threads: 0,
        };
        let asked_ns = sys::now();
        self.ask_running(work, &mut pending);
        while self.prober.any_open() && self.prober.wait(asked_ns + FIRST_ANSWERS) {
            self.collect_answers(work, &mut pending);
            self.ask_running(work, &mut pending);
        }
        for running in work.running.iter().take(running.min(MOST_HOT)) {
            if let Some(hot) = pending.hot.get_mut(pending.hot_len) {
                *hot = running.tid;
                pending.hot_len += 1;
            }
        }
        pending.next_sample = sys::now();
        self.pending = self.link.is_up().then_some(pending);
    }

    /// What is due of the dump now.
    pub(crate) fn go_on(&mut self, work: &mut Work) {
        let Some(mut pending) = self.pending.take() else { return };
        if !self.link.is_up() {
            // The collector is gone, and with it the dump; the handler is taken out when nothing is open.
            self.prober.abandon(&self.tasks, &mut work.text, &mut |_| {});
            self.link.dump = 0;
            return;
        }
        self.link.dump = pending.number;
        self.link.patience = sys::now() + PATIENCE;
        self.collect_answers(work, &mut pending);
        self.ask_running(work, &mut pending);
        if !pending.second_done && sys::now() >= pending.trigger_ns + SECOND_LOOK {
            self.end_probes(work, &mut pending);
            self.second_look(work, &mut pending);
        }
        let over =
            pending.second_done && (pending.hot_len == 0 || sys::now() >= pending.trigger_ns + SAMPLED);
        if over {
            self.end_dump(work, &mut pending);
        } else {
            self.sample(work, &mut pending);
            self.pending = Some(pending);
        }
        self.link.patience = 0;
    }

    fn mark(
        &mut self,
        work: &mut Work,
        part: u32,
        (records, dropped): (u32, u32),
        began: u64,
        cpu_before: u64,
    ) {
        let mark = MarkRecord {
            part,
            records,
            dropped,
            reserved: 0,
            took_ns: sys::now().saturating_sub(began),
            cpu_ns: sys::thread_cpu().saturating_sub(cpu_before),
        };
        self.link.send_record(&mut work.frames[0], Kind::Mark, &mark);
    }

    /// maps as the kernel prints it, in pieces.
    fn send_maps(&mut self, work: &mut Work) {
        let Ok(file) = sys::open_read(c"/proc/thread-self/maps") else { return };
        let mut offset = 0u64;
        loop {
            let Ok(n @ 1..) = sys::read(&file, &mut work.maps) else { return };
            let piece = work.maps.get(..n).unwrap_or(&[]);
            self.link.send_one(&mut work.frames[0], Kind::Maps, None, |w| {
                w.record(&offset)?;
                w.raw(piece)
            });
            offset += n as u64;
        }
    }

    /// Every thread's state and wait, and the raw stacks of those that are blocked.
    fn first_look(&mut self, work: &mut Work, listed: usize) -> FirstLook {
        let [a, b] = &mut work.frames;
        let (mut threads, mut stacks) = (Batch::new(a, Kind::Threads), Batch::new(b, Kind::Stacks));
        let mut running = 0;
        let mut fds = Fds::default();
        for tid in work.tids.iter().take(listed) {
            let thread = self.tasks.thread(*tid, 1, &mut work.text);
            if thread.sp != 0 {
                send_stack(&mut self.link, &mut stacks, &thread, &mut work.stack_copy);
                fds.remember(&thread);
            } else if thread.state != 0
                && !matches!(thread.state, b'Z' | b'X')
                && let Some(to) = work.running.get_mut(running)
            {
                *to = Running { tid: *tid, blocked_signals: thread.sigblk, was_blocked: false };
                running += 1;
            }
            threads.add(&mut self.link, |w| w.record(&thread));
        }
        threads.flush(&mut self.link);
        stacks.flush(&mut self.link);
        let (threads, stacks) = ((threads.sent, threads.dropped), (stacks.sent, stacks.dropped));
        let mut batch = Batch::new(a, Kind::Fds);
        fds.send(&mut self.link, &mut batch, &mut work.text);
        FirstLook { running, threads, stacks }
    }

    /// Asks as many running threads as there are free slots.
    fn ask_running(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        while let Some(running) = work.running.get(pending.asked).filter(|_| pending.asked < pending.running)
        {
            let link = &mut self.link;
            let mut refused = |r: ProbeRecord| batch.add(link, |w| w.record_with(&r, &[]));
            let masks = (running.blocked_signals, running.was_blocked);
            if !self.prober.ask(running.tid, masks, 0, probe::STACK as u32, &mut refused) {
                break;
            }
            pending.asked += 1;
        }
        batch.flush(&mut self.link);
    }

    fn collect_answers(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let link = &mut self.link;
        self.prober.collect(&mut |record, stack| {
            pending.answered += u32::from(record.sample == 0);
            batch.add(link, |w| w.record_with(&record, stack));
        });
        batch.flush(&mut self.link);
    }

    /// Asks threads that the collector names, because their stacks were cut short.
    pub(crate) fn probe_asked(&mut self, work: &mut Work, tids: &[u32]) {
        // After the second look nothing would tell whether the signal has cured something.
        let Some(mut pending) = self.pending.take_if(|p| !p.second_done) else { return };
        for tid in tids {
            // One that is gone is found to be so when it is asked.
            let status = self.tasks.status(*tid, &mut work.text);
            let blocked_signals = status.ok().and_then(Status::blocked_signals).unwrap_or(0);
            if let Some(to) = work.running.get_mut(pending.running) {
                *to = Running { tid: *tid, blocked_signals, was_blocked: true };
                pending.running += 1;
            }
        }
        // More than there are slots for are asked as answers come.
        self.ask_running(work, &mut pending);
        self.pending = Some(pending);
    }

    /// Questions that are still open are answered with what became of their thread.
    fn end_probes(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let (link, mut dropped) = (&mut self.link, 0);
        self.prober.abandon(&self.tasks, &mut work.text, &mut |record| {
            if record.sample == 0 {
                dropped += 1;
                batch.add(link, |w| w.record_with(&record, &[]));
            }
        });
        batch.flush(&mut self.link);
        pending.probes_done = true;
        let (answered, began, cpu) = (pending.answered, pending.trigger_ns, pending.cpu_before);
        self.mark(work, mark_part::PROBES, (answered, dropped), began, cpu);
    }

    /// Asks each hot thread for a sample, if it is time, it runs, and its last question is answered. A thread
    /// that sleeps is left alone: the signal would cut some of its calls short.
    fn sample(&mut self, work: &mut Work, pending: &mut Pending) {
        if sys::now() < pending.next_sample {
            return;
        }
        pending.next_sample = (pending.next_sample + SAMPLE_PAUSE).max(sys::now());
        for (hot, count) in pending.hot.iter().zip(&mut pending.samples).take(pending.hot_len) {
            if self.prober.is_open(*hot) || self.tasks.call(*hot, &mut work.text) != Ok(Syscall::Running) {
                continue;
            }
            // A signal that it blocks now was blocked before, too: that is in its first record.
            let running = work.running.iter().take(pending.running).find(|r| r.tid == *hot);
            let blocked = running.map_or(0, |r| r.blocked_signals);
            let mut asked = true;
            *count += 1;
            self.prober.ask(*hot, (blocked, false), *count, SAMPLE_STACK, &mut |_| asked = false);
            if !asked {
                *count -= 1;
            }
        }
    }

    fn second_look(&mut self, work: &mut Work, pending: &mut Pending) {
        let began = sys::now();
        let cpu_before = sys::thread_cpu();
        let found = self.tasks.list(&mut work.entries, &mut work.tids).unwrap_or(0);
        let [frame, _] = &mut work.frames;
        let mut batch = Batch::new(frame, Kind::Threads);
        for tid in work.tids.iter().take(found.min(MOST_THREADS)) {
            let thread = self.tasks.thread(*tid, 2, &mut work.text);
            batch.add(&mut self.link, |w| w.record(&thread));
        }
        batch.flush(&mut self.link);
        let counts = (batch.sent, batch.dropped);
        self.mark(work, mark_part::SECOND_LOOK, counts, began, cpu_before);
        pending.second_done = true;
        pending.second_threads = found as u32;
        pending.threads_left_out |= found > MOST_THREADS;
    }

    fn end_dump(&mut self, work: &mut Work, pending: &mut Pending) {
        self.end_probes_quietly(work);
        let samples = pending.samples.iter().sum();
        if pending.hot_len > 0 {
            self.mark(work, mark_part::SAMPLES, (samples, 0), pending.trigger_ns, pending.cpu_before);
        }
        let counts = self.link.counts;
        let mut flags = 0;
        if counts.frames_dropped + counts.records_dropped > 0 {
            flags |= dump_flags::SHORT;
        }
        if pending.threads_left_out {
            flags |= dump_flags::THREADS_LEFT_OUT;
        }
        let end = DumpEndRecord {
            number: pending.number,
            flags,
            frames: counts.frames,
            frames_dropped: counts.frames_dropped,
            records_dropped: counts.records_dropped,
            threads: pending.second_threads,
            bytes: counts.bytes,
            first_look_ns: pending.first_look_ns,
            took_ns: sys::now().saturating_sub(pending.trigger_ns),
            cpu_ns: sys::thread_cpu().saturating_sub(pending.cpu_before),
            reserved: 0,
        };
        self.link.send_record(&mut work.frames[0], Kind::DumpEnd, &end);
        self.link.dump = 0;
    }

    /// Open questions for samples are given up without a word.
    fn end_probes_quietly(&mut self, work: &mut Work) {
        self.prober.abandon(&self.tasks, &mut work.text, &mut |_| {});
        self.prober.collect(&mut |_, _| {});
    }
}

/// Copies a blocked thread's stack from SP upwards.
fn send_stack(link: &mut Link, stacks: &mut Batch<'_>, thread: &ThreadRecord, buffer: &mut [u8]) {
    // In a system call nothing below SP is of use to who unwinds; above it, 32 KiB or the end of the mapping.
    let copied = sys::peek(thread.sp, buffer);
    let n = copied.unwrap_or(0);
    let mut flags = 0;
    if n < buffer.len() {
        flags |= if n == 0 { stack_flags::FAULT } else { stack_flags::TO_THE_END };
    }
    let record = StackRecord { tid: thread.tid, look: 1, flags, sp: thread.sp };
    let bytes = buffer.get(..n).unwrap_or(&[]);
    stacks.add(link, |w| w.record_with(&record, bytes));
}

// A stack with its record fits a frame.
const _: () = assert!(StackRecord::SIZE + 4 + 32 * 1024 < hangscope_protocol::MAX_PAYLOAD);
