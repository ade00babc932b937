//! A program named `timeout` is coreutils': the command's own takes its place, which looks at what hangs
//! before it ends it.

use core::ffi::{CStr, c_char};

use hangscope_protocol::variable;
use hangscope_reader::text::base_name;

use crate::environment::{self, environ};
use crate::{files, settings};

const NAME: &[u8] = b"timeout";

/// The program that is executed in the place of `file`, if another is. `search`: `file` is looked for in
/// PATH.
///
/// # Safety
/// `file` must be a C string, and `arguments` null or a NULL-terminated array of C strings.
pub(crate) unsafe fn instead(
    file: *const c_char,
    arguments: *const *const c_char,
    search: bool,
) -> Option<*const c_char> {
    let other = settings::saved()?.value(variable::FOLLOW_TIMEOUT)?;
    if file.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let (file, first) = unsafe { (CStr::from_ptr(file), environment::strings(arguments).next()?) };
    let is_named = |text: &CStr| base_name(text.to_bytes()) == NAME;
    if !is_named(file) || !is_named(first) || (!search && file.to_bytes() == NAME) {
        return None;
    }
    // PATH of this program, not of the next: so execvp has it.
    // SAFETY: what getenv reads, too.
    let mut entries = unsafe { environment::strings(environ) };
    let path = entries.find_map(|entry| entry.to_bytes_with_nul().strip_prefix(b"PATH="));
    let path = path.and_then(|path| CStr::from_bytes_with_nul(path).ok());
    let fits = files::is_program_of_its_own(file, path) && files::may_be_executed(other);
    fits.then_some(other.as_ptr())
}
