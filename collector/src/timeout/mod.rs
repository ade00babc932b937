//! coreutils' `timeout` with a look at the command before it is ended. The behaviour is that of coreutils
//! 9.1; the code is our own.
//!
//! The command is a child of this process and in its process group. Signals come as messages of a signalfd,
//! so no handler is installed, and this process has one thread. At the end of the time another process takes
//! the evidence: it runs this program again, without the allocator that `LD_PRELOAD` may name, and in a group
//! of its own. If it fails or dies, the status of the command is not touched.
//!
//! - [`options`]: the command line, in the grammar of getopt_long
//! - `duration`, `signals`, `quote`: how coreutils reads a time and a signal, and how it quotes
//! - [`run`](mod@run): the command, its signals and its end
//! - `capture`: the other process, as this one sees it
//! - [`look`]: what the other process does: asks a collector, else looks from outside
//! - `lines`: what is said, in both languages
//! - `sys`: system calls for which nix and rustix have no safe form

mod capture;
mod duration;
mod lines;
pub(crate) mod look;
pub(crate) mod options;
mod quote;
mod run;
mod signals;
mod sys;

pub(crate) use run::run;
