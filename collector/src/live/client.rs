//! The side of those who look.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::model::{Refused, SCHEMA};
use crate::listen::refusal_of;

/// Most bytes of an answer.
const MOST_ANSWER: u64 = 256 << 20;

/// A connection to a job.
#[derive(Debug)]
pub(crate) struct Client(BufReader<UnixStream>);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The job has ended.
    #[error("the job has ended")]
    Ended,
    /// Nothing came in time.
    #[error("the job does not answer")]
    Slow,
    /// The job says why.
    #[error("{0}")]
    Refused(String),
    #[error("the answer is none of this version: {0}")]
    Unreadable(String),
}

impl Client {
    /// # Errors
    /// ENOENT or ECONNREFUSED: no job answers there. PermissionDenied: another user does.
    pub(crate) fn connect(socket: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        if let Some(why) = refusal_of(&stream) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(Client(BufReader::new(stream)))
    }

    /// Sends a request, and waits for its answer.
    ///
    /// # Errors
    /// [`NoAnswer`]. After any but [`NoAnswer::Refused`] the connection is of no more use.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        request: &str,
        within: Duration,
    ) -> Result<T, NoAnswer> {
        let line = self.line(request, within).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => NoAnswer::Slow,
            _ => NoAnswer::Ended,
        })?;
        if let Ok(refused) = serde_json::from_slice::<Refused>(&line) {
            return Err(NoAnswer::Refused(refused.problem));
        }
        let is_ours = |value: &serde_json::Value| value.get("schema").is_some_and(|of| of == SCHEMA);
        match serde_json::from_slice::<serde_json::Value>(&line) {
            Ok(value) if !is_ours(&value) => Err(NoAnswer::Unreadable(value["schema"].to_string())),
            Ok(value) => serde_json::from_value(value).map_err(|e| NoAnswer::Unreadable(e.to_string())),
            Err(error) => Err(NoAnswer::Unreadable(error.to_string())),
        }
    }

    fn line(&mut self, request: &str, within: Duration) -> io::Result<Vec<u8>> {
        let stream = self.0.get_mut();
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        let request = request.replace(['\n', '\r'], " ");
        // What one connection too many gets is there although nothing can be written.
        let written = stream.write_all(format!("{request}\n").as_bytes());
        let mut line = vec![];
        self.0.by_ref().take(MOST_ANSWER).read_until(b'\n', &mut line)?;
        match line.last() {
            Some(b'\n') => Ok(line),
            _ => Err(written.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
