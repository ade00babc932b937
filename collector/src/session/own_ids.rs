//! Thread ids of a dump, when `/proc` shows others than the process has.
//!
//! The owner in a lock is the id of its own PID namespace. So the threads of a dump have those ids too, and
//! nothing else is compared with a lock.

use hangscope_protocol::record::hello_flags;

use super::Dump;

impl Dump {
    /// Whether the threads have ids that cannot be compared with the owner in a lock.
    pub(crate) fn has_other_ids(&self) -> bool {
        self.identity.fixed.flags & hello_flags::OTHER_IDS != 0
    }

    /// Gives every thread the id of the process's own namespace. A thread without one has gone since, and is
    /// left out: then the ids stay marked as others, and nothing follows from a thread that is missing.
    pub(crate) fn take_own_ids(&mut self, own: impl Fn(u32) -> Option<u32>) {
        let mut all = true;
        let mut rename = |tid: &mut u32| match own(*tid) {
            Some(own) => {
                *tid = own;
                true
            }
            None => {
                all = false;
                false
            }
        };
        self.threads.retain_mut(|t| rename(&mut t.tid));
        self.second.retain_mut(|t| rename(&mut t.tid));
        self.stacks.retain_mut(|s| rename(&mut s.record.tid));
        self.probes.retain_mut(|p| rename(&mut p.record.tid));
        self.samples.retain_mut(|p| rename(&mut p.record.tid));
        self.notes.iter_mut().filter(|n| n.record.tid != 0).for_each(|n| _ = rename(&mut n.record.tid));
        let watchdog = &mut self.identity.fixed.watchdog_tid;
        if *watchdog != 0 {
            rename(watchdog);
        }
        self.threads.sort_by_key(|t| t.tid);
        self.second.sort_by_key(|t| t.tid);
        let flags = self.identity.fixed.flags & !hello_flags::OTHER_IDS;
        self.identity.fixed.flags = if all { flags } else { flags | hello_flags::OTHER_IDS };
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::dump::{LOCK, Make, mutex};

    #[test]
    fn threads_get_the_ids_that_locks_have() {
        let mut make = Make::new();
        make.futex(101, &mutex(LOCK, 103, 0), &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85"]);
        make.futex(102, &mutex(LOCK, 103, 0), &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85"]);
        let dump = make.finish();
        assert!(dump.first_look_is_whole() && !dump.has_other_ids());
        let mut renamed = dump.clone();
        renamed.take_own_ids(|tid| Some(1000 - tid));
        let tids = |dump: &crate::session::Dump| dump.threads.iter().map(|t| t.tid).collect::<Vec<_>>();
        let mut expected: Vec<u32> = tids(&dump).iter().map(|tid| 1000 - tid).collect();
        expected.sort_unstable();
        assert_eq!(tids(&renamed), expected);
        assert!(renamed.first_look_is_whole() && renamed.second_look(899).is_some());
        renamed.take_own_ids(|tid| (tid != 899).then_some(tid));
        assert!(renamed.has_other_ids() && !renamed.first_look_is_whole());
        assert!(renamed.thread(899).is_none() && renamed.second_look(899).is_none());
    }
}
