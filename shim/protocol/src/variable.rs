//! The environment variables in which the settings of the shim and of `libhangscope_follow.so` are. The
//! README says what each means.

/// Every name begins so.
pub const PREFIX: &str = "HANGSCOPE_";

pub const SOCKET: &str = "HANGSCOPE_SOCKET";
pub const LABEL: &str = "HANGSCOPE_LABEL";
pub const TARGET: &str = "HANGSCOPE_TARGET";
pub const ONLY: &str = "HANGSCOPE_ONLY";
pub const HANG_AFTER: &str = "HANGSCOPE_HANG_AFTER";
pub const STALL: &str = "HANGSCOPE_STALL";
pub const TICK: &str = "HANGSCOPE_TICK";
pub const SIGNAL: &str = "HANGSCOPE_SIGNAL";
pub const STIR: &str = "HANGSCOPE_STIR";
pub const STIR_SEED: &str = "HANGSCOPE_STIR_SEED";
/// File of the plan for `libhangscope_stir.so` ([`crate::stir`]). Without it that DSO does nothing.
pub const STIR_PLAN: &str = "HANGSCOPE_STIR_PLAN";
pub const DEBUG: &str = "HANGSCOPE_DEBUG";
pub const GREET: &str = "HANGSCOPE_GREET";
pub const CRASH: &str = "HANGSCOPE_CRASH";
pub const SECCOMP: &str = "HANGSCOPE_SECCOMP";

/// `1`: nothing is watched where libc's own `malloc` is used, and everything that was to be preloaded is.
pub const PRELOADED: &str = "HANGSCOPE_PRELOADED";

/// All of them. The shim and `libhangscope_stir.so` read these and no others; the collector clears those that
/// it does not set.
pub const ALL: [&str; 16] = [
    SOCKET, LABEL, TARGET, ONLY, HANG_AFTER, STALL, TICK, SIGNAL, STIR, STIR_SEED, STIR_PLAN, DEBUG, GREET,
    CRASH, SECCOMP, PRELOADED,
];

/// Path of `libhangscope_follow.so`. Without it that DSO does nothing.
pub const FOLLOW: &str = "HANGSCOPE_FOLLOW";
/// Path of the shim; behind a colon that of `libhangscope_stir.so`, where that goes along.
pub const FOLLOW_SHIM: &str = "HANGSCOPE_FOLLOW_SHIM";
/// `1`: the shim goes into every program, not only where something else is preloaded.
pub const FOLLOW_ALL: &str = "HANGSCOPE_FOLLOW_ALL";
/// The program that takes the place of coreutils' `timeout`.
pub const FOLLOW_TIMEOUT: &str = "HANGSCOPE_FOLLOW_TIMEOUT";
/// `FILE:OTHER`: where FILE would be preloaded, OTHER is.
pub const FOLLOW_INSTEAD: &str = "HANGSCOPE_FOLLOW_INSTEAD";

/// Id of a process that has executed a program without LD_PRELOAD, and got it back.
pub const FOLLOW_AGAIN: &str = "HANGSCOPE_FOLLOW_AGAIN";

/// The settings of `libhangscope_follow.so`. It hands on these and [`ALL`], also where a program clears the
/// environment.
pub const OF_FOLLOW: [&str; 6] =
    [FOLLOW, FOLLOW_SHIM, FOLLOW_ALL, FOLLOW_TIMEOUT, FOLLOW_INSTEAD, FOLLOW_AGAIN];
