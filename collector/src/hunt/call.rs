//! Counters of a hung process, printed by itself: a function of the allocator that the profile names, called on one of its
//! threads by the shim. Only where the process rests ([`rest`]), when its evidence is complete, before it is killed.

use std::time::{Duration, Instant};

use crossbeam_channel::{at, select};
use hangscope_protocol::record::{called, note_code};

use super::lane::Lane;
use super::watch::{Watch, Watched};
use crate::analysis::counters::rest::Restless;
use crate::analysis::message::{Say as _, Text, say};
use crate::cancel::Cancel;
use crate::listen::{ConnId, Listener, What};
use crate::note::Note;
use crate::profile::Profile;
use crate::session::Dso;

/// The shim waits half a second for the function, and may be in the middle of a look.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Has the process print its counters, if the profile names a function for it: what came of it, for the run's notes. `conn`
/// is the process, if anything comes from inside it; `caller` who may call it, as its dump shows.
#[expect(clippy::too_many_arguments, reason = "a process, and all that hears of it")]
pub(super) fn print_counters(
    lane: &Lane,
    profile: &Profile,
    conn: Option<ConnId>,
    dso: Option<&Dso>,
    caller: Result<u32, Restless>,
    listener: &Listener,
    watch: &mut Watch,
    cancel: &Cancel,
) -> Option<Text> {
    let name = profile.dump_function.as_deref()?;
    let refused = |why: Text| say!(Note::NotPrinted { function: name, why }).said();
    let Some((conn, dso)) = conn.zip(dso) else { return Some(refused(Note::NotFromInside {}.said())) };
    let function = match lane.counter_function(dso)? {
        Ok(function) => function,
        Err(why) => return Some(refused(why)),
    };
    let tid = match caller {
        Ok(tid) => tid,
        Err(why) => return Some(refused(why.said())),
    };
    if let Err(error) = listener.asker().ask_call(conn, function, tid) {
        return Some(refused(error.said()));
    }
    Some(match answer(conn, listener, watch, cancel) {
        Some(called::RETURNED) => say!(Note::Printed { function: name, tid }).said(),
        Some(called::NOT_BACK) => say!(Note::CalledNotBack { function: name, tid }).said(),
        Some(called::NO_ROOM) => refused(say!(Note::CalledNoRoom { tid }).said()),
        Some(called::LATE) => refused(say!(Note::CalledLate { tid }).said()),
        Some(called::NOT_ALLOWED) => refused(Note::CalledNotAllowed {}.said()),
        Some(_) => refused(say!(Note::CalledNotSent { tid }).said()),
        None => refused(Note::CalledNoAnswer {}.said()),
    })
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
