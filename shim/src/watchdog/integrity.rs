//! Later looks at the DSOs, and whether they changed.

use hangscope_protocol::Kind;
use hangscope_protocol::record::maps_deleted;

use super::state::Watchdog;
use crate::arena::Work;
use crate::host::{dso, maps};
use crate::link::Batch;
use crate::sys::Errno;

impl Watchdog {
    /// Looks at the DSOs again; says so if something changed since the last time, or `always`.
    pub(super) fn send_integrity(&mut self, work: &mut Work, with_maps: bool, always: bool) {
        let table = &self.facts.dsos;
        let mut changed = always || self.integrity_unsent;
        for (i, dso) in table.iter().enumerate() {
            let file = self.files.get(i).and_then(Option::as_ref).ok_or(Errno::BADF);
            let now = dso.now(file);
            if let Some(before) = work.looks.get_mut(i) {
                changed |= now != *before;
                *before = now;
            }
        }
        if with_maps {
            let (text, looks) = (&mut work.maps, &mut work.looks);
            maps::for_each(text, &mut |m| dso::mark_deleted(table, looks, m));
        }
        if changed {
            let [frame, _] = &mut work.frames;
            let mut batch = Batch::new(frame, Kind::DsosNow);
            for now in work.looks.iter().take(table.len) {
                batch.add(&mut self.link, &mut |w| w.record(now));
            }
            batch.flush(&mut self.link);
            self.integrity_unsent = batch.dropped > 0;
            // What maps said belongs to that one look: the next comparison is without it.
            for now in work.looks.iter_mut().take(table.len) {
                now.maps_deleted = maps_deleted::NOT_SEEN;
            }
        }
    }
}
