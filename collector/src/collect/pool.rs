//! The threads of the sessions: a fixed number for any number of sessions.
//!
//! A session with inputs stands in a queue at most once, so the queue is never longer than there are
//! sessions, and a session is in one thread at a time: it takes its inputs in their order. Dumps are analysed
//! by threads of their own, so that no heartbeat waits for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::desk::Desk;
use super::session::{Beginning, Input, Session};

/// Inputs of one session in one turn.
const TURN: usize = 32;
/// Threads that analyse dumps. Most of the time they wait for perf.
const HEAVY: usize = 12;
/// Fewest threads for all other inputs: one may wait for a disk.
const LIGHT: usize = 4;

/// A session and what it has not taken yet.
pub(super) struct Actor {
    key: u64,
    state: Mutex<State>,
}

struct State {
    inputs: VecDeque<Input>,
    place: Place,
    /// It stands in a queue, or is in a thread.
    busy: bool,
}

/// Where a session is.
enum Place {
    New(Box<Beginning>),
    Here(Box<Session>),
    InAThread,
    Over,
}

impl Actor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().place, Place::Over)
    }
}

pub(super) struct Pool {
    queues: Queues,
    threads: Vec<JoinHandle<()>>,
    over: Receiver<u64>,
}

/// None ends a thread.
#[derive(Clone)]
struct Queues {
    light: Sender<Option<Arc<Actor>>>,
    heavy: Sender<Option<Arc<Actor>>>,
}

impl Pool {
    pub(super) fn new(desk: &Arc<Desk>) -> std::io::Result<Pool> {
        let (light, light_actors) = crossbeam_channel::unbounded();
        let (heavy, heavy_actors) = crossbeam_channel::unbounded();
        let (tell, over) = crossbeam_channel::unbounded();
        let queues = Queues { light, heavy };
        let lights = std::thread::available_parallelism().map_or(LIGHT, |n| n.get().max(LIGHT));
        let mut threads = vec![];
        for number in 0..lights + HEAVY {
            let is_heavy = number >= lights;
            let (name, actors) =
                if is_heavy { ("hs-dumps", &heavy_actors) } else { ("hs-sessions", &light_actors) };
            let worker = Worker { desk: desk.clone(), queues: queues.clone(), is_heavy, over: tell.clone() };
            let actors: Receiver<Option<Arc<Actor>>> = actors.clone();
            let body = move || actors.iter().map_while(|actor| actor).for_each(|actor| worker.turn(&actor));
            threads.push(std::thread::Builder::new().name(name.into()).spawn(body)?);
        }
        Ok(Pool { queues, threads, over })
    }

    /// Begins a session.
    pub(super) fn begin(&self, key: u64, beginning: Beginning) -> Arc<Actor> {
        let place = Place::New(Box::new(beginning));
        let state = Mutex::new(State { inputs: VecDeque::new(), place, busy: true });
        let actor = Arc::new(Actor { key, state });
        let _ = self.queues.light.send(Some(actor.clone()));
        actor
    }

    /// Gives a session an input. One that is over takes none.
    pub(super) fn send(&self, actor: &Arc<Actor>, input: Input) {
        let mut guard = actor.state();
        let state = &mut *guard;
        match &mut state.place {
            Place::Over => return,
            // No thread is woken for what only goes to memory: most inputs are such heartbeats.
            Place::Here(session) if !state.busy && session.only_remembers(&input) => {
                session.step(input);
                return;
            }
            _ => {}
        }
        state.inputs.push_back(input);
        if !std::mem::replace(&mut state.busy, true) {
            drop(guard);
            let _ = self.queues.light.send(Some(actor.clone()));
        }
    }

    /// Keys of sessions that are over.
    pub(super) fn over(&self) -> &Receiver<u64> {
        &self.over
    }

    /// Ends the threads. The sessions must be over.
    pub(super) fn close(self) {
        for _ in &self.threads {
            let _ = self.queues.light.send(None);
            let _ = self.queues.heavy.send(None);
        }
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

struct Worker {
    desk: Arc<Desk>,
    queues: Queues,
    is_heavy: bool,
    over: Sender<u64>,
}

impl Worker {
    /// Gives a session some of its inputs.
    fn turn(&self, actor: &Arc<Actor>) {
        let place = std::mem::replace(&mut actor.state().place, Place::InAThread);
        let mut session = match place {
            Place::New(beginning) => Box::new(Session::begin(self.desk.clone(), *beginning)),
            Place::Here(session) => session,
            over @ (Place::InAThread | Place::Over) => {
                actor.state().place = over;
                return;
            }
        };
        let mut queue = &self.queues.light;
        for _ in 0..TURN {
            let mut state = actor.state();
            let Some(input) = state.inputs.pop_front() else {
                state.place = Place::Here(session);
                state.busy = false;
                return;
            };
            if input.is_heavy() && !self.is_heavy {
                state.inputs.push_front(input);
                queue = &self.queues.heavy;
                break;
            }
            drop(state);
            if session.step(input) {
                session.end();
                let mut state = actor.state();
                state.place = Place::Over;
                state.inputs.clear();
                drop(state);
                let _ = self.over.send(actor.key);
                return;
            }
        }
        actor.state().place = Place::Here(session);
        let _ = queue.send(Some(actor.clone()));
    }
}
