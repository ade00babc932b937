//! Scheduling disturbed between the watchdog's other work ([`crate::stir`]).

use hangscope_protocol::Kind;
use hangscope_protocol::record::note_code;

use super::state::Watchdog;
use crate::arena::Work;
use crate::host::task::Tasks;
use crate::host::{filters, holds};
use crate::link::Batch;
use crate::signal::Handler;
use crate::stir::Tools;
use crate::sys::{self, For};

fn tools<'a>(tasks: &'a Tasks, handler: &'a mut Handler, work: &'a mut Work) -> Tools<'a> {
    Tools {
        tasks,
        handler,
        touched: &mut work.touched,
        entries: &mut work.entries,
        tids: &mut work.tids,
        text: &mut work.text,
    }
}

impl Watchdog {
    /// Waits until then, and meanwhile disturbs what is to be disturbed. True as soon as the collector
    /// asks. Without a collector nothing is disturbed: nobody would see what comes of it.
    pub(super) fn wait(&mut self, work: &mut Work, until: u64) -> bool {
        if !self.link.is_up() {
            self.rest(work);
        } else if let Some(stir) = &mut self.stir
            && !filters::reach_all()
        {
            let mut tools = tools(&self.tasks, &mut self.prober.handler, work);
            let asks = stir.until(until, self.link.socket(), &mut tools);
            if let Some(trouble) = stir.take_trouble() {
                self.note(work, note_code::STIR_LIMITED, 0, trouble);
            }
            return asks;
        }
        sys::wait(self.link.socket(), For::Reading, until.saturating_sub(sys::now()))
    }

    /// Gives back what was changed. It may be changed again.
    pub(super) fn rest(&mut self, work: &mut Work) {
        if let Some(stir) = &mut self.stir {
            stir.rest(&mut tools(&self.tasks, &mut self.prober.handler, work));
        }
    }

    /// Gives back what was changed, for good.
    pub(super) fn calm(&mut self, work: &mut Work) {
        if let Some(stir) = &mut self.stir {
            stir.end(&mut tools(&self.tasks, &mut self.prober.handler, work));
        }
    }

    /// The last holds, and what stands for the allocator's instructions.
    pub(super) fn send_holds(&mut self, work: &mut Work) {
        let [frame, _] = &mut work.frames;
        let link = &mut self.link;
        let mut batch = Batch::new(frame, Kind::Holds);
        holds::each_hold(|hold, stack| batch.add(link, &mut |w| w.record_with(hold, stack)));
        batch.flush(link);
        let mut batch = Batch::new(frame, Kind::Patched);
        holds::each_patched(|patched| batch.add(link, &mut |w| w.record(patched)));
        batch.flush(link);
    }
}
