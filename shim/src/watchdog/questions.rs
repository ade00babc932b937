//! The registers of a dump's threads: running ones are seen through perf events, and those that the collector
//! names, and may not stop itself, are asked by signal.

use hangscope_protocol::Kind;
use hangscope_protocol::record::{ProbeRecord, mark_part, probe_outcome};

use super::pending::Pending;
use super::state::Watchdog;
use super::views::Opened;
use crate::arena::Work;
use crate::link::Batch;
use crate::signal::Candidate;
use crate::sys::{self, Plan};

/// Between two samples of a thread, ns: not in step with what ticks at 100 or 1000 Hz.
const SAMPLE_PAUSE: u64 = 1_000_000_000 / 199;

impl Watchdog {
    /// Why no perf event may be opened now; none if it may be tried.
    pub(super) fn views_refused(&self, work: &mut Work) -> Option<u8> {
        // With a filter of the program in force a call that it does not know might end the process: a filter
        // from before the start, or one for all threads. Reading its own status is nothing new to the
        // watchdog.
        if self.is_filtered(work) {
            return Some(0);
        }
        // Ids of another namespace are no ids for the call, and rings are made for small pages. A child that
        // was forked while its parent had rings has nothing in their place.
        let can = !self.tasks.other_ids && self.facts.page_size == 4096 && !sys::are_lent();
        (!can).then_some(sys::Errno::OPNOTSUPP.raw_os_error() as u8)
    }

    /// Whether a filter of system calls is in force for the watchdog.
    pub(super) fn is_filtered(&self, work: &mut Work) -> bool {
        let status = self.tasks.status(self.tasks.own, &mut work.text);
        status.map_or(true, |status| status.is_filtered())
    }

    /// Opens events for as many running threads as there are free places.
    pub(super) fn see_running(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        while let Some(thread) = work.running.get(pending.asked).filter(|_| pending.asked < pending.running) {
            match self.views.open(thread.tid, 0) {
                Opened::Yes => {}
                Opened::Busy => break,
                Opened::No(record) => batch.add(&mut self.link, &mut |w| w.record_with(&record, &[])),
            }
            pending.asked += 1;
        }
        batch.flush(&mut self.link);
    }

    /// Asks as many of the threads that the collector named as there are free slots.
    pub(super) fn ask_named(&mut self, work: &mut Work, pending: &mut Pending) {
        while pending.signalled < pending.named {
            let Some(&Candidate { tid, .. }) = work.running.get(pending.running + pending.signalled) else {
                break;
            };
            let may = self.may_be_signalled(work, tid);
            let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
            let link = &mut self.link;
            let mut refused = |r: &ProbeRecord| batch.add(link, &mut |w| w.record_with(r, &[]));
            let taken = match may {
                Some(blocked_signals) => self.prober.ask(&Candidate { tid, blocked_signals }, &mut refused),
                None => {
                    refused(&self.prober.not_asked(tid, probe_outcome::NOT_SAFE));
                    true
                }
            };
            batch.flush(&mut self.link);
            if !taken {
                break;
            }
            pending.signalled += 1;
        }
    }

    pub(super) fn collect_answers(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let link = &mut self.link;
        let again = !self.views.plan().is_once();
        let (answered, samples) = (&mut pending.answered, &mut pending.samples);
        self.views.collect(&mut work.stack_copy, &mut |hot, mut record, stack| {
            if let Some(count) = samples.get_mut(hot).filter(|_| again) {
                *count += 1;
                record.sample = *count;
            } else {
                *answered += 1;
            }
            batch.add(link, &mut |w| w.record_with(&record, stack));
        });
        self.prober.collect(&self.tasks.memory, &mut work.stack_copy, &mut |record, stack| {
            *answered += 1;
            batch.add(link, &mut |w| w.record_with(record, stack));
        });
        batch.flush(&mut self.link);
        if !again {
            self.settle(work, pending, false);
        }
    }

    /// Says what became of running threads that gave no sample. Gives how many have neither registers nor a
    /// stack.
    fn settle(&mut self, work: &mut Work, pending: &mut Pending, all: bool) -> u32 {
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let (link, mut without) = (&mut self.link, 0);
        let others = pending.asked < pending.running;
        let buffers = (&mut work.text[..], &mut work.stack_copy[..]);
        self.views.settle(&self.tasks, buffers, (all, others), &mut |record, stack| {
            let read = record.outcome == probe_outcome::READ;
            pending.answered += u32::from(read);
            without += u32::from(!read);
            batch.add(link, &mut |w| w.record_with(&record, stack));
        });
        batch.flush(&mut self.link);
        without
    }

    /// Notes threads that the collector names, because their stacks were cut short and it may not stop them.
    pub(super) fn probe_asked(&mut self, work: &mut Work, tids: &[u32]) {
        // After the second look nothing would tell whether the signal has cured something.
        let Some(mut pending) = self.pending.take_if(|p| !p.second_done) else { return };
        for tid in tids {
            if let Some(to) = work.running.get_mut(pending.running + pending.named) {
                *to = Candidate { tid: *tid, blocked_signals: 0 };
                pending.named += 1;
            }
        }
        // More than there are slots for are asked as answers come.
        self.ask_named(work, &mut pending);
        self.pending = Some(pending);
    }

    /// Questions that are still open are answered with what became of their thread.
    pub(super) fn end_probes(&mut self, work: &mut Work, pending: &mut Pending) {
        let mut dropped = 0;
        if self.views.plan().is_once() {
            dropped += self.settle(work, pending, true);
        }
        let mut batch = Batch::new(&mut work.frames[1], Kind::Probes);
        let link = &mut self.link;
        self.prober.abandon(&self.tasks, &mut work.text, &mut |record| {
            dropped += 1;
            batch.add(link, &mut |w| w.record_with(record, &[]));
        });
        batch.flush(&mut self.link);
        pending.probes_done = true;
        let (answered, began, cpu) = (pending.answered, pending.trigger_ns, pending.cpu_before);
        self.mark(work, mark_part::PROBES, (answered, dropped), began, cpu);
    }

    /// Has the hot threads sampled, once all running threads were seen. A thread that sleeps gives no
    /// samples.
    pub(super) fn sample(&mut self, pending: &mut Pending) {
        let now = sys::now();
        if now < pending.next_sample {
            return;
        }
        pending.next_sample = (pending.next_sample + SAMPLE_PAUSE).max(now);
        if !self.views.plan().is_once() {
            return self.views.again();
        }
        let seen = pending.probes_done || !self.views.any_open() && pending.asked == pending.running;
        if pending.hot_len == 0 || !seen {
            return;
        }
        self.views.begin(Plan::of(pending.hot_len));
        for (index, tid) in pending.hot.iter().enumerate().take(pending.hot_len) {
            // A thread that has ended, or for which there is no memory, gives none.
            let _ = self.views.open(*tid, index);
        }
    }

    /// Open questions are given up without a word, and all events are closed.
    pub(super) fn end_probes_quietly(&mut self, work: &mut Work) {
        self.views.begin(Plan::ONCE);
        self.prober.abandon(&self.tasks, &mut work.text, &mut |_| {});
        self.prober.collect(&self.tasks.memory, &mut [], &mut |_, _| {});
    }
}
