//! A dump, safest first: identity and DSO integrity; every thread's state, wait and raw stack; then running
//! threads through perf events; samples of them; a second look. A signal is the last way, on request only.
//! What is late or does not fit is left out, and the dump says so: a short dump is a legal dump.
//!
//! Nothing here waits long. The first look is made in one go, the rest in steps between the watchdog's other
//! work.

use hangscope_protocol::Kind;
use hangscope_protocol::record::{AskRecord, DumpBeginRecord, DumpEndRecord, dump_flags, mark_part};

use super::looks::FirstLook;
use super::pending::{MOST_HOT, Pending, Times};
use super::state::Watchdog;
use crate::arena::Work;
use crate::sys;

/// How long a dump waits for room in a full socket, ns.
const PATIENCE: u64 = 2_000_000_000;
/// How long a dump waits for answers before other work goes on, ns. Later answers are collected in between.
const FIRST_ANSWERS: u64 = 40_000_000;

impl Watchdog {
    /// The first look, whole; the rest follows in [`Watchdog::go_on`].
    pub(super) fn begin_dump(&mut self, work: &mut Work, reason: u8, asked: AskRecord) {
        self.calm(work);
        let trigger_ns = sys::now();
        let cpu_before = sys::thread_cpu();
        self.dumps += 1;
        self.link.dump = self.dumps;
        self.link.count_anew();
        self.link.patience = trigger_ns + PATIENCE;
        let found = self.list(work);
        let listed = found.min(work.tids.len());
        let times = Times::of(asked.arg0);
        let begin = DumpBeginRecord {
            number: self.dumps,
            reason,
            reserved: [0; 3],
            threads: found as u32,
            request: asked.request,
            trigger_ns,
            since_init_ns: trigger_ns.saturating_sub(self.init_ns),
            second_look_after_ns: times.second_look,
            rss_kib: self.tasks.rss_kib(self.facts.page_size, &mut work.text),
        };
        self.link.send_record(&mut work.frames[0], Kind::DumpBegin, &begin);
        self.send_integrity(work, true, true);
        self.send_maps(work);
        self.send_holds(work);
        self.mark(work, mark_part::IDENTITY, (0, 0), trigger_ns, cpu_before);

        let threads_cpu = sys::thread_cpu();
        let FirstLook { running, threads, stacks } = self.first_look(work, listed);
        self.mark(work, mark_part::THREADS, threads, trigger_ns, threads_cpu);
        self.send_memory(work);
        self.mark(work, mark_part::STACKS, stacks, trigger_ns, threads_cpu);
        let mut pending = Pending {
            number: self.dumps,
            trigger_ns,
            times,
            first_look_ns: sys::now() - trigger_ns,
            cpu_before,
            running,
            asked: 0,
            named: 0,
            signalled: 0,
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
        let refused = self.views_refused(work);
        self.views.begin_dump(refused);
        let until = sys::now() + FIRST_ANSWERS;
        self.see_running(work, &mut pending);
        while self.views.any_open() && sys::now() < until {
            self.views.wait(until.saturating_sub(sys::now()));
            self.collect_answers(work, &mut pending);
            self.see_running(work, &mut pending);
        }
        if self.views.are_refused() && running > 0 {
            self.name_tracer(work);
        }
        // Where events are refused there are no samples to wait for.
        let hot = if self.views.are_refused() { 0 } else { running.min(MOST_HOT) };
        for running in work.running.iter().take(hot) {
            if let Some(hot) = pending.hot.get_mut(pending.hot_len) {
                *hot = running.tid;
                pending.hot_len += 1;
            }
        }
        pending.next_sample = sys::now();
        self.pending = self.link.is_up().then_some(pending);
    }

    /// What is due of the dump now.
    pub(super) fn go_on(&mut self, work: &mut Work) {
        let Some(mut pending) = self.pending.take() else { return };
        if !self.link.is_up() {
            // The collector is gone, and with it the dump; the handler is taken out when nothing is open.
            self.end_probes_quietly(work);
            self.take_name_back(true);
            self.link.dump = 0;
            return;
        }
        self.link.dump = pending.number;
        self.link.patience = sys::now() + PATIENCE;
        self.collect_answers(work, &mut pending);
        if !pending.probes_done {
            self.see_running(work, &mut pending);
            self.ask_named(work, &mut pending);
        }
        if !pending.second_done && sys::now() >= pending.trigger_ns + pending.times.second_look {
            self.end_probes(work, &mut pending);
            self.second_look(work, &mut pending);
        }
        let over = pending.second_done
            && (pending.hot_len == 0 || sys::now() >= pending.trigger_ns + pending.times.sampled);
        if over {
            self.end_dump(work, &mut pending);
        } else {
            self.sample(&mut pending);
            self.pending = Some(pending);
        }
        self.link.patience = 0;
    }

    fn end_dump(&mut self, work: &mut Work, pending: &mut Pending) {
        self.end_probes_quietly(work);
        let samples = pending.samples.iter().sum();
        if pending.hot_len > 0 {
            let counts = (samples, self.views.lost);
            self.mark(work, mark_part::SAMPLES, counts, pending.trigger_ns, pending.cpu_before);
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
        self.dump_ended();
        self.untidy = true;
        self.link.dump = 0;
    }
}
