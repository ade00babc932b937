//! What the event loop shares with those who send requests and take events.

use std::collections::HashMap;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::sys::resource::{Resource, getrlimit};

use super::flow::{Flow, Waiting};
use super::limits::ConnectionLimits;
use super::traffic::Traffic;

/// An open connection, to send requests.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) asks: AtomicU32,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: ConnectionLimits,
    pub(super) stop: AtomicBool,
    pub(super) flow: Arc<Flow>,
    /// Where what is received is counted.
    pub(super) traffic: OnceLock<Arc<Traffic>>,
    /// A connection with this descriptor or a higher one gets no pidfd: few are left, and another session
    /// needs one more than this session needs to know how its process ends.
    pub(super) pidfds_below: RawFd,
    /// There was such a connection.
    pub(super) no_pidfd: AtomicBool,
    open: Mutex<HashMap<u64, Open>>,
    /// Folder for dumps that are being received; none: the system's for such files.
    spool_in: Mutex<Option<PathBuf>>,
}

impl Shared {
    pub(super) fn new(limits: ConnectionLimits, waker: mio::Waker) -> Shared {
        Shared {
            limits,
            stop: AtomicBool::new(false),
            flow: Arc::new(Flow::new(limits.all_waiting_bytes, waker)),
            traffic: OnceLock::new(),
            pidfds_below: most_descriptors() / 10 * 9,
            no_pidfd: AtomicBool::new(false),
            open: Mutex::default(),
            spool_in: Mutex::default(),
        }
    }

    pub(super) fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits of a new connection.
    pub(super) fn waiting(&self, conn: u64) -> Arc<Waiting> {
        Arc::new(Waiting::new(conn, self.limits.waiting_bytes, self.flow.clone()))
    }

    pub(super) fn spool_in(&self) -> Option<PathBuf> {
        self.spool_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_spool(&self, folder: &Path) {
        *self.spool_in.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
    }
}

/// Limit of this process.
fn most_descriptors() -> RawFd {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    RawFd::try_from(limit).unwrap_or(RawFd::MAX)
}
