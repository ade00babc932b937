//! The standing collector: any number of processes, each of them a session on disk.
//!
//! One loop gives each event to its session. A fixed number of threads runs all sessions: they write the
//! sessions' files and capture their hangs. A slow disk or perf delays no other session.
//!
//! - `route`: which session an event belongs to, across connections and execs
//! - `pool`: the threads of the sessions
//! - `session`: one process from its hello to its end
//! - `beats`: the last heartbeats of a session
//! - `room`: the memory for dumps that are analysed
//! - `disk`: what is kept; `folder`: the folder of a session
//! - `before`: what an earlier collector has left
//! - `judge`: DSO integrity over a session's life
//! - `still`: whether anything moves in a process
//! - [`record`]: `session.json` and `heartbeats.jsonl`
//! - `remembered`: a session as a run of the history
//! - `desk`: what all sessions share; `lines`: `sessions.jsonl`
//! - [`night`]: the sessions as a night; [`page`]: its report

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, at, never, select};

use crate::console::cancel::{self, Cancel};
use crate::console::usr1::Requests;
use crate::files::atomic::{self, WriteError};
use crate::launch::chain::Chain;
use crate::launch::runner::Runner;
use crate::listen::{ListenError, Listener};
use crate::live::model::Kind;

mod beats;
mod before;
mod desk;
mod disk;
mod folder;
mod judge;
mod lines;
pub(crate) mod night;
pub(crate) mod page;
mod pool;
pub(crate) mod record;
mod remembered;
mod room;
mod route;
mod session;
mod still;

use desk::Desk;
pub(crate) use desk::{Collected, Options, Say};
pub(crate) use disk::Keep;
use lines::SessionLines;

/// How often OUT is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// From the first look to the second when the collector ends.
const EARLY_LOOK: Duration = Duration::from_millis(300);
/// Events that are taken before the other channels are looked at.
const MOST_EVENTS: usize = 256;
/// How long to wait for these dumps. The command is to end within two seconds.
const DUMP_AT_END: Duration = Duration::from_millis(1200);

/// A command that is followed, whose end is the end of the collection.
pub(crate) struct Followed {
    pub(crate) runner: Runner,
    pub(crate) chain: Chain,
}

/// Collects until `cancel`, or until the end of the followed command. Sessions that are open then are written
/// as `open`.
///
/// # Errors
/// [`CollectError`]. If a file cannot be written later, an error is printed and counted, and the collector
/// goes on.
pub(crate) fn collect(
    listener: Listener,
    options: Options,
    cancel: Cancel,
    say: Say,
    requests: &Requests,
    mut followed: Option<&mut Followed>,
) -> Result<Collected, CollectError> {
    atomic::make_dir(&options.out.join("sessions"))?;
    let lines = SessionLines::open(&options.out.join(lines::SESSIONS))?;
    listener.spool_in(&options.out);
    listener.count_in(options.board.traffic());
    options.board.name(Kind::Collect, "", &options.out);
    if let Some(live) = &options.live {
        live.point();
    }
    let desk =
        Arc::new(Desk::new(options, cancel, say, (listener.asker(), listener.path().to_owned()), lines));
    let (before, closed) = before::Before::read(&desk);
    if closed > 0 {
        desk.closed(closed);
    }
    let mut router = route::Router::new(desk.clone(), before)?;
    let looks = crossbeam_channel::tick(LOOK);
    let cancelled: Receiver<_> = desk.cancel.channel().clone();
    let mut failed = None;
    let ended = followed.as_ref().map_or_else(never, |followed| followed.runner.ended().clone());
    loop {
        let chain_look = followed.as_ref().map_or_else(never, |followed| at(followed.chain.due()));
        select! {
            recv(listener.events()) -> event => match event {
                Ok(event) => {
                    router.event(event);
                    // A select costs more than an event.
                    listener.events().try_iter().take(MOST_EVENTS).for_each(|event| router.event(event));
                }
                Err(_) => {
                    failed = Some(listener.failed().recv());
                    break;
                }
            },
            recv(listener.failed()) -> why => {
                failed = Some(why);
                break;
            }
            recv(listener.remarks()) -> remark => if let Ok(remark) = remark {
                desk.remark(&remark);
            },
            recv(router.exits()) -> key => if let Ok(key) = key {
                router.exited(key);
            },
            recv(router.ends()) -> key => if let Ok(key) = key {
                router.over(key);
            },
            recv(looks) -> _ => desk.look_at_out(),
            recv(requests.channel()) -> _ => router.want(std::process::id(), None, Duration::ZERO),
            recv(chain_look) -> _ => if let Some(followed) = &mut followed {
                followed.chain.look();
            },
            recv(ended) -> _ => break,
            recv(cancelled) -> _ => break,
        }
    }
    if desk.cancel.is_set() {
        // What the processes do now is what somebody wants to see who ends the collector.
        let done = router.dump_at_end(EARLY_LOOK);
        let until = Instant::now() + DUMP_AT_END;
        loop {
            select! {
                recv(listener.events()) -> event => match event {
                    Ok(event) => router.event(event),
                    Err(_) => break,
                },
                recv(done) -> _ => break,
                recv(at(until)) -> _ => break,
            }
        }
        if let Some(followed) = &followed {
            end_runner(&followed.runner, &listener, &mut router);
        }
    }
    // Events that were sent before the end still count. Nothing is received any more.
    let events = listener.events().clone();
    drop(listener);
    events.try_iter().for_each(|event| router.event(event));
    router.close();
    desk.last_lines();
    desk.write_page();
    if let Some(why) = failed.filter(|_| !desk.cancel.is_set()) {
        return Err(why.map_or(CollectError::Ended, CollectError::Listen));
    }
    Ok(desk.collected())
}

/// Waits until the command has ended that somebody has interrupted. A terminal sends the interrupt to the
/// command, too; otherwise it is passed on.
fn end_runner(runner: &Runner, listener: &Listener, router: &mut route::Router) {
    if !cancel::is_of_the_terminal() {
        runner.terminate();
    }
    loop {
        select! {
            recv(runner.ended()) -> _ => return,
            recv(listener.events()) -> event => match event {
                Ok(event) => router.event(event),
                Err(_) => return,
            },
            recv(after(LOOK)) -> _ => cancel::still_ending(),
        }
    }
}

/// Why collecting could not begin, or not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// OUT cannot be written to.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system has no thread or pipe left.
    #[error("cannot start to collect: {0}")]
    System(#[from] std::io::Error),
    /// The sessions until then are written.
    #[error("nobody can connect any more: {0}")]
    Listen(ListenError),
    /// The same, without a known reason.
    #[error("nobody can connect any more")]
    Ended,
}

#[cfg(test)]
mod tests;
