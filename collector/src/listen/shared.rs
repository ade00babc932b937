//! What the event loop shares with those who send requests and take events.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::flow::{Flow, Waiting};
use super::limits::ConnectionLimits;

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
