//! All that a finding was made from, in one small file: the dump, its stacks with names, and the heartbeats
//! before it. Of the memory and registers of the process it has only the words beside a futex, those that
//! loops of running threads read, and the values of registers that stay or come again in such a loop. From
//! this file the analysis gives the same finding on any machine, without the DSOs. Attach it to a bug report;
//! recorded tests are such files.

use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::analysis::{self, Finding, History};
use crate::files::atomic::{self, WriteError};
use crate::files::bounded;
use crate::session::Dump;
use crate::session::trace::Traces;

/// Name of the file in a bundle: JSON, in gzip.
pub const FILE: &str = "recording.json.gz";
/// The file's `schema`. Increase it with a change that an older version would read wrongly.
const SCHEMA: u32 = 1;

/// The input of the analysis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    schema: u32,
    /// The file does not keep the bytes of stacks and memory, nor registers.
    pub dump: Dump,
    pub traces: Traces,
    /// Heartbeats before the dump.
    pub(crate) history: History,
}

/// Why bytes are no recording.
#[derive(Debug, thiserror::Error)]
pub enum BadRecording {
    /// No gzip, no JSON, or keys are missing.
    #[error("not a recording ({0})")]
    Read(io::Error),
    /// Another version wrote it.
    #[error(
        "a recording of schema {0}, and this version reads schema {SCHEMA}: use the hangscope that wrote it"
    )]
    Schema(u32),
}

/// A [`Recording`] that is being written.
#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    dump: &'a Dump,
    traces: &'a Traces,
    history: &'a History,
}

/// The key that is read of a file of another schema.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

impl Recording {
    /// Runs the analysis again. The result differs only where the analysis has been fixed since.
    pub fn analyse(&self) -> Finding {
        analysis::analyse(&self.dump, &self.traces, &self.history)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`BadRecording`].
    pub fn read(bytes: &[u8]) -> Result<Recording, BadRecording> {
        let json = bounded::unpacked(GzDecoder::new(bytes)).map_err(BadRecording::Read)?;
        Recording::from_json(&json)
    }

    /// Reads what the gzip of a file holds.
    ///
    /// # Errors
    /// [`BadRecording`].
    pub fn from_json(json: &[u8]) -> Result<Recording, BadRecording> {
        // A file of another schema may have other keys, or the same keys with another meaning.
        let read = serde_json::from_slice::<Recording>(json);
        let schema = match &read {
            Ok(recording) => recording.schema,
            Err(_) => serde_json::from_slice::<Head>(json).map_or(SCHEMA, |head| head.schema),
        };
        if schema != SCHEMA {
            return Err(BadRecording::Schema(schema));
        }
        read.map_err(|e| BadRecording::Read(e.into()))
    }
}

/// Writes [`FILE`] to a folder.
///
/// # Errors
/// [`WriteError`]; the file is written whole or not at all.
pub(crate) fn write(dir: &Path, dump: &Dump, traces: &Traces, history: &History) -> Result<(), WriteError> {
    let file = Written { schema: SCHEMA, dump, traces, history };
    atomic::write_with(&dir.join(FILE), atomic::WRITABLE, |to| {
        let mut gzip = GzEncoder::new(io::BufWriter::new(to), Compression::default());
        serde_json::to_writer(&mut gzip, &file)?;
        gzip.finish()?.flush()
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use hangscope_protocol::record::ProbeRecord;

    use crate::analysis::Class;
    use crate::evidence::recording::*;
    use crate::session::{Memory, Probe, Stack};
    use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
    use crate::testkit::fake_shim::zero;

    fn gzip(text: &str) -> Vec<u8> {
        let mut gzip = GzEncoder::new(vec![], Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn a_recording_gives_the_finding_again_and_holds_no_memory() {
        let mut make = Make::new();
        make.futex(
            101,
            &mutex(LOCK, 103, 0),
            &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "w@bench"],
        );
        make.runs(102, 0.9, &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60"], Sampled::OneCall(9));
        // Only heartbeats tell that the owner was a thread of the process.
        make.gone(103);
        let finding = make.analyse();
        let mut dump = make.finish();
        let secret = vec![165; 200];
        dump.stacks.push(Stack { record: zero(), bytes: secret.clone() });
        dump.samples
            .push(Probe { record: ProbeRecord { regs: [3735928559; 33], ..zero() }, stack: secret.clone() });
        dump.memory.push(Memory { record: zero(), bytes: secret });
        dump.gaps = 2;
        let tids = dump.threads.iter().map(|t| t.tid).chain([103]);
        let history = History::from_tids(tids);

        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &dump, &make.traces, &history).unwrap();
        let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
        let again = Recording::read(&bytes).unwrap();
        assert_eq!((&again.traces, &again.history), (&make.traces, &history));
        assert_eq!((&again.dump.threads, &again.dump.second), (&dump.threads, &dump.second));
        assert_eq!(again.dump.maps, dump.maps);
        assert_eq!((again.dump.stacks.len(), again.dump.memory.len(), again.dump.gaps), (1, 1, 2));
        assert_eq!(again.analyse(), finding);
        assert_eq!(finding.class, Class::OwnerGone);
        let mut json = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut json).unwrap();
        assert!(
            json.contains("g_foo_locks+160") && !json.contains("165,165") && !json.contains("3735928559"),
            "{json}"
        );
    }

    #[test]
    fn bytes_that_are_no_recording_are_an_error() {
        let error = |bytes: &[u8]| Recording::read(bytes).unwrap_err().to_string();
        assert!(error(b"PK nothing").starts_with("not a recording (invalid gzip header"));
        assert!(error(&gzip("{}")).starts_with("not a recording (missing field `schema`"));
        assert!(error(&gzip(r#"{"schema":1}"#)).starts_with("not a recording (missing field `dump`"));
        insta::assert_snapshot!(error(&gzip(r#"{"schema":9}"#)), @"a recording of schema 9, and this version reads schema 1: use the hangscope that wrote it");
        let whole = gzip(&format!(r#"{{"schema":1,"dump":"{}"}}"#, "x".repeat(1000)));
        assert!(error(&whole[..whole.len() / 2]).starts_with("not a recording ("));
    }
}
