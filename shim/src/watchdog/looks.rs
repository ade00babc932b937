//! Looks at all threads, for a dump: states and waits, and the raw stacks of those that are blocked. No
//! signal is sent.

use hangscope_protocol::record::{
    MarkRecord, NoteRecord, StackRecord, ThreadRecord, mark_part, note_code, stack_flags, thread_flags,
};
use hangscope_protocol::{HEADER_LEN, Kind, Record};
use hangscope_reader::owner::{Claim, Claims};

use super::pending::Pending;
use super::state::Watchdog;
use crate::arena::Work;
use crate::host::fds::Fds;
use crate::link::{Batch, Link};
use crate::signal::Candidate;
use crate::sys::{self, Copied};

/// What the first look found: running threads, and (sent, dropped) of threads and of stacks.
pub(super) struct FirstLook {
    pub(super) running: usize,
    pub(super) threads: (u32, u32),
    pub(super) stacks: (u32, u32),
}

impl Watchdog {
    pub(super) fn mark(
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

    /// Lists the threads into `tids`. Gives how many there are, which may be more than fit.
    pub(super) fn list(&self, work: &mut Work) -> usize {
        let list = |work: &mut Work| self.tasks.list(&mut work.entries, &mut work.tids).unwrap_or(0);
        let found = list(work);
        if found <= work.tids.len() {
            return found;
        }
        work.hold(found);
        list(work)
    }

    /// maps as the kernel prints it, in pieces.
    pub(super) fn send_maps(&mut self, work: &mut Work) {
        let Ok(file) = sys::open_read(c"/proc/thread-self/maps") else { return };
        let mut offset = 0u64;
        loop {
            let Ok(n @ 1..) = sys::read(&file, &mut work.maps) else { return };
            let piece = work.maps.get(..n).unwrap_or(&[]);
            self.link.send_one(&mut work.frames[0], Kind::Maps, None, &mut |w| {
                w.record(&offset)?;
                w.raw(piece)
            });
            offset += n as u64;
        }
    }

    /// Every thread's state and wait, and the raw stacks of those that are blocked.
    pub(super) fn first_look(&mut self, work: &mut Work, listed: usize) -> FirstLook {
        let [a, b] = &mut work.frames;
        let (mut threads, mut stacks) = (Batch::new(a, Kind::Threads), Batch::new(b, Kind::Stacks));
        let mut running = 0;
        let mut fds = Fds::default();
        for tid in work.tids.iter().take(listed) {
            let thread = self.tasks.thread(*tid, 1, &mut work.text);
            if thread.sp != 0 {
                let copied = self.tasks.memory.stack(thread.sp, &mut work.stack_copy);
                send_stack(&mut self.link, &mut stacks, &thread, (copied, &work.stack_copy));
                fds.remember(&thread);
            } else if thread.state != 0
                && !matches!(thread.state, b'Z' | b'X')
                && let Some(to) = work.running.get_mut(running)
            {
                *to = Candidate { tid: *tid, blocked_signals: thread.sigblk };
                running += 1;
            }
            threads.add(&mut self.link, &mut |w| w.record(&thread));
        }
        threads.flush(&mut self.link);
        stacks.flush(&mut self.link);
        let (threads, stacks) = ((threads.sent, threads.dropped), (stacks.sent, stacks.dropped));
        let mut batch = Batch::new(a, Kind::Fds);
        let link = &mut self.link;
        fds.each(&mut work.text, |record, target| batch.add(link, &mut |w| w.record_with(record, target)));
        batch.flush(link);
        FirstLook { running, threads, stacks }
    }

    /// Sends what is now in the memory that the collector asked for.
    pub(super) fn send_memory(&mut self, work: &mut Work) {
        let [frame, _] = &mut work.frames;
        let payload =
            frame.get_mut(HEADER_LEN..).map_or(0, |room| self.wanted.read(Some(&self.tasks.memory), room));
        if payload > 0 {
            self.link.send(frame, Kind::Memory, payload, None);
        }
    }

    pub(super) fn second_look(&mut self, work: &mut Work, pending: &mut Pending) {
        let began = sys::now();
        let cpu_before = sys::thread_cpu();
        let found = self.list(work);
        let [frame, notes] = &mut work.frames;
        let mut batch = Batch::new(frame, Kind::Threads);
        let mut claims = Claims::default();
        for tid in work.tids.iter().take(found) {
            let thread = self.tasks.thread(*tid, 2, &mut work.text);
            if thread.flags & thread_flags::NEAR != 0 {
                claims.add(&thread, &|owner| !work.tids.iter().take(found).any(|tid| *tid == owner));
            }
            batch.add(&mut self.link, &mut |w| w.record(&thread));
        }
        batch.flush(&mut self.link);
        let counts = (batch.sent, batch.dropped);
        for claim in claims.each().iter().filter(|_| !self.tasks.other_ids) {
            if self.tasks.is_no_thread(claim.owner, &mut work.text) && claim.stands(&self.tasks.memory) {
                let note = owner_ended(pending.number, claim);
                self.link.send_one(notes, Kind::Note, None, &mut |w| w.record_with(&note, &[]));
            }
        }
        self.mark(work, mark_part::SECOND_LOOK, counts, began, cpu_before);
        pending.second_done = true;
        pending.second_threads = found as u32;
        pending.threads_left_out |= found > work.tids.len();
    }
}

/// See [`note_code::OWNER_ENDED`].
fn owner_ended(dump: u32, claim: &Claim) -> NoteRecord {
    NoteRecord { code: note_code::OWNER_ENDED, reserved: dump as u16, tid: claim.owner, value: claim.word }
}

/// Sends a blocked thread's stack, which was copied from SP upwards. In a system call nothing below SP is of
/// use to who unwinds; above it, 32 KiB or the end of the mapping.
fn send_stack(
    link: &mut Link,
    stacks: &mut Batch<'_>,
    thread: &ThreadRecord,
    (copied, buffer): (Copied, &[u8]),
) {
    let mut flags = if copied.holes { stack_flags::HOLES } else { 0 };
    if copied.len < buffer.len() {
        flags |= if copied.len == 0 { stack_flags::FAULT } else { stack_flags::TO_THE_END };
    }
    let record = StackRecord { tid: thread.tid, look: 1, flags, sp: thread.sp };
    let bytes = buffer.get(..copied.len).unwrap_or(&[]);
    stacks.add(link, &mut |w| w.record_with(&record, bytes));
}

// A stack with its record fits a frame.
const _: () = assert!(StackRecord::SIZE + 4 + 32 * 1024 < hangscope_protocol::MAX_PAYLOAD);
