//! What is asked for, and who is at the terminal.

use std::net::SocketAddr;

use super::config::Matrix;
use super::lanes::Common;
use crate::console::cancel::Cancel;
use crate::console::usr1::Requests;
use crate::hunt::OnHang;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) matrix: Matrix,
    pub(crate) common: Common,
    pub(crate) on_hang: OnHang,
    /// Goes on with the matrix in OUT.
    pub(crate) resume: bool,
}

/// Who is at the terminal.
#[derive(Clone, Copy)]
pub(crate) struct Console<'a> {
    pub(crate) cancel: &'a Cancel,
    pub(crate) requests: &'a Requests,
    /// Where metrics are served.
    pub(crate) metrics: Option<SocketAddr>,
}
