//! One look: every thread's state, CPU time and wait, and the DSOs, in a heartbeat. Its cost is measured, and
//! the pause until the next one grows with it.

use hangscope_protocol::record::{HeartbeatRecord, note_code};
use hangscope_protocol::{Kind, Record};

use super::state::Watchdog;
use crate::arena::Work;
use crate::sys;

/// A look may cost at most this share of a core: 1/250 (0.4 %), to stay under 0.5 % with all else.
const SHARE: u64 = 250;

impl Watchdog {
    /// Looks at all threads once, and sends the heartbeat.
    pub(super) fn look(&mut self, work: &mut Work) {
        if !self.link.is_up() {
            return;
        }
        let cpu_before = sys::thread_cpu();
        // Outside a dump a full socket is not waited for: the look is lost, the next one comes.
        let patience = core::mem::replace(&mut self.link.patience, 0);
        let dump = core::mem::replace(&mut self.link.dump, 0);
        self.send_integrity(work, false, false);
        self.tick += 1;
        let found = self.list(work);
        let mut head = HeartbeatRecord {
            tick: self.tick,
            threads: found as u32,
            first: 0,
            last: 0,
            interval_ns: self.interval,
            rss_kib: self.tasks.rss_kib(self.facts.page_size, &mut work.text),
            watchdog_cpu_ns: 0,
            look_cpu_ns: 0,
            since_init_ns: sys::now().saturating_sub(self.init_ns),
            process_cpu_ns: sys::process_cpu(),
            still: self.stall.still,
            dumps: self.dumps,
        };
        let room = (hangscope_protocol::MAX_PAYLOAD - HeartbeatRecord::SIZE)
            / hangscope_protocol::record::HeartbeatThread::SIZE;
        let [frame, _] = &mut work.frames;
        let mut all = true;
        let listed = work.tids.get(..found.min(work.tids.len())).unwrap_or(&[]);
        let mut rest = listed.chunks(room).peekable();
        self.stall.begin();
        loop {
            let part = rest.next().unwrap_or(&[]);
            head.last = u32::from(rest.peek().is_none());
            let (tasks, text, stall, seen) = (&self.tasks, &mut work.text, &mut self.stall, &mut work.seen);
            let sent = self.link.send_one(frame, Kind::Heartbeat, None, &mut |w| {
                w.raw(&[0; HeartbeatRecord::SIZE])?;
                for tid in part {
                    if let Some(thread) = tasks.heartbeat(*tid, text) {
                        w.record(&thread)?;
                        if stall.is_on() {
                            stall.see(seen, &thread);
                        }
                    }
                }
                // The costs are known only now: the head is written again, in its place.
                head.watchdog_cpu_ns = sys::thread_cpu();
                head.look_cpu_ns = head.watchdog_cpu_ns - cpu_before;
                let len = w.len();
                w.truncate(0);
                w.record(&head)?;
                w.skip_to(len)
            });
            all &= sent;
            head.first += part.len() as u32;
            if head.last == 1 {
                break;
            }
        }
        if all {
            self.link.works();
        }
        self.stall_due = self.stall.is_on() && self.stall.end(sys::now());
        let asked = self.facts.tick_ns();
        let affordable = sys::thread_cpu().saturating_sub(cpu_before) * SHARE;
        let before = core::mem::replace(&mut self.interval, asked.max(affordable));
        // Small changes are in the heartbeat itself; a note only when it starts, or doubles.
        if self.interval > asked && self.interval > before * 2 {
            let text = b"a look at all threads is dear, so there are fewer";
            self.note(work, note_code::SLOWER, self.interval / 1_000_000, text);
        }
        self.link.patience = patience;
        self.link.dump = dump;
    }
}
