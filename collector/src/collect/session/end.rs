//! How a session ended.

use std::time::SystemTime;

use super::state::Session;
use crate::analysis::integrity::is_of_a_lost_mapping;
use crate::collect::disk::Folded;
use crate::collect::record::{self, End};
use crate::console::out;
use crate::listen::request::{Answer, Problem};
use crate::live::model::Ended;
use crate::proc::ending::{self, Ending};
use crate::session::syscalls::Syscalls;
use crate::text::collecting::CollectLine;
use crate::text::message::say;

impl Session {
    pub(in crate::collect) fn end(mut self) {
        let closed = self.closed;
        self.answer(&Answer::problem(0, Problem::Ended));
        let ending = self.peer.pidfd.as_ref().and_then(|pidfd| ending::of(pidfd, self.peer.pid));
        let alive = self.peer.pidfd.as_ref().is_some_and(|pidfd| ending::has_ended(pidfd) == Some(false));
        let (end, why) = match (ending, &self.rejected) {
            (_, Some(reason)) => (End::Lost, Some(format!("rejected: {reason}"))),
            (_, None) if self.superseded => {
                (End::Exit, Some("another program was started in it (exec)".into()))
            }
            (Some(Ending::Exit(_)), _) => (End::Exit, None),
            (Some(Ending::Signal(_)), _) => (End::Signal, None),
            (None, _) if closed && (alive || !self.conns.is_empty()) => (End::Open, None),
            (None, _) => (End::Lost, Some("its connection ended, and how it ended cannot be told".into())),
        };
        if let (Some(ending), false) = (ending, self.superseded) {
            self.record.rc = Some(ending.rc());
            self.record.signal = match ending {
                Ending::Signal(signal) => Some(signal),
                Ending::Exit(_) => None,
            };
        }
        if ending.is_some() && !self.superseded {
            let sha1 = self.record.sha1.clone();
            let by_signal = self.record.signal.is_some_and(is_of_a_lost_mapping);
            self.judge.after(&self.dsos, self.identity.fixed.allocator, sha1.as_deref(), by_signal);
        }
        self.record.integrity = self.judge.integrity();
        self.record.deleted_seen = self.judge.deleted_seen;
        self.record.end = end;
        self.record.why = why;
        self.record.ended = (end != End::Open).then(|| record::stamp(SystemTime::now()));
        self.note_stop();
        let healthy = self.record.is_healthy();
        self.record.folded = healthy && self.desk.disk.folds();
        if !self.record.folded {
            self.write_beats();
            if let (true, Err(error)) = (self.beats.len() > 0, self.beats.check_room(&self.dir)) {
                self.failed(&error);
            }
            self.save();
        }
        let folded = self.desk.disk.ended(&self.dir, healthy, self.on_disk);
        self.desk.ended(&self.record);
        let how = match (self.record.signal, self.record.rc) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(rc)) => format!("exit {rc}"),
            (None, None) => self.record.why.clone().unwrap_or_else(|| "still there".into()),
        };
        let (pid, integrity) = (self.peer.pid, self.record.integrity);
        let hung = match (self.record.hung, self.record.still_s) {
            (true, _) => "hung".to_owned(),
            (false, Some(seconds)) => {
                say!(CollectLine::StuckWhenStopped { seconds: seconds as u64 }).text(out::lang())
            }
            (false, None) => "no hang".to_owned(),
        };
        let line = match folded {
            Folded::Yes => format!("[END] {pid} {how}, DSO {integrity}, {hung}"),
            Folded::No => format!("[END] {pid} {how}, DSO {integrity}, {hung} -> {}", self.dir.display()),
        };
        self.row.dsos(None, integrity);
        let Session { row, record, desk, .. } = self;
        // A signal has a status of 128 and more, too.
        let rc = record.rc.filter(|_| record.signal.is_none());
        // Whoever reads the line finds the session ended, and counted.
        row.end(Ended { rc, signal: record.signal, why: record.why }, record.hung);
        match record.stopped {
            Some(_) => desk.say(line),
            None => desk.say_of_course(line),
        }
    }

    /// A process that was ended while nothing moved in it is not one without a hang.
    fn note_stop(&mut self) {
        let record = &mut self.record;
        let lost = record.end == End::Lost && record.signal.is_none() && self.rejected.is_none();
        if record.hung || !(lost || record.signal.is_some_and(record::is_of_a_stop)) {
            return;
        }
        let futex = Syscalls::from_elf(self.identity.fixed.arch).map(Syscalls::futex);
        if let Some(time) = futex.and_then(|futex| self.still.stuck_for(futex)) {
            record.stopped = Some("stuck when it was stopped".into());
            record.still_s = Some(time.as_secs_f64());
        }
    }
}
