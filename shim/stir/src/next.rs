//! The next definition of a function of libc, in the order of symbol search: libc's, or that of another
//! preload.

use core::ffi::{CStr, c_int};
use core::sync::atomic::{AtomicUsize, Ordering};

/// A function, found once. Whoever finds none looks for the same one.
pub(crate) struct Next {
    name: &'static CStr,
    address: AtomicUsize,
}

/// Any of the functions: at most four arguments, none of them a floating-point number or larger than a word.
type Function = unsafe extern "C" fn(usize, usize, usize, usize) -> c_int;

impl Next {
    const fn new(name: &'static CStr) -> Next {
        Next { name, address: AtomicUsize::new(0) }
    }

    /// dlsym(3) takes the loader's lock: so this is done in the constructor, and before that only for a
    /// constructor that comes earlier. It gives the default version of a symbol.
    #[cold]
    fn find(&self) -> usize {
        // SAFETY: a C string; RTLD_NEXT is for a caller that is a shared object.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) } as usize;
        self.address.store(found, Ordering::Relaxed);
        found
    }

    /// Calls it; ENOSYS where libc has no such function.
    ///
    /// # Safety
    /// As the function's man page says, for the arguments that it has.
    #[inline(always)]
    pub(crate) unsafe fn call(&self, [a, b, c, d]: [usize; 4]) -> c_int {
        let address = match self.address.load(Ordering::Relaxed) {
            0 => self.find(),
            address => address,
        };
        if address == 0 {
            return libc::ENOSYS;
        }
        // SAFETY: a function of this name; an argument more than it has stays unread in its register.
        unsafe { core::mem::transmute::<usize, Function>(address)(a, b, c, d) }
    }
}

macro_rules! functions {
    ($($name:ident)*) => {
        $(
            #[expect(non_upper_case_globals, reason = "named as the function")]
            pub(crate) static $name: Next = {
                match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => Next::new(name),
                    Err(_) => panic!("a name without a NUL"),
                }
            };
        )*

        pub(crate) fn find_all() {
            for next in [$(&$name),*] {
                next.find();
            }
        }
    };
}

functions! {
    pthread_mutex_lock pthread_mutex_trylock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock
    pthread_rwlock_rdlock pthread_rwlock_tryrdlock pthread_rwlock_timedrdlock pthread_rwlock_wrlock
    pthread_rwlock_trywrlock pthread_rwlock_timedwrlock pthread_rwlock_unlock
    pthread_spin_lock pthread_spin_trylock pthread_spin_unlock
    pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait pthread_cond_signal pthread_cond_broadcast
    sem_wait sem_trywait sem_timedwait sem_clockwait sem_post sched_yield
}
