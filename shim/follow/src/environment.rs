//! The environment of a program that is about to start.

use core::ffi::{CStr, c_char};

use hangscope_protocol::variable;

use crate::files;
use crate::number::Number;
use crate::preload::{self, Ours};
use crate::room::{self, Text};
use crate::settings::{self, Settings};

unsafe extern "C" {
    /// environ(7).
    pub(crate) static environ: *const *const c_char;
}

const PRELOAD: &[u8] = b"LD_PRELOAD";

/// The strings of an environment or of arguments. A null array has none, as for execve(2).
///
/// # Safety
/// `array` must be null, or a NULL-terminated array of C strings that live as long as the result is used.
pub(crate) unsafe fn strings<'a>(array: *const *const c_char) -> impl Iterator<Item = &'a CStr> + Clone {
    let mut next = array;
    core::iter::from_fn(move || {
        // SAFETY: not beyond the NULL that ends the array.
        let string = if next.is_null() { next.cast() } else { unsafe { *next } };
        if string.is_null() {
            return None;
        }
        next = next.wrapping_add(1);
        // SAFETY: the caller's promise.
        Some(unsafe { CStr::from_ptr(string) })
    })
}

/// Calls `run` with `environment` and what has to be in it: the DSOs in LD_PRELOAD, and the settings that are
/// missing. With `environment` itself, where nothing is followed, where it belongs to another collector, and
/// where it is too large.
///
/// # Safety
/// `environment` must be as [`strings`] takes it.
pub(crate) unsafe fn with<R>(
    environment: *const *const c_char,
    mut run: impl FnMut(*const *const c_char) -> R,
) -> R {
    // SAFETY: the caller's promise.
    let Some(change) = Change::of(unsafe { strings(environment) }) else { return run(environment) };
    let count = change.entries.clone().count();
    let pointers = count + change.settings.entries().count() + 3;
    let made = room::with(pointers, change.preload_room(), |pointers, text| {
        change.fill(pointers, text).then(|| run(pointers.as_ptr()))
    });
    match made.flatten() {
        Some(done) => done,
        None => run(environment),
    }
}

/// Bytes of the mark at most.
const MARK: usize = variable::FOLLOW_AGAIN.len() + Number::MOST + 2;

/// What an environment lacks.
pub(crate) struct Change<'a, E> {
    entries: E,
    settings: &'static Settings,
    /// The process that executes it, where it has no LD_PRELOAD: the mark of that.
    again: Option<Number>,
    /// The value of its LD_PRELOAD. Of several the last counts, as for ld.so.
    value: &'a [u8],
}

impl<'a, E: Iterator<Item = &'a CStr> + Clone> Change<'a, E> {
    /// None where nothing is followed, and where the environment names another socket: a hunt within a
    /// collection, or a program that is not to be watched.
    pub(crate) fn of(entries: E) -> Option<Change<'a, E>> {
        let settings = settings::saved()?;
        let ours = settings.value(variable::SOCKET).map_or(&b""[..], CStr::to_bytes);
        let socket = |entry| value_of(variable::SOCKET.as_bytes(), entry);
        if entries.clone().filter_map(socket).any(|socket| socket != ours) {
            return None;
        }
        let value = entries.clone().filter_map(|entry| value_of(PRELOAD, entry)).last();
        let again = value.is_none().then(|| Number::new(files::process()));
        // A program that executes itself until it has no LD_PRELOAD would do so for ever.
        let before = settings.value(variable::FOLLOW_AGAIN).map(CStr::to_bytes);
        if again.as_ref().is_some_and(|again| before == Some(again.digits())) {
            return None;
        }
        Some(Change { entries, settings, again, value: value.unwrap_or(b"") })
    }

    /// Bytes that the new entry for LD_PRELOAD takes at most, with its NUL.
    pub(crate) fn preload_room(&self) -> usize {
        PRELOAD.len() + self.value.len() + self.settings.longest_front() + 3 + MARK
    }

    /// Writes the new value of LD_PRELOAD; false if there is no room.
    pub(crate) fn compose(&self, to: &mut Text<'_>) -> bool {
        let path = |variable| self.settings.value(variable).map_or(&b""[..], CStr::to_bytes);
        let (follow, shim) = (path(variable::FOLLOW), path(variable::FOLLOW_SHIM));
        let ours = Ours { follow, shim, everywhere: self.settings.is_on(variable::FOLLOW_ALL) };
        let pair = files::pair(path(variable::FOLLOW_INSTEAD));
        let instead =
            |file| pair.filter(|(of, _)| files::are_same(file, of)).map_or(file, |(_, other)| other);
        preload::compose(self.value, ours, instead, to)
    }

    /// Whether the DSO that follows is missing.
    pub(crate) fn lacks_follow(&self) -> bool {
        let follow = self.settings.value(variable::FOLLOW).map(CStr::to_bytes);
        preload::files(self.value).next() != follow
    }

    /// The settings that the environment lacks.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &'static CStr> {
        let is_there = |ours: &CStr| {
            let name = settings::name(ours.to_bytes());
            self.entries.clone().any(|entry| settings::name(entry.to_bytes()) == name)
        };
        let is_mark = |ours: &CStr| value_of(variable::FOLLOW_AGAIN.as_bytes(), ours).is_some();
        self.settings.entries().filter(move |ours| !is_there(ours) && !is_mark(ours))
    }

    /// Fills the room of [`with`]; false if it is too small. All other entries stay as they are, in their
    /// order.
    fn fill(&self, pointers: &mut [*const c_char], text: &mut [u8]) -> bool {
        let start = text.as_ptr().cast::<c_char>();
        let mut text = Text::new(text);
        let mark = variable::FOLLOW_AGAIN.as_bytes();
        let composed = text.push(PRELOAD) && text.push(b"=") && self.compose(&mut text) && text.push(b"\0");
        let behind = start.wrapping_add(text.len());
        let marked = self.again.as_ref().filter(|again| {
            text.push(mark) && text.push(b"=") && text.push(again.digits()) && text.push(b"\0")
        });
        let is_kept = |entry: &&CStr| {
            let name = settings::name(entry.to_bytes());
            name != PRELOAD && name != mark
        };
        let others = self.entries.clone().filter(is_kept).map(CStr::as_ptr);
        let others = others.chain(marked.map(|_| behind));
        let added = self.missing().map(CStr::as_ptr).chain([start, core::ptr::null()]);
        let all = others.chain(added);
        let mut room = pointers.iter_mut();
        composed && all.into_iter().all(|pointer| room.next().map(|place| *place = pointer).is_some())
    }
}

fn value_of<'a>(name: &[u8], entry: &'a CStr) -> Option<&'a [u8]> {
    entry.to_bytes().strip_prefix(name)?.strip_prefix(b"=")
}
