//! The next definition of a function of libc, in the order of symbol search: libc's, or that of another
//! preload.

use core::ffi::{CStr, c_int};
use core::sync::atomic::{AtomicUsize, Ordering};

/// A function, found once. Whoever finds none looks for the same one.
pub(crate) struct Next {
    name: &'static CStr,
    address: AtomicUsize,
}

impl Next {
    const fn new(name: &'static CStr) -> Next {
        Next { name, address: AtomicUsize::new(0) }
    }

    /// 0 if nothing defines it.
    pub(crate) fn find(&self) -> usize {
        let known = self.address.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        // SAFETY: a C string; RTLD_NEXT is for a caller that is a shared object.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) } as usize;
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

macro_rules! functions {
    ($($name:ident $text:literal),*) => {
        $(pub(crate) static $name: Next = Next::new($text);)*

        /// Finds all of them. dlsym(3) takes the loader's lock, which a child of a program with threads may
        /// find locked for ever: so this is done before `main`.
        pub(crate) fn find_all() {
            for next in [$(&$name),*] {
                next.find();
            }
        }
    };
}

functions! {
    EXECVE c"execve", EXECVPE c"execvpe", FEXECVE c"fexecve", EXECVEAT c"execveat", POSIX_SPAWN c"posix_spawn",
    POSIX_SPAWNP c"posix_spawnp", SYSTEM c"system", POPEN c"popen", KILL c"kill", KILLPG c"killpg"
}

/// Calls the next definition, which has this type by POSIX or by its man page. Unsafe: the arguments are the
/// caller's, or made of them.
macro_rules! call {
    ($next:ident as $kind:ty, ($($argument:expr),*), else $missing:expr) => {
        match $crate::next::$next.find() {
            0 => $missing,
            address => core::mem::transmute::<usize, $kind>(address)($($argument),*),
        }
    };
}
pub(crate) use call;

pub(crate) fn no_such_function() -> c_int {
    // SAFETY: the address of this thread's errno.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    -1
}
