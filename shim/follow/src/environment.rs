//! The environment of a program that is about to start.

use core::ffi::{CStr, c_char};

use hangscope_protocol::variable;

use crate::files;
use crate::preload::{self, Ours};
use crate::room::{self, Text};
use crate::settings::{self, Settings};

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
    let entries = unsafe { strings(environment) };
    let Some(settings) = settings::saved().filter(|settings| !is_of_another(entries.clone(), settings))
    else {
        return run(environment);
    };
    let count = entries.clone().count();
    let value = entries.clone().filter_map(|entry| value_of(PRELOAD, entry)).last().unwrap_or(b"");
    let bytes = PRELOAD.len() + value.len() + settings.longest_front() + 3;
    let made = room::with(count + settings.entries().count() + 2, bytes, |pointers, text| {
        fill(entries.clone(), value, settings, pointers, text).then(|| run(pointers.as_ptr()))
    });
    match made.flatten() {
        Some(done) => done,
        None => run(environment),
    }
}

/// Whether an environment names another socket: a hunt within a collection, or a program that is not to be
/// watched.
fn is_of_another<'a>(mut entries: impl Iterator<Item = &'a CStr>, settings: &Settings) -> bool {
    let ours = settings.value(variable::SOCKET).map_or(&b""[..], CStr::to_bytes);
    entries.any(|entry| value_of(variable::SOCKET.as_bytes(), entry).is_some_and(|socket| socket != ours))
}

fn value_of<'a>(name: &[u8], entry: &'a CStr) -> Option<&'a [u8]> {
    entry.to_bytes().strip_prefix(name)?.strip_prefix(b"=")
}

/// Fills the room of [`with`]; false if it is too small. All other entries stay as they are, in their order.
fn fill<'a>(
    entries: impl Iterator<Item = &'a CStr> + Clone,
    value: &'a [u8],
    settings: &'a Settings,
    pointers: &mut [*const c_char],
    text: &mut [u8],
) -> bool {
    let start = text.as_ptr().cast::<c_char>();
    let mut text = Text::new(text);
    let path = |variable| settings.value(variable).map_or(&b""[..], CStr::to_bytes);
    let (follow, shim) = (path(variable::FOLLOW), path(variable::FOLLOW_SHIM));
    let ours = Ours { follow, shim, everywhere: settings.is_on(variable::FOLLOW_ALL) };
    let pair = files::pair(path(variable::FOLLOW_INSTEAD));
    let instead = |file| pair.filter(|(of, _)| files::are_same(file, of)).map_or(file, |(_, other)| other);
    let composed = text.push(PRELOAD)
        && text.push(b"=")
        && preload::compose(value, ours, instead, &mut text)
        && text.push(b"\0");
    let is_preload = |entry: &CStr| value_of(PRELOAD, entry).is_some();
    let is_missing = |ours: &&CStr| {
        !entries.clone().any(|entry| settings::name(entry.to_bytes()) == settings::name(ours.to_bytes()))
    };
    let others = entries.clone().filter(|entry| !is_preload(entry));
    let added = settings.entries().filter(is_missing);
    let all = others.chain(added).map(CStr::as_ptr).chain([start, core::ptr::null()]);
    let mut room = pointers.iter_mut();
    composed && all.into_iter().all(|pointer| room.next().map(|place| *place = pointer).is_some())
}
