//! What the threads of a listener share.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::connection::Outlet;
use super::limits::ConnectionLimits;

/// An open connection: to send requests, and to close it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) asks: AtomicU32,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: ConnectionLimits,
    pub(super) stop: AtomicBool,
    pub(super) open: Mutex<HashMap<u64, Open>>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
