//! Thread ids here, and in the process's own PID namespace, which its locks have.

use hangscope_protocol::record::{NoteRecord, ThreadRecord, hello_flags, note_code};

use super::notes::OutsideNote;
use super::zero::zero;
use crate::proc::namespace::{self, Tids};
use crate::session::{Dump, Note};
use crate::text::message::say;

/// Most threads that a note names.
const MOST_NAMED: usize = 16;

/// The ids of a dump's threads, and the ids that this side has for them.
#[derive(Debug)]
pub(super) struct Ids {
    tids: Option<Tids>,
    /// The dump has the ids of this side.
    from_here: bool,
    /// The process is in another namespace, or that cannot be told.
    another: bool,
}

impl Ids {
    /// For a dump of the shim, or of this side if `from_here`.
    pub(super) fn new(pid: u32, from_here: bool) -> Ids {
        let tids = Tids::of(pid);
        let another = match &tids {
            Some(tids) => !tids.are_the_same(),
            None => namespace::is_another(pid) == Some(true),
        };
        Ids { tids, from_here, another }
    }

    /// For a dump of the shim of a process.
    pub(super) fn of(pid: u32, dump: &Dump) -> Ids {
        let mut ids = Ids::new(pid, dump.has_other_ids());
        // The /proc of the process may be of a third namespace.
        let knows = |tids: &Tids| dump.threads.iter().any(|t| tids.there(t.tid).is_some());
        ids.tids = ids.tids.filter(|tids| !ids.from_here || knows(tids));
        ids.another |= ids.from_here;
        ids
    }

    /// The id on this side of a thread of the dump. None if there is no such thread any more, or if it
    /// cannot be told.
    pub(super) fn here(&self, tid: u32) -> Option<u32> {
        match &self.tids {
            _ if !self.another => Some(tid),
            Some(tids) if self.from_here => tids.there(tid).map(|_| tid),
            Some(tids) => tids.here(tid),
            None => None,
        }
    }

    /// The id in the process's own namespace of a thread with this id here.
    pub(super) fn named(&self, here: u32) -> Option<u32> {
        match &self.tids {
            _ if !self.another => Some(here),
            Some(tids) => tids.there(here),
            None => None,
        }
    }

    /// The id in the process's own namespace of a thread of the dump.
    pub(super) fn own(&self, tid: u32) -> Option<u32> {
        match &self.tids {
            _ if !self.another || !self.from_here => Some(tid),
            Some(tids) => tids.there(tid),
            None => None,
        }
    }

    /// Whether this side has the same ids as the process itself.
    pub(super) fn are_the_same(&self) -> bool {
        !self.another
    }

    /// Threads that came since.
    pub(super) fn see_again(&mut self, pid: u32) {
        if let (true, Some(tids), Some(now)) = (self.another, &mut self.tids, Tids::of(pid)) {
            tids.add(now);
        }
    }

    /// Threads of other processes in the memory of this one: vforked children.
    pub(super) fn see_others(&mut self, threads: &[ThreadRecord]) {
        if let (true, Some(tids)) = (self.another, &mut self.tids) {
            let others = threads.iter().filter(|t| tids.there(t.tid).is_none());
            let found: Vec<Tids> = others.filter_map(|t| Tids::of(t.tid)).collect();
            found.into_iter().for_each(|other| tids.add(other));
        }
    }

    /// What a report says about the ids; none if there are no others.
    fn note(&self, pid: u32) -> Option<Note> {
        let Some(tids) = self.tids.as_ref().filter(|_| self.another) else {
            return self.another.then(|| OutsideNote::OtherIds {}.note(0));
        };
        let mut ids: Vec<String> =
            tids.pairs().take(MOST_NAMED).map(|(here, own)| format!("{own} = {here}")).collect();
        if tids.pairs().count() > MOST_NAMED {
            ids.push("...".to_owned());
        }
        let own = tids.there(pid).unwrap_or(pid);
        Some(say!(OutsideNote::OwnIds { pid: own, ids: ids.join(", ") }).note(0))
    }

    /// Notes for a dump of the shim: the ids, in a form that [`Dump::with_outside`] reads, and what a report
    /// says about them.
    pub(super) fn notes(&self, pid: u32) -> Vec<Note> {
        let pairs = self.tids.iter().filter(|_| self.from_here).flat_map(Tids::pairs);
        let one = |(tid, own): (u32, u32)| {
            let record = NoteRecord { code: note_code::OWN_ID, tid, value: own.into(), ..zero() };
            Note { record, text: String::new() }
        };
        pairs.map(one).chain(self.note(pid)).collect()
    }

    /// Gives the threads of a dump of this side the ids of the process's own namespace.
    pub(super) fn rename(&self, pid: u32, dump: &mut Dump) {
        if !self.another {
            return;
        }
        match &self.tids {
            Some(tids) => dump.take_own_ids(|tid| tids.there(tid)),
            None => dump.identity.fixed.flags |= hello_flags::OTHER_IDS,
        }
        dump.notes.extend(self.note(pid));
    }
}
