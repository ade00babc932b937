//! Threads whose affinity or schedule the shim has changed, and what the host had set.
//!
//! The host wins: a setting that the host changes meanwhile stays. The first thread of the host is never
//! touched. It shows what threads of this process have by default, and it usually starts the programs,
//! which inherit both settings. A thread that a touched thread starts inherits the changes, and is restored
//! when it is seen. A forked child restores itself.

use crate::sys::{self, CpuSet, Schedule};

/// Threads that are touched at a time.
pub(crate) const MOST: usize = 256;
/// Roles that are remembered. A thread can be off its processor for many rounds in the middle of a fork, and
/// the child that it makes has a role of before. A round adds one role (the first shuffle adds four): so a
/// role is known for some 30 rounds after it was last given.
const RECENT: usize = 32;
/// Roles that one shuffle gives to threads.
pub(crate) const ROLES: usize = 4;

/// What a thread may be given for a while: an affinity, and a schedule with another policy than the usual
/// one. Affinity plus policy together mark a thread that inherited ours. A thread that the host moved never
/// has both.
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
    /// The role as the kernel took it. The kernel may know fewer processors, or no slices.
    set: Role,
}

/// A role, and its number in the order of giving. All zero is no role.
#[derive(Clone, Copy)]
struct Recent {
    role: Role,
    at: u64,
}

/// All touched threads. All zero: none.
pub(crate) struct Touched {
    threads: [Thread; MOST],
    len: usize,
    /// What threads of this process have by default: what the first thread has.
    pub(crate) usual: Role,
    /// Roles that were given lately. A thread that has one without being in `threads` has inherited it.
    recent: [Recent; RECENT],
    /// Number of roles that were given.
    given: u64,
    /// The roles of the last shuffle.
    pub(crate) roles: [Role; ROLES],
    /// What threads had by default then.
    pub(crate) roles_for: Role,
}

impl Touched {
    /// For a forked child, on its thread `tid`. The threads in the copied table are the parent's, and this
    /// thread is the copy of one of them.
    pub(crate) fn forked(&mut self, tid: u32) {
        self.put_right(tid);
        self.len = 0;
    }

    /// Reads what the host's first thread has. False if it cannot be read.
    pub(crate) fn look(&mut self, pid: u32) -> bool {
        let usual = Role::of(pid);
        self.usual = usual.unwrap_or(self.usual);
        usual.is_some()
    }

    /// Remembers a role that is about to be given, in the place of the one that was given longest ago. The
    /// slice does not matter: a child is compared without it.
    ///
    /// Nothing is moved. A fork copies this memory at any moment, and its child must find every role here.
    pub(crate) fn remember(&mut self, role: &Role) {
        self.given += 1;
        let same = |recent: &&mut Recent| {
            let schedule = &recent.role.schedule;
            recent.role.cpus == role.cpus && schedule.differs_in_slice_at_most(&role.schedule)
        };
        if let Some(known) = self.recent.iter_mut().find(same) {
            known.at = self.given;
        } else if let Some(oldest) = self.recent.iter_mut().min_by_key(|recent| recent.at) {
            *oldest = Recent { role: *role, at: self.given };
        }
    }

    /// Gives a role to a thread that was just listed. A thread with settings of its own keeps them.
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

    /// What a thread was given; none if it was given nothing.
    pub(crate) fn given(&self, tid: u32) -> Option<Role> {
        let touched = self.threads.get(..self.len).unwrap_or(&[]);
        touched.iter().find(|thread| thread.tid == tid).map(|thread| thread.set)
    }

    /// Gives a thread that was given a role another schedule; one that the host has changed meanwhile keeps
    /// its own.
    pub(crate) fn change(&mut self, tid: u32, schedule: Schedule) {
        let touched = self.threads.get_mut(..self.len).unwrap_or(&mut []);
        let Some(thread) = touched.iter_mut().find(|thread| thread.tid == tid) else { return };
        if sys::schedule(tid) == Ok(thread.set.schedule) && sys::set_schedule(tid, &schedule).is_ok() {
            thread.set.schedule = sys::schedule(tid).unwrap_or(schedule);
        }
    }

    /// Restores all threads. `tids` are the threads that exist now. Nothing else is touched: another
    /// process may have the tid of a thread that has ended. Threads with a tid over `known` may have
    /// inherited a role.
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

    /// Restores a thread that has inherited a role.
    fn put_right(&self, tid: u32) {
        let Some(has) = Role::of(tid) else { return };
        // The kernel decides whether a slice is inherited. The schedule is set first and restored last, so
        // a thread may have only the schedule. A real-time one is not inherited: then the affinity tells.
        let same = |Recent { role, .. }: &Recent| {
            let was_reset = role.schedule.priority() > 0 && has.schedule.priority() == 0;
            let cpus = [role.cpus, self.usual.cpus].contains(&has.cpus);
            cpus && role.schedule.differs_in_slice_at_most(&has.schedule)
                || was_reset && role.cpus == has.cpus
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
    fn a_role_that_is_given_again_and_again_is_not_forgotten() {
        let mut touched = touched();
        let often = role(&touched.usual);
        for nice in 1..=3 * RECENT as i32 {
            let s = often.schedule;
            touched.remember(&Role { schedule: s.with(s.policy, s.nice + nice, s.runtime), ..often });
            touched.remember(&Role { schedule: s.with(s.policy, s.nice, 1000 * nice as u64), ..often });
        }
        let it = other();
        let before = has(it.tid);
        sys::set_schedule(it.tid, &often.schedule).unwrap();
        sys::set_affinity(it.tid, &often.cpus).unwrap();
        touched.put_right(it.tid);
        assert_eq!(has(it.tid), before);
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
