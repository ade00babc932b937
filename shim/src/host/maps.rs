//! The lines of maps of this process, read with a lent buffer.

use core::ffi::CStr;

use hangscope_reader::maps::{Mapping, mappings, whole_lines};

use crate::sys;

/// Calls `each` for every line. Gives false if maps could not be read.
///
/// The path is that of this thread, not `/proc/self/maps`: after the main thread has ended with
/// `pthread_exit`, the process's own file is empty, while the threads' files are not.
pub(crate) fn for_each(buffer: &mut [u8], each: &mut dyn FnMut(&Mapping<'_>)) -> bool {
    read(c"/proc/thread-self/maps", buffer, each)
}

/// As [`for_each`], for the main thread: the process's own file takes the kernel less time to find.
pub(crate) fn for_each_at_start(buffer: &mut [u8], each: &mut dyn FnMut(&Mapping<'_>)) -> bool {
    let mut any = false;
    let read_it = read(c"/proc/self/maps", buffer, &mut |m| {
        any = true;
        each(m);
    });
    read_it && any || for_each(buffer, each)
}

fn read(path: &CStr, buffer: &mut [u8], each: &mut dyn FnMut(&Mapping<'_>)) -> bool {
    let Ok(file) = sys::open_read(path) else { return false };
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
