//! Dumps that somebody wants.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hangscope_protocol::record::{AskRecord, ask_what};

use super::input::{Asked, WANTED};
use super::state::Session;
use crate::listen::request::{Answer, Problem};

/// A process in which nothing moved at so many looks is looked at before it is ended.
const STANDS_STILL: u32 = 2;

impl Session {
    /// Asks the shim for a dump.
    pub(super) fn want(&mut self, asked: Asked) {
        // At the end of the collector a hang that is captured needs no second look, and there is little time.
        if asked.done.is_some() && self.record.hung {
            return;
        }
        // Somebody waits with a signal, and the evidence is there.
        let is_quick = !asked.second_look.is_zero();
        if let Some(captured) = self.captured.clone().filter(|_| is_quick && self.record.hung) {
            return self.reply(asked, &captured);
        }
        let sent = self.ask_for_dump(asked.second_look);
        self.wanted.push(asked);
        if !sent {
            self.answer(&Answer::problem(0, Problem::NotTaken));
        }
    }

    /// Looks at a process in which nothing moves before a signal ends it.
    pub(super) fn stopping(&mut self, asked: Asked, signal: i32) {
        if self.record.hung || self.looked_at || self.still.looks() < STANDS_STILL {
            return self.reply(asked, &Answer::default());
        }
        self.note(format!("signal {signal} was about to end it, and nothing moved in it"));
        if let Some(sender) = asked.asker {
            self.desk.asker.looks(sender);
        }
        self.want(asked);
    }

    /// Whether the shim was asked.
    pub(super) fn ask_for_dump(&self, second_look: Duration) -> bool {
        let arg0 = second_look.as_nanos() as u64;
        let ask = AskRecord { what: ask_what::DUMP, request: WANTED, arg0, arg1: 0, reserved: 0 };
        let sent = self.conns.last().map(|conn| self.desk.asker.ask(*conn, &ask, &[]));
        matches!(sent, Some(Ok(())))
    }

    /// Answers all who want a dump of this process.
    pub(super) fn answer(&mut self, answer: &Answer) {
        std::mem::take(&mut self.wanted).into_iter().for_each(|asked| self.reply(asked, answer));
    }

    fn reply(&self, asked: Asked, answer: &Answer) {
        let left = asked.left.fetch_sub(1, Ordering::SeqCst).saturating_sub(1);
        if let Some(asker) = asked.asker.filter(|_| left == 0 || !asked.only_last) {
            self.desk.asker.answer(asker, &Answer { pid: self.peer.pid, left, ..answer.clone() });
        }
    }
}
