//! The threads that make the runs: one, or one for each set of CPUs (`--jobs`).

use std::collections::BTreeSet;
use std::thread::{Builder, Scope};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, select, unbounded};

use super::arm::Change;
use super::arms::Arms;
use super::config::Config;
use super::lane::Lane;
use super::on_hang::OnHang;
use super::running::Job;
use super::screen::Screen;
use crate::analysis::{RunFacts, Stir};
use crate::console::cancel::Cancel;
use crate::console::usr1::Requests;
use crate::launch::cpus;

/// A run to be made.
#[derive(Debug)]
pub(super) struct Task {
    /// Its place in the order of all runs, from 0.
    pub(super) place: usize,
    /// Index of its arm.
    pub(super) arm: usize,
    pub(super) number: u32,
    pub(super) stir: Option<Stir>,
    /// As in [`Job::preferred_sites`].
    pub(super) preferred_sites: BTreeSet<u32>,
    /// The lane with a copy of the DSO for this run alone, and what happens to that.
    pub(super) own: Option<(Lane, Change)>,
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) place: usize,
    pub(super) arm: usize,
    pub(super) number: u32,
    pub(super) stir: Option<Stir>,
    pub(super) facts: anyhow::Result<RunFacts>,
    seat: usize,
}

/// What all threads share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    pub(super) arms: &'a Arms,
    pub(super) screen: &'a Screen,
    pub(super) cancel: &'a Cancel,
    /// Set when the runs under way are not needed any more.
    pub(super) over: &'a Cancel,
}

#[derive(Debug)]
pub(super) struct Crew {
    seats: Vec<Seat>,
    done: Receiver<Done>,
}

#[derive(Debug)]
struct Seat {
    tasks: Sender<Task>,
    /// To the run under way: somebody wants a dump.
    requests: Sender<()>,
    busy: bool,
}

/// The configurations of the threads: with several, each has its own CPUs.
pub(super) fn configs(config: &Config) -> Vec<Config> {
    let own = config.side_by_side.iter().map(|set| Config { cpus: Some(set.clone()), ..config.clone() });
    let own: Vec<Config> = own.collect();
    if own.is_empty() { vec![config.clone()] } else { own }
}

impl Crew {
    /// Starts a thread for each configuration. The threads end when the crew is dropped. The kernel kills a
    /// benchmark when the thread that started it ends, so none is started by a thread that does not wait for
    /// it.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        configs: &'scope [Config],
        shared: Shared<'scope>,
    ) -> anyhow::Result<Crew> {
        let (ended, done) = unbounded();
        let mut seats = vec![];
        for (seat, config) in configs.iter().enumerate() {
            let ((tasks, todo), (requests, wanted)) = (unbounded(), Requests::pair());
            let ended = ended.clone();
            let work = move || {
                for task in todo {
                    let done = make(seat, config, shared, task, &wanted);
                    if ended.send(done).is_err() {
                        break;
                    }
                }
            };
            let name = "hs-run".to_owned();
            Builder::new().name(name).spawn_scoped(scope, work).context("hunt: cannot start a thread")?;
            seats.push(Seat { tasks, requests, busy: false });
        }
        Ok(Crew { seats, done })
    }

    /// Whether a thread has no run.
    pub(super) fn is_free(&self) -> bool {
        self.seats.iter().any(|seat| !seat.busy)
    }

    /// Whether a run is under way.
    pub(super) fn is_at_work(&self) -> bool {
        self.seats.iter().any(|seat| seat.busy)
    }

    /// Gives a run to the first thread that has none.
    pub(super) fn give(&mut self, task: Task) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| !seat.busy) {
            seat.busy = seat.tasks.send(task).is_ok();
        }
    }

    /// Waits for the end of a run. A request for a dump goes to all runs under way. None: no run is under
    /// way.
    pub(super) fn next(&mut self, requests: &Requests) -> Option<Done> {
        while self.is_at_work() {
            select! {
                recv(self.done) -> done => {
                    let done = done.ok()?;
                    self.seats[done.seat].busy = false;
                    return Some(done);
                }
                recv(requests.channel()) -> _ => {
                    for seat in self.seats.iter().filter(|seat| seat.busy) {
                        // A full channel holds a request already.
                        let _ = seat.requests.try_send(());
                    }
                }
            }
        }
        None
    }
}

fn make(seat: usize, config: &Config, shared: Shared<'_>, task: Task, requests: &Requests) -> Done {
    let Task { place, arm, number, stir, preferred_sites, own } = task;
    let Shared { arms, screen, cancel, over } = shared;
    let (own_lane, change) = own.unzip();
    let lane = own_lane.as_ref().unwrap_or_else(|| arms.lane(arm));
    let (requests, over) = (Some(requests), Some(over));
    let job = Job {
        config,
        lane,
        number,
        stir,
        preferred_sites: &preferred_sites,
        screen,
        cancel,
        requests,
        over,
        keep: config.on_hang == OnHang::Keep && config.stops_at_first(),
        hellos: None,
    };
    let facts = job.run(change).map(|facts| RunFacts { cpus: set_of(config), ..facts });
    Done { place, arm, number, stir, facts, seat }
}

/// The CPUs of a run beside others.
fn set_of(config: &Config) -> Option<String> {
    let set = config.cpus.as_ref().filter(|_| !config.side_by_side.is_empty())?;
    Some(cpus::show(&set.used))
}
