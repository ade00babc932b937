//! What the collector asks for: a dump, answers of threads, memory.

use hangscope_protocol::record::{AskRecord, ask_what, dump_reason, note_code};
use hangscope_protocol::{Header, Kind, Reader};

use crate::arena::Work;
use crate::watchdog::Watchdog;

impl Watchdog {
    /// Does what the collector asks. What is not well-formed is passed over.
    pub(crate) fn answer(&mut self, work: &mut Work) {
        while let Some(n) = self.link.receive(&mut work.ask) {
            let Some(message) = work.ask.get(..n) else { continue };
            let Ok((_, Kind::Ask, payload)) = Header::split(message) else { continue };
            let mut r = Reader::new(payload);
            let Ok(ask) = r.record::<AskRecord>() else { continue };
            match ask.what {
                ask_what::DUMP if self.pending.is_none() => {
                    self.begin_dump(work, dump_reason::ASKED, ask.request);
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

    /// Shares the page of the last reading (made once), also with a collector that came anew.
    pub(crate) fn send_last_memory(&mut self, work: &mut Work) {
        if self.last_memory.is_none() {
            match self.wanted.share() {
                Ok(shared) => self.last_memory = Some(shared),
                Err(e) => {
                    let text = b"a page for memory that was asked for";
                    self.note(work, note_code::UNREADABLE, e.raw_os_error() as u64, text);
                }
            }
        }
        let [frame, _] = &mut work.frames;
        if let Some((file, record)) = &self.last_memory {
            self.link.send_one(frame, Kind::LastMemory, Some(file), |w| w.record(record));
        }
    }
}
