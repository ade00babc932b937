//! Thread ids of a process, here and in its own PID namespace.
//!
//! A lock keeps the id that its owner has in the innermost namespace (`gettid`). `/proc` shows the ids of
//! the namespace that it was mounted for. `NSpid` in `status` has both.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hangscope_reader::status::Status;

use super::task;

/// The threads of a process: the id here, and the id in its own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tids {
    inner: BTreeMap<u32, u32>,
}

impl Tids {
    /// The threads that are there now. None if the kernel does not tell (before Linux 4.1), or the process
    /// has ended.
    pub(crate) fn of(pid: u32) -> Option<Tids> {
        let tids = task::tids(pid).ok()?;
        let inner: BTreeMap<u32, u32> =
            tids.into_iter().filter_map(|tid| Some((tid, own(pid, tid)?))).collect();
        (!inner.is_empty()).then_some(Tids { inner })
    }

    /// For tests.
    #[cfg(test)]
    pub(crate) fn from_pairs(pairs: &[(u32, u32)]) -> Tids {
        Tids { inner: pairs.iter().copied().collect() }
    }

    /// Whether the ids here and there are the same.
    pub(crate) fn are_the_same(&self) -> bool {
        self.inner.iter().all(|(here, there)| here == there)
    }

    /// The id in the process's own namespace.
    pub(crate) fn there(&self, here: u32) -> Option<u32> {
        self.inner.get(&here).copied()
    }

    /// The id here.
    pub(crate) fn here(&self, there: u32) -> Option<u32> {
        self.inner.iter().find(|(_, inner)| **inner == there).map(|(here, _)| *here)
    }

    /// Adds threads that came later.
    pub(crate) fn add(&mut self, later: Tids) {
        self.inner.extend(later.inner);
    }

    /// Both ids of each thread: here, there.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.inner.iter().map(|(here, there)| (*here, *there))
    }
}

/// The id here of a thread of a process, from the id that the process has for it. None if there is no such
/// thread, or if it cannot be told.
pub(crate) fn here(pid: u32, own: u32) -> Option<u32> {
    match Tids::of(pid) {
        Some(tids) if !tids.are_the_same() => tids.here(own),
        Some(_) => Some(own),
        None => (is_another(pid) != Some(true)).then_some(own),
    }
}

/// The id here of a thread of any process in the PID namespace of a process, from its id there. None if there
/// is no such thread, or if it cannot be told.
pub(crate) fn elsewhere(pid: u32, own: u32) -> Option<u32> {
    let of = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let namespace = of(pid)?;
    let pids = task::pids(Path::new("/proc")).ok()?;
    let inside = pids.into_iter().filter(|pid| of(*pid).as_ref() == Some(&namespace));
    inside.filter_map(Tids::of).find_map(|tids| tids.here(own))
}

/// The id of a thread in its own namespace.
fn own(pid: u32, tid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    Status(&status).own_pid()
}

/// Whether a process is in another PID namespace than this one; none if that cannot be seen.
pub(crate) fn is_another(pid: u32) -> Option<bool> {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    Some(of(&pid.to_string())? != of("self")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_this_process_are_the_same_on_both_sides() {
        let tids = Tids::of(std::process::id()).unwrap();
        let own = nix::unistd::gettid().as_raw() as u32;
        assert!(tids.are_the_same());
        assert_eq!((tids.here(own), tids.there(own)), (Some(own), Some(own)));
        assert_eq!(is_another(std::process::id()), Some(false));
        assert_eq!(elsewhere(std::process::id(), own), Some(own));
        assert_eq!(Tids::of(u32::MAX), None);
    }

    #[test]
    fn ids_of_another_namespace_are_translated_both_ways() {
        let tids = Tids::from_pairs(&[(1800, 1), (1801, 3)]);
        assert!(!tids.are_the_same());
        assert_eq!((tids.here(3), tids.there(1800), tids.here(1800)), (Some(1801), Some(1), None));
    }
}
