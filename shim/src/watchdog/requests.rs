//! What the collector asks for: a dump, answers of threads, memory.

use hangscope_protocol::record::{AskRecord, ask_what, dump_reason};
use hangscope_protocol::{Header, Kind, Reader};

use super::state::Watchdog;
use crate::arena::Work;

impl Watchdog {
    /// Does what the collector asks. What is not well-formed is passed over.
    pub(super) fn answer(&mut self, work: &mut Work) {
        while let Some(n) = self.link.receive(&mut work.ask) {
            let Some(message) = work.ask.get(..n) else { continue };
            let Ok((_, Kind::Ask, payload)) = Header::split(message) else { continue };
            let mut r = Reader::new(payload);
            let Ok(ask) = r.record::<AskRecord>() else { continue };
            match ask.what {
                ask_what::DUMP => {
                    if self.pending.is_none() {
                        self.begin_dump(work, dump_reason::ASKED, ask);
                    } else if let Some(pending) = self.pending.as_mut().filter(|_| ask.arg0 != 0) {
                        pending.hurry(ask.arg0);
                    }
                }
                ask_what::PROBE => {
                    let mut tids = [0; 512];
                    let mut count = 0;
                    while let Ok(tid) = r.record::<u32>() {
                        if let Some(to) = tids.get_mut(count) {
                            *to = tid;
                            count += 1;
                        }
                    }
                    self.probe_asked(work, tids.get(..count).unwrap_or(&[]));
                }
                ask_what::MEMORY => {
                    self.wanted.keep(&mut r);
                    self.send_last_memory(work);
                }
                _ => {}
            }
        }
    }
}
