//! What the environment said when the program started: which DSOs go in front, and the shim's settings, to be
//! handed on.
//!
//! The constructor writes it, before `main`, and publishes it (`SAVED`, release). Whoever starts a program
//! takes it (acquire), and only reads. A forked or vforked child has it, too.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use hangscope_protocol::variable;

/// Bytes for all entries. Paths are mostly shorter than 200 bytes.
const ROOM: usize = 8192;
/// Every variable that is handed on.
const MOST: usize = variable::ALL.len() + variable::OF_FOLLOW.len();

/// Entries of an environment, one after the other, each with its NUL.
///
/// The text comes last: only the pages that it fills are touched.
#[repr(C)]
pub(crate) struct Settings {
    used: usize,
    count: usize,
    entries: [(usize, usize); MOST],
    text: [u8; ROOM],
}

struct Saved(UnsafeCell<Settings>);
// SAFETY: written once, before `READY`, and only read after it (module comment).
unsafe impl Sync for Saved {}

static SAVED: Saved = Saved(UnsafeCell::new(Settings::EMPTY));
static READY: AtomicBool = AtomicBool::new(false);

/// The settings; none before the constructor, and where nothing is to be followed.
pub(crate) fn saved() -> Option<&'static Settings> {
    // SAFETY: nobody writes once it is ready.
    READY.load(Ordering::Acquire).then(|| unsafe { &*SAVED.0.get() })
}

/// Keeps what `environment` says. Does nothing if the DSOs are not named, or not all of it can be kept: half
/// of the settings would be others.
///
/// # Safety
/// Only the constructor may call this, which runs once.
pub(crate) unsafe fn save<'a>(environment: impl Iterator<Item = &'a CStr>) {
    // SAFETY: not ready yet, so nobody reads, and the caller is the only writer.
    let settings = unsafe { &mut *SAVED.0.get() };
    let whole = settings.take(environment);
    if whole && settings.value(variable::FOLLOW).is_some() && settings.value(variable::FOLLOW_SHIM).is_some()
    {
        READY.store(true, Ordering::Release);
    }
}

/// Name of an entry `NAME=value`; all of it if it has no `=`.
pub(crate) fn name(entry: &[u8]) -> &[u8] {
    entry.split(|b| *b == b'=').next().unwrap_or(entry)
}

impl Settings {
    const EMPTY: Settings = Settings { text: [0; ROOM], used: 0, entries: [(0, 0); MOST], count: 0 };

    /// Copies the entries that are handed on. Of several of one name the last counts, as for ld.so. False if
    /// there is no room.
    fn take<'a>(&mut self, environment: impl Iterator<Item = &'a CStr>) -> bool {
        let names = || variable::ALL.iter().chain(&variable::OF_FOLLOW);
        let is_ours = |entry: &[u8]| names().any(|known| known.as_bytes() == name(entry));
        environment.filter(|entry| is_ours(entry.to_bytes())).all(|entry| self.add(entry))
    }

    fn add(&mut self, entry: &CStr) -> bool {
        let bytes = entry.to_bytes_with_nul();
        let end = self.used + bytes.len();
        let before = self.entries().position(|known| name(known.to_bytes()) == name(entry.to_bytes()));
        let Some(to) = self.text.get_mut(self.used..end) else { return false };
        let at = before.unwrap_or(self.count);
        let Some(place) = self.entries.get_mut(at) else { return false };
        to.copy_from_slice(bytes);
        *place = (self.used, end);
        self.used = end;
        self.count = self.count.max(at + 1);
        true
    }

    /// `NAME=value`, in memory that lives as long as the process.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &CStr> {
        let text = |range: Range<usize>| CStr::from_bytes_with_nul(self.text.get(range)?).ok();
        self.entries.iter().take(self.count).filter_map(move |(start, end)| text(*start..*end))
    }

    /// Value of a variable that is set and not empty.
    pub(crate) fn value(&self, variable: &str) -> Option<&CStr> {
        let entry = self.entries().find(|entry| name(entry.to_bytes()) == variable.as_bytes())?;
        let value = entry.to_bytes_with_nul().get(variable.len() + 1..)?;
        CStr::from_bytes_with_nul(value).ok().filter(|value| !value.is_empty())
    }

    /// Bytes that go in front of a value of LD_PRELOAD, or in the place of a file in it.
    pub(crate) fn longest_front(&self) -> usize {
        let paths = [variable::FOLLOW, variable::FOLLOW_SHIM, variable::FOLLOW_INSTEAD];
        paths.iter().filter_map(|path| self.value(path)).map(|path| path.count_bytes() + 1).sum()
    }

    pub(crate) fn is_on(&self, variable: &str) -> bool {
        self.value(variable) == Some(c"1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_kept_and_nothing_else() {
        let mut settings = Box::new(Settings::EMPTY);
        let environment = [
            c"HOME=/",
            c"HANGSCOPE_SOCKET=/a",
            c"HANGSCOPE_FOLLOW=/f.so",
            c"HANGSCOPE_SOCKET=/b",
            c"HANGSCOPE_X=1",
        ];
        assert!(settings.take(environment.into_iter()));
        let entries: Vec<&CStr> = settings.entries().collect();
        assert_eq!(entries, [c"HANGSCOPE_SOCKET=/b", c"HANGSCOPE_FOLLOW=/f.so"]);
        assert_eq!(settings.value(variable::SOCKET), Some(c"/b"));
        assert_eq!(settings.value(variable::FOLLOW_SHIM), None);
        assert!(!settings.is_on(variable::FOLLOW_ALL));
    }

    #[test]
    fn settings_without_room_are_none() {
        let mut settings = Box::new(Settings::EMPTY);
        let long = std::ffi::CString::new(format!("HANGSCOPE_LABEL={}", "x".repeat(ROOM))).unwrap();
        assert!(!settings.take([long.as_c_str()].into_iter()));
        assert_eq!(settings.entries().count(), 0);
        let many: Vec<_> = (0..3).map(|_| c"HANGSCOPE_TICK=1s").collect();
        assert!(settings.take(many.into_iter()) && settings.entries().count() == 1);
    }
}
