//! The signature of a hang: what stays the same when one bug hangs again, in another run, on another machine,
//! or in a later build.

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::finding::Finding;
use super::words::{Cause, Class};

/// Digits of [`Signature::id`].
const DIGITS: usize = 12;

/// Two hangs with equal signatures are counted as one bug. Addresses, tids, source lines, counts and times
/// differ from run to run, or from build to build, so they are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) class: Class,
    pub(crate) cause: Option<Cause>,
    /// Names of the locks, sorted: one, or those of a ring. A lock of an array has the array's name.
    pub(crate) locks: Vec<String>,
    /// The innermost frames inside the allocator: that of the thread to look at first, and that of the
    /// threads that wait; in a ring those of its threads, sorted. A function, else `lib.so+0x1234`.
    pub(crate) frames: Vec<String>,
}

impl Signature {
    pub(crate) fn of(finding: &Finding) -> Signature {
        let (mut locks, mut frames) = (vec![], vec![]);
        if finding.ring.is_empty() {
            locks.extend(finding.lock.as_ref().and_then(|lock| name(lock.symbol.as_deref()?)));
            let hot = finding.hot.as_ref().filter(|hot| hot.in_allocator == Some(true));
            // The samples of a loop may be in several functions: the one with most of them is its name.
            let looped = finding.hot_loop.as_ref().filter(|of| hot.is_some_and(|hot| hot.tid == of.tid));
            let looped = looped.and_then(|of| of.function.clone());
            frames.extend(looped.or_else(|| hot?.function.clone()));
            frames.extend(finding.lock.as_ref().and_then(|lock| lock.at.as_ref()).and_then(frame));
        } else {
            // Which thread of a ring is named first is chance.
            locks.extend(finding.ring.iter().filter_map(|edge| name(&edge.name)));
            frames.extend(finding.ring.iter().filter_map(|edge| edge.at.as_ref()).filter_map(frame));
            locks.sort();
            frames.sort();
        }
        locks.dedup();
        frames.dedup();
        Signature { class: finding.class, cause: finding.cause, locks, frames }
    }

    /// The first 12 hex digits of the SHA-1 of all parts, a line each. It is written to files and must not
    /// change.
    pub(crate) fn id(&self) -> String {
        let cause = self.cause.map(|cause| cause.to_string()).unwrap_or_default();
        let text = format!(
            "hangscope/signature/1\n{}\n{cause}\n{}\n{}\n",
            self.class,
            self.locks.join(" "),
            self.frames.join(" ")
        );
        let mut hex = hex::encode(Sha1::digest(text));
        hex.truncate(DIGITS);
        hex
    }

    /// No lock and no function has a name: hangs of one class look the same then, whatever the bug is.
    pub(crate) fn is_bare(&self) -> bool {
        self.locks.is_empty() && self.frames.is_empty()
    }

    /// `owner-spinning g_locks in take, give`: for a table, the same in all languages.
    pub(crate) fn words(&self) -> String {
        let mut words = self.class.to_string();
        if let Some(cause) = self.cause {
            words += &format!(" ({cause})");
        }
        for lock in &self.locks {
            words += &format!(" {lock}");
        }
        if !self.frames.is_empty() {
            words += &format!(" in {}", self.frames.join(", "));
        }
        words
    }
}

/// The name of a symbol without its offset: which lock of an array it is differs from hang to hang. None: an
/// address, which differs, too.
fn name(symbol: &str) -> Option<String> {
    let end = symbol.find(['+', '[']).unwrap_or(symbol.len());
    let name = symbol[..end].trim();
    (!name.is_empty() && !name.starts_with("0x")).then(|| name.to_owned())
}

fn frame(frame: &crate::session::trace::Frame) -> Option<String> {
    if !frame.in_allocator {
        return None;
    }
    frame.function.clone().or_else(|| {
        let dso = super::file_name(frame.dso.as_deref()?);
        Some(format!("{dso}+{:#x}", frame.dso_offset?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::hunt::finding;

    #[test]
    fn every_class_has_a_signature_of_its_own() {
        let all: Vec<String> = Class::ALL.iter().map(|class| Signature::of(&finding(*class)).id()).collect();
        let mut distinct = all.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|id| id.len() == DIGITS), "{all:?}");
    }

    #[test]
    fn what_differs_from_run_to_run_is_not_in_it() {
        let one = finding(Class::OwnerSpinning);
        let mut other = one.clone();
        let lock = other.lock.as_mut().unwrap();
        lock.symbol = lock.symbol.as_ref().map(|name| format!("{}+1160", name.split('+').next().unwrap()));
        lock.address = "0x1".to_owned();
        lock.owner_tid = Some(7);
        lock.waiters = vec![8, 9];
        let hot = other.hot.as_mut().unwrap();
        (hot.tid, hot.source) = (7, Some("foo.c:1".to_owned()));
        assert_eq!(Signature::of(&one), Signature::of(&other));
        other.hot.as_mut().unwrap().function = Some("elsewhere".to_owned());
        assert_ne!(Signature::of(&one).id(), Signature::of(&other).id());
    }

    #[test]
    fn it_does_not_change_from_version_to_version() {
        let signature = Signature::of(&finding(Class::OwnerSpinning));
        insta::assert_snapshot!(format!("{} {}", signature.id(), signature.words()), @"bf8e87a307a7 owner-spinning g_foo_locks in foo_refill, foo_malloc");
    }

    #[test]
    fn a_lock_of_an_array_has_the_arrays_name() {
        assert_eq!(name("g_locks+160").as_deref(), Some("g_locks"));
        assert_eq!(name("g_locks[4]+8").as_deref(), Some("g_locks"));
        assert_eq!(name("g_lock").as_deref(), Some("g_lock"));
        assert_eq!(name("0x7f0000001000"), None);
    }
}
