//! Threads whose affinity or priority is not as the host set it, and what the host had set.
//!
//! The host wins: what it changes meanwhile stays as it set it. Its first thread is never touched: it tells what threads
//! of this process have by default, and it is the one that usually starts programs, which inherit both. A thread
//! that a touched one has made in between inherits too, and is put right when it is seen; a forked child puts itself right.

use crate::sys::{self, CpuSet, Schedule};

/// Threads that are touched at a time; of more, some are.
pub(crate) const MOST: usize = 256;
/// Roles that are remembered.
const RECENT: usize = 16;

/// What a thread may be given for a while: processors, and a schedule, always of another policy than what is usual. By the
/// two together it is known again in a thread that has inherited it: one that the host has moved itself has not both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) cpus: CpuSet,
    pub(crate) schedule: Schedule,
}

impl Role {
    fn of(tid: u32) -> Option<Role> {
        Some(Role { cpus: sys::affinity(tid).ok()?, schedule: sys::schedule(tid).ok()? })
    }
}

/// One thread. All zero is nobody.
#[derive(Clone, Copy)]
struct Thread {
    tid: u32,
    /// As the kernel took it: it may know fewer processors, or no slices.
    set: Role,
}

/// All of them. All zero is: nobody is touched.
pub(crate) struct Touched {
    threads: [Thread; MOST],
    len: usize,
    /// What threads of this process have by default: as its first thread has it.
    pub(crate) usual: Role,
    /// What was given lately: who has that without being in `threads` has inherited it.
    recent: [Role; RECENT],
    next: usize,
}

impl Touched {
    /// In a forked child, on its thread `tid`: the threads of the copied table are the parent's, and this one is the copy of
    /// one of them.
    pub(crate) fn forked(&mut self, tid: u32) {
        self.put_right(tid);
        self.len = 0;
    }

    /// Looks what the host's first thread has. False if that cannot be known.
    pub(crate) fn look(&mut self, pid: u32) -> bool {
        let usual = Role::of(pid);
        self.usual = usual.unwrap_or(self.usual);
        usual.is_some()
    }

    /// A role that is about to be given.
    pub(crate) fn remember(&mut self, role: &Role) {
        if self.recent.contains(role) {
            return;
        }
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = *role;
        }
        self.next = (self.next + 1) % RECENT;
    }

    /// Gives a role to a thread that was just listed. One that has something of its own keeps that.
    pub(crate) fn give(&mut self, tid: u32, role: &Role) {
        let Some(thread) = self.threads.get_mut(self.len) else { return };
        if Role::of(tid) != Some(self.usual) || sys::set_schedule(tid, &role.schedule).is_err() {
            return;
        }
        let _ = sys::set_affinity(tid, &role.cpus);
        let set = Role::of(tid).unwrap_or(*role);
        *thread = Thread { tid, set };
        self.len += 1;
        self.remember(&set);
    }

    /// Gives back what all threads had. `tids` are the threads that there are now: nobody else is touched, whoever may
    /// have the tid of one that is gone. Those with a tid over `known` may have inherited something.
    pub(crate) fn restore(&mut self, pid: u32, tids: &[u32], known: u32) {
        let touched = self.threads.get(..self.len).unwrap_or(&[]);
        for tid in tids.iter().filter(|tid| **tid != pid) {
            let Some(Thread { set, .. }) = touched.iter().find(|t| t.tid == *tid) else {
                if *tid > known {
                    self.put_right(*tid);
                }
                continue;
            };
            if sys::affinity(*tid) == Ok(set.cpus) {
                let _ = sys::set_affinity(*tid, &self.usual.cpus);
            }
            if sys::schedule(*tid) == Ok(set.schedule) {
                let _ = sys::set_schedule(*tid, &self.usual.schedule);
            }
        }
        self.len = 0;
    }

    /// Gives a thread what is usual where it has what was given to another.
    fn put_right(&self, tid: u32) {
        let Some(has) = Role::of(tid) else { return };
        // Whether a slice is inherited is the kernel's affair. The schedule comes first and goes last: it may stand alone.
        let same = |given: &Role| {
            let cpus = [given.cpus, self.usual.cpus].contains(&has.cpus);
            cpus && given.schedule.differs_in_slice_at_most(&has.schedule)
        };
        if self.recent.iter().any(same) {
            let _ = sys::set_affinity(tid, &self.usual.cpus);
            let _ = sys::set_schedule(tid, &self.usual.schedule);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A thread of this process that stays until it is told.
    struct Other {
        tid: u32,
        go: Sender<()>,
        thread: std::thread::JoinHandle<()>,
    }

    fn other() -> Other {
        let (say, hear) = channel();
        let (go, wait) = channel();
        let thread = std::thread::spawn(move || {
            say.send(sys::gettid()).unwrap();
            wait.recv().unwrap();
        });
        Other { tid: hear.recv().unwrap(), go, thread }
    }

    fn touched() -> Box<Touched> {
        // SAFETY: all zero is a valid value: the arena's is made so.
        let mut touched = unsafe { Box::<Touched>::new_zeroed().assume_init() };
        sys::know_pid();
        assert!(touched.look(sys::getpid()));
        touched
    }

    /// Another policy, and one processor where there are several.
    fn role(usual: &Role) -> Role {
        let mut cpus = CpuSet::new();
        let one = (0..CpuSet::MAX_CPU).find(|cpu| usual.cpus.is_set(*cpu)).unwrap();
        cpus.set(one);
        let s = &usual.schedule;
        Role { cpus, schedule: s.with(libc::SCHED_BATCH as u32, s.nice, s.runtime) }
    }

    fn has(tid: u32) -> (CpuSet, Schedule) {
        (sys::affinity(tid).unwrap(), sys::schedule(tid).unwrap())
    }

    #[test]
    fn what_was_changed_is_given_back() {
        let (mut touched, it) = (touched(), other());
        let (before, role) = (has(it.tid), role(&touched.usual));
        touched.give(it.tid, &role);
        assert_eq!((has(it.tid).0, has(it.tid).1.policy), (role.cpus, libc::SCHED_BATCH as u32));
        // It is not in the list: somebody else may have its tid by now.
        touched.restore(sys::getpid(), &[], 0);
        assert_eq!(has(it.tid).0, role.cpus);
        touched.put_right(it.tid);
        assert_eq!(has(it.tid), before, "it is known again");
        touched.give(it.tid, &role);
        touched.restore(sys::getpid(), &[it.tid], 0);
        assert_eq!(has(it.tid), before);
        it.go.send(()).unwrap();
        it.thread.join().unwrap();
    }

    #[test]
    fn the_host_wins() {
        let (mut touched, it) = (touched(), other());
        let role = role(&touched.usual);
        touched.give(it.tid, &role);
        let usual = touched.usual.schedule;
        let hosts = usual.with(usual.policy, usual.nice + 3, usual.runtime);
        sys::set_schedule(it.tid, &hosts).unwrap();
        let hosts = sys::schedule(it.tid).unwrap();
        touched.restore(sys::getpid(), &[it.tid], 0);
        assert_eq!(has(it.tid), (touched.usual.cpus, hosts));
        // What is its own is not touched at all, also if it is where others were sent.
        sys::set_affinity(it.tid, &role.cpus).unwrap();
        touched.give(it.tid, &role);
        touched.restore(sys::getpid(), &[it.tid], 0);
        assert_eq!(has(it.tid), (role.cpus, hosts));
        it.go.send(()).unwrap();
        it.thread.join().unwrap();
    }

    #[test]
    fn who_has_inherited_it_is_put_right() {
        let (mut touched, maker) = (touched(), other());
        let (before, role) = (has(maker.tid), role(&touched.usual));
        touched.give(maker.tid, &role);
        let (say, hear) = channel();
        let tid = maker.tid;
        // This very thread takes on what the maker has, and makes one.
        std::thread::spawn(move || {
            let (cpus, schedule) = has(tid);
            sys::set_affinity(sys::gettid(), &cpus).unwrap();
            sys::set_schedule(sys::gettid(), &schedule).unwrap();
            say.send(other()).unwrap();
        })
        .join()
        .unwrap();
        let made = hear.recv().unwrap();
        assert_eq!(has(made.tid).0, role.cpus);
        touched.restore(sys::getpid(), &[maker.tid, made.tid], 0);
        assert_eq!((has(maker.tid), has(made.tid)), (before, before));
        for it in [maker, made] {
            it.go.send(()).unwrap();
            it.thread.join().unwrap();
        }
    }
}
