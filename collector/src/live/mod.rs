//! What a job does now, for those who look: `hangscope top`, and a server of metrics.
//!
//! The job writes to its [`Board`], and never waits for a reader. A thread of its own answers on a Unix
//! socket, another one on a TCP port.
//!
//! - [`model`]: what is told, as plain data
//! - [`board`]: the state of the job; [`row`]: that of one process; `rows`: those of a run; `tally`: the
//!   counts
//! - `room`: what the board holds; `view`: a dump for people who look
//! - [`marks`]: remarks of people, in a file of the job
//! - [`place`]: where the socket is, and how a job is found
//! - [`answers`]: the requests and their answers; `server`: the socket
//! - [`client`]: the other side of the socket
//! - `door`: connections, each with limits
//! - `metrics`: OpenMetrics text; `http`: the port
//! - [`begin`]: all of this for one job

pub(crate) mod answers;
pub(crate) mod begin;
pub(crate) mod board;
pub(crate) mod client;
mod door;
mod http;
pub(crate) mod marks;
mod metrics;
pub(crate) mod model;
pub(crate) mod place;
mod room;
pub(crate) mod row;
mod rows;
mod server;
mod tally;
mod view;

pub(crate) use begin::Live;
pub(crate) use board::Board;
pub(crate) use row::Row;
pub(crate) use rows::Rows;

#[cfg(test)]
mod tests;
