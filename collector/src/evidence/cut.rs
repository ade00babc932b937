//! Threads whose stack, read without a signal, is cut short: asked by signal while their dump is under way.

use hangscope_protocol::record::{AskRecord, ask_what};

use crate::listen::{Asker, ConnId, ListenError};
use crate::session::Dump;
use crate::symbolize::{Sources, truncated};

/// Threads that one request may name; the shim reads no more.
const MOST: usize = 512;

/// Asks the threads of a first look that are blocked and whose stack does not reach the thread's start. How many were
/// asked; the shim answers before its second look, in the same dump.
///
/// # Errors
/// [`ListenError`]: then the dump has those stacks as they are.
pub fn ask(asker: &Asker, conn: ConnId, first_look: &Dump, sources: &Sources) -> Result<usize, ListenError> {
    // HANGSCOPE_SIGNAL=0: nobody is to be asked.
    if first_look.identity.fixed.probe_signal == 0 {
        return Ok(0);
    }
    let tids = truncated(first_look, sources);
    let ask = AskRecord { what: ask_what::PROBE, request: 0, arg0: 0, arg1: 0, reserved: 0 };
    tids.chunks(MOST).try_for_each(|some| asker.ask(conn, &ask, some))?;
    Ok(tids.len())
}
