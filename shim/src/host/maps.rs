//! The lines of maps of this process, read with a lent buffer.

use hangscope_reader::maps::{Mapping, mappings, whole_lines};

use crate::sys;

/// Calls `each` for every line. Gives false if maps could not be read.
///
/// The path is that of this thread, not `/proc/self/maps`: after the main thread has ended with
/// `pthread_exit`, the process's own file is empty, while the threads' files are not.
pub(crate) fn for_each(buffer: &mut [u8], each: &mut dyn FnMut(&Mapping<'_>)) -> bool {
    let Ok(file) = sys::open_read(c"/proc/thread-self/maps") else { return false };
    let mut kept = 0;
    loop {
        let Some(room) = buffer.get_mut(kept..).filter(|r| !r.is_empty()) else { return true };
        let n = match sys::read(&file, room) {
            Ok(0) => return true,
            Ok(n) => n,
            Err(_) => return false,
        };
        let filled = kept + n;
        let text = buffer.get(..filled).unwrap_or(&[]);
        let whole = whole_lines(text);
        mappings(text).for_each(|m| each(&m));
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}
