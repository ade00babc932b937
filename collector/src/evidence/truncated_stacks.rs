//! Stacks that are cut short in a dump of a process that may not be stopped from here: the shim asks their
//! threads by signal while the dump goes on.

use hangscope_protocol::record::{AskRecord, ask_what};

use crate::listen::{Asker, ConnId, ListenError};
use crate::session::Dump;
use crate::symbolize::{Reach, Sources, truncated};

/// Most threads of one request: the shim reads no more.
const MOST: usize = 512;

/// Asks the blocked threads of a first look whose stack does not reach the start of the thread. Gives the
/// number of threads. The shim answers before its second look, in the same dump.
///
/// # Errors
/// [`ListenError`]: the stacks in the dump stay as they are.
pub fn ask(asker: &Asker, conn: ConnId, first_look: &Dump, sources: &Sources) -> Result<usize, ListenError> {
    // HANGSCOPE_SIGNAL=0: the shim sends no signals.
    if first_look.identity.fixed.probe_signal == 0 {
        return Ok(0);
    }
    let tids = truncated(first_look, sources, Reach::BySignal);
    let ask = AskRecord { what: ask_what::PROBE, request: 0, arg0: 0, arg1: 0, reserved: 0 };
    tids.chunks(MOST).try_for_each(|some| asker.ask(conn, &ask, some))?;
    Ok(tids.len())
}
