//! The command of `system` and `popen`. libc starts the shell from within, with the environment as it is: a
//! program that has changed LD_PRELOAD for itself starts one without what follows. Such a shell is told to
//! execute another, with the right environment.

use core::ffi::{CStr, c_char};

use crate::environment::{self, Change, environ};
use crate::room::{self, Text};

/// Calls `run` with `command`, or with one that does the same in an environment as [`environment::with`]
/// makes it. With `command` itself where that environment is there already, and where the other would take
/// too much of a stack.
///
/// # Safety
/// `command` must be null or a C string.
pub(crate) unsafe fn with<R>(command: *const c_char, mut run: impl FnMut(*const c_char) -> R) -> R {
    // SAFETY: what getenv reads, too.
    let change = Change::of(unsafe { environment::strings(environ) });
    let Some(change) = change.filter(|change| !command.is_null() && change.lacks_follow()) else {
        return run(command);
    };
    // SAFETY: the caller's promise; it is not null.
    let words = unsafe { CStr::from_ptr(command) }.to_bytes();
    let settings: usize = change.missing().map(|entry| quoted_len(entry.to_bytes()) + 1).sum();
    let bytes = 2 * change.preload_room() + settings + quoted_len(words) + 64;
    let made = room::with(0, bytes, |_, text| {
        let start = text.as_ptr().cast();
        let mut text = Text::new(text);
        write(&change, words, &mut text).then(|| run(start))
    });
    match made.flatten() {
        Some(done) => done,
        None => run(command),
    }
}

fn write<'a, E>(change: &Change<'a, E>, words: &[u8], text: &mut Text<'_>) -> bool
where
    E: Iterator<Item = &'a CStr> + Clone,
{
    let start = text.len();
    text.push(b"export LD_PRELOAD='")
        && change.compose(text)
        // A path with a quote of its own.
        && text.since(start).iter().filter(|b| **b == b'\'').count() == 1
        && text.push(b"'")
        && change.missing().all(|entry| {
            let (name, value) = parts(entry.to_bytes());
            text.push(b" ") && text.push(name) && text.push(b"=") && quote(value, text)
        })
        && text.push(b"; exec /bin/sh -c ")
        && quote(words, text)
        && text.push(b"\0")
}

fn parts(entry: &[u8]) -> (&[u8], &[u8]) {
    let at = entry.iter().position(|b| *b == b'=').unwrap_or(entry.len());
    (entry.get(..at).unwrap_or(entry), entry.get(at + 1..).unwrap_or(&[]))
}

/// Length of a text in single quotes, in which a quote takes four characters.
fn quoted_len(text: &[u8]) -> usize {
    text.len() + 3 * text.iter().filter(|b| **b == b'\'').count() + 2
}

fn quote(text: &[u8], to: &mut Text<'_>) -> bool {
    let mut parts = text.split(|b| *b == b'\'');
    let first = to.push(b"'") && parts.next().is_none_or(|part| to.push(part));
    first && parts.all(|part| to.push(b"'\\''") && to.push(part)) && to.push(b"'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["", "a b", "it's", "''", "$HOME \"x\" `id` \\ \n *"] {
            let mut room = [0; 128];
            let mut quoted = Text::new(&mut room);
            assert!(quote(text.as_bytes(), &mut quoted));
            assert_eq!(quoted.len(), quoted_len(text.as_bytes()), "{text}");
            let script = format!("printf %s {}", std::str::from_utf8(quoted.since(0)).unwrap());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
        assert_eq!(parts(b"A=b=c"), (&b"A"[..], &b"b=c"[..]));
    }
}
