//! Functions with any number of arguments, which stable Rust cannot define: execl, execlp, execle. The
//! arguments are laid side by side in memory, where they are the array that execv takes.

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::naked_asm;
    use core::ffi::{c_char, c_int};

    use crate::exec;

    /// The psABI passes the first six arguments in registers and the others on the stack, above the return
    /// address. With that out of the way, the registers go in front of the others, and the last word that was
    /// pushed is where the array begins. The return address is put back to where it was, so that a shadow
    /// stack agrees.
    macro_rules! with_array {
        ($(#[$doc:meta])* $name:ident calls $array:path) => {
            $(#[$doc])*
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name(path: *const c_char, first: *const c_char) -> c_int {
                naked_asm!(
                    "pop r11",
                    "push r9",
                    "push r8",
                    "push rcx",
                    "push rdx",
                    "push rsi",
                    "mov rsi, rsp",
                    "push r11",
                    "call {array}",
                    "pop r11",
                    "add rsp, 40",
                    "push r11",
                    "ret",
                    array = sym $array,
                )
            }
        };
    }

    with_array! {
        /// # Safety
        /// As execl(3): the arguments end with NULL.
        execl calls exec::execl_array
    }
    with_array! {
        /// # Safety
        /// As execlp(3): the arguments end with NULL.
        execlp calls exec::execlp_array
    }
    with_array! {
        /// # Safety
        /// As execle(3): the arguments end with NULL, and the environment follows.
        execle calls exec::execle_array
    }
}

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "libhangscope_follow.so knows x86-64; another processor needs execl, execlp and execle in shim/follow/src/arch.rs"
);
