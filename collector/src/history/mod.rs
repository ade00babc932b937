//! The memory of what ran: runs, hangs and verdicts of all jobs, in one SQLite database.
//!
//! - `place`: where the database is
//! - [`model`]: a job and a run, as they are written
//! - `schema`: the tables, and how older ones become these
//! - `kind`: whether a file is a history at all; `file`: how it is locked, opened and set aside; `uri`: its
//!   name for SQLite; `error`: what goes wrong
//! - [`store`]: the open database; `source`: one that is only read; `import`: one that is added to another
//! - [`recorder`]: writes beside a job, which never waits for it
//! - [`query`]: what is read back; [`trend`]: hang rates of builds over time, computed from it; [`seen`]:
//!   whether a hang came before
//!
//! A database is a convenience. Whatever goes wrong with it, the job goes on, its files in OUT are whole, and
//! one line says what is not remembered.

mod error;
mod file;
mod import;
mod kind;
pub(crate) mod model;
mod place;
pub(crate) mod query;
pub(crate) mod recorder;
mod schema;
pub(crate) mod seen;
mod source;
pub(crate) mod store;
pub(crate) mod trend;
mod uri;

/// Name of the database of a shard, in its folder.
pub(crate) const OF_SHARD: &str = "history.db";

#[cfg(test)]
mod tests;

pub(crate) use error::StoreError;
pub(crate) use file::refuse_foreign;
pub(crate) use model::{JobRow, RunRow, new_series};
pub(crate) use place::default_file;
pub(crate) use recorder::{Recorder, Remember, set_aside};
pub(crate) use store::Store;
