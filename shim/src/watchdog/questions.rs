//! Questions to threads of a dump, by signal: to those that run, and to those that the collector names.

use hangscope_protocol::Kind;
use hangscope_protocol::record::{ProbeRecord, mark_part};
use hangscope_reader::status::Status;
use hangscope_reader::task::Syscall;

use super::pending::Pending;
use super::state::Watchdog;
use crate::arena::Work;
use crate::link::Batch;
use crate::signal::{Candidate, STACK};
use crate::sys;

/// Between two samples, ns: 199 a second, so that samples do not march in step with what ticks at 100 or
/// 1000 Hz.
const SAMPLE_PAUSE: u64 = 1_000_000_000 / 199;
const SAMPLE_STACK: u32 = 8 * 1024;

impl Watchdog {
    /// Asks as many running threads as there are free slots.
    pub(super) fn ask_running(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        while let Some(running) = work.running.get(pending.asked).filter(|_| pending.asked < pending.running)
        {
            let link = &mut self.link;
            let mut refused = |r: &ProbeRecord| batch.add(link, &mut |w| w.record_with(r, &[]));
            if !self.prober.ask(running, 0, STACK as u32, &mut refused) {
                break;
            }
            pending.asked += 1;
        }
        batch.flush(&mut self.link);
    }

    pub(super) fn collect_answers(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let link = &mut self.link;
        self.prober.collect(&mut |record, stack| {
            pending.answered += u32::from(record.sample == 0);
            batch.add(link, &mut |w| w.record_with(record, stack));
        });
        batch.flush(&mut self.link);
    }

    /// Asks threads that the collector names, because their stacks were cut short.
    pub(super) fn probe_asked(&mut self, work: &mut Work, tids: &[u32]) {
        // After the second look nothing would tell whether the signal has cured something.
        let Some(mut pending) = self.pending.take_if(|p| !p.second_done) else { return };
        for tid in tids {
            // One that is gone is found to be so when it is asked.
            let status = self.tasks.status(*tid, &mut work.text);
            let blocked_signals = status.ok().and_then(Status::blocked_signals).unwrap_or(0);
            if let Some(to) = work.running.get_mut(pending.running) {
                *to = Candidate { tid: *tid, blocked_signals, was_blocked: true };
                pending.running += 1;
            }
        }
        // More than there are slots for are asked as answers come.
        self.ask_running(work, &mut pending);
        self.pending = Some(pending);
    }

    /// Questions that are still open are answered with what became of their thread.
    pub(super) fn end_probes(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let (link, mut dropped) = (&mut self.link, 0);
        self.prober.abandon(&self.tasks, &mut work.text, &mut |record| {
            if record.sample == 0 {
                dropped += 1;
                batch.add(link, &mut |w| w.record_with(record, &[]));
            }
        });
        batch.flush(&mut self.link);
        pending.probes_done = true;
        let (answered, began, cpu) = (pending.answered, pending.trigger_ns, pending.cpu_before);
        self.mark(work, mark_part::PROBES, (answered, dropped), began, cpu);
    }

    /// Asks each hot thread for a sample, if it is time, it runs, and its last question is answered. A thread
    /// that sleeps is left alone: the signal would cut some of its calls short.
    pub(super) fn sample(&mut self, work: &mut Work, pending: &mut Pending) {
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
            let blocked_signals = running.map_or(0, |r| r.blocked_signals);
            let candidate = Candidate { tid: *hot, blocked_signals, was_blocked: false };
            let mut asked = true;
            *count += 1;
            self.prober.ask(&candidate, *count, SAMPLE_STACK, &mut |_| asked = false);
            if !asked {
                *count -= 1;
            }
        }
    }

    /// Open questions for samples are given up without a word.
    pub(super) fn end_probes_quietly(&mut self, work: &mut Work) {
        self.prober.abandon(&self.tasks, &mut work.text, &mut |_| {});
        self.prober.collect(&mut |_, _| {});
    }
}
