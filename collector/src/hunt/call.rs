//! Counters of a hung process, printed by itself: a function of the allocator that the profile names, called on one of its
//! threads by the shim. Only where the process rests (`rest`), when its evidence is complete, before it is killed.

use std::time::{Duration, Instant};

use crossbeam_channel::{at, select};
use hangscope_protocol::record::{called, note_code};

use super::lane::Lane;
use super::watch::{Watch, Watched};
use crate::analysis::Integrity;
use crate::analysis::counters::rest::Restless;
use crate::analysis::message::{Say as _, Text, say};
use crate::cancel::Cancel;
use crate::listen::{ConnId, Listener, What};
use crate::note::Note;
use crate::profile::Profile;
use crate::session::{Dso, Dump};
use crate::snap;

/// The shim waits half a second for the function, and may be in the middle of a look.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Who is to call what.
pub(super) struct Call {
    conn: ConnId,
    function: u64,
    tid: u32,
}

impl Call {
    /// The call that is possible in a process with this dump, if the profile names a function for it; why it is not. `conn` is
    /// the process, if the dump came from inside it; `end` what its DSO is by now; `caller` who may call, as its dump shows.
    pub(super) fn of(
        lane: &Lane,
        process: Option<(ConnId, u32, &Dump)>,
        end: Integrity,
        caller: Result<u32, Restless>,
    ) -> Option<Result<Call, Text>> {
        let function = lane.counter_function()?;
        Some(Call::possible(lane, function, process, end, caller))
    }

    fn possible(
        lane: &Lane,
        function: impl Fn(&Dso) -> Result<u64, Text>,
        process: Option<(ConnId, u32, &Dump)>,
        end: Integrity,
        caller: Result<u32, Restless>,
    ) -> Result<Call, Text> {
        let (conn, pid, dump) = process.ok_or_else(|| Note::NotFromInside {}.said())?;
        let dso = dump.allocator().filter(|dso| lane.is_of(dso));
        let dso = dso.ok_or_else(|| Note::NotOurMalloc {}.said())?;
        // Whatever came in the file's place is not what is mapped, unless it was copied over it.
        if !matches!(end, Integrity::Intact | Integrity::Deleted | Integrity::Replaced) {
            return Err(Note::OtherCode {}.said());
        }
        let function = function(dso)?;
        let tid = caller.map_err(|why| why.said())?;
        match snap::moved(pid, dump) {
            Some(tid) => Err(say!(Restless::Moved { tid }).said()),
            None => Ok(Call { conn, function, tid }),
        }
    }
}

/// Has the process print its counters: what came of it, for a report.
pub(super) fn make(
    call: Result<Call, Text>,
    profile: &Profile,
    listener: &Listener,
    watch: &mut Watch,
    cancel: &Cancel,
) -> Text {
    let name = profile.dump_function.as_deref().unwrap_or_default();
    let refused = |why: Text| say!(Note::NotPrinted { function: name, why }).said();
    let Call { conn, function, tid } = match call {
        Ok(call) => call,
        Err(why) => return refused(why),
    };
    if let Err(error) = listener.asker().ask_call(conn, function, tid) {
        return refused(error.said());
    }
    match answer(conn, listener, watch, cancel) {
        Some(called::RETURNED) => say!(Note::Printed { function: name, tid }).said(),
        Some(called::NOT_BACK) => say!(Note::CalledNotBack { function: name, tid }).said(),
        Some(called::NO_ROOM) => refused(say!(Note::CalledNoRoom { tid }).said()),
        Some(called::LATE) => refused(say!(Note::CalledLate { tid }).said()),
        Some(called::NOT_ALLOWED) => refused(Note::CalledNotAllowed {}.said()),
        Some(_) => refused(say!(Note::CalledNotSent { tid }).said()),
        None => say!(Note::CalledNoAnswer { function: name, tid }).said(),
    }
}

/// Waits for the shim's note of what became of it.
fn answer(conn: ConnId, listener: &Listener, watch: &mut Watch, cancel: &Cancel) -> Option<u32> {
    let until = Instant::now() + ANSWER_WITHIN;
    while watch.process(conn).is_some_and(|process: &Watched| !process.ended) {
        select! {
            recv(cancel.channel()) -> _ => return None,
            recv(at(until)) -> _ => return None,
            recv(listener.events()) -> event => {
                let event = event.ok()?;
                let told = match &event.what {
                    What::Note(note) if event.conn == conn && note.record.code == note_code::CALLED => {
                        u32::try_from(note.record.value).ok()
                    }
                    _ => None,
                };
                watch.take(event);
                if told.is_some() {
                    return told;
                }
            }
        }
    }
    None
}
