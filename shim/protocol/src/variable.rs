//! The environment variables in which the shim's settings are. The README says what each means.

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
pub const DEBUG: &str = "HANGSCOPE_DEBUG";
pub const GREET: &str = "HANGSCOPE_GREET";
pub const CRASH: &str = "HANGSCOPE_CRASH";
pub const SECCOMP: &str = "HANGSCOPE_SECCOMP";

/// All of them. The shim reads these and no others; the collector clears those that it does not set.
pub const ALL: [&str; 14] = [
    SOCKET, LABEL, TARGET, ONLY, HANG_AFTER, STALL, TICK, SIGNAL, STIR, STIR_SEED, DEBUG, GREET, CRASH,
    SECCOMP,
];
