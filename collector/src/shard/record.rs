//! `shard.json`: what a shard leaves for `merge`. It is written before the first run and after the last one,
//! so a shard that was killed has it, too.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::choose::Origin;
use super::machine;
use super::part::Shard;
use super::settings::{self, Settings};
use crate::analysis::shards::{Machine, PartEnd};
use crate::analysis::{DsoFacts, HuntFacts};
use crate::files::atomic::{self, WriteError};
use crate::files::bounded;

/// Name of the file in the folder of the shard.
pub(crate) const FILE: &str = "shard.json";
const SCHEMA: &str = "hangscope/shard/1";

/// What was cut into shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Job {
    Hunt,
    Matrix,
}

/// One start of a shard. A task that was requeued has several, on other machines perhaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    #[serde(flatten)]
    pub(crate) machine: Machine,
    /// Seconds since the epoch.
    pub(crate) started: f64,
    /// None: it was killed, or goes on.
    pub(crate) ended: Option<f64>,
    pub(crate) end: Option<PartEnd>,
}

impl Start {
    /// A start on this machine, now.
    pub(crate) fn here() -> Start {
        Start { machine: machine::here(), started: now(), ended: None, end: None }
    }
}

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    schema: String,
    pub(crate) job: Job,
    #[serde(flatten)]
    pub(crate) shard: Shard,
    /// Option or variable that named the shard.
    pub(crate) from: Origin,
    /// Runs of the whole if nothing hangs: of an arm of a hunt, of all cells of a matrix.
    pub(crate) runs: u32,
    /// Runs of the shard if nothing hangs, of all arms or cells.
    pub(crate) planned: u32,
    /// Runs that were made, as of the end.
    pub(crate) made: u32,
    /// The last start.
    #[serde(flatten)]
    pub(crate) start: Start,
    /// The starts before, the oldest first.
    #[serde(default)]
    pub(crate) earlier: Vec<Start>,
    settings_sha1: String,
    pub(crate) settings: Settings,
    /// Of a hunt: its facts without the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hunt: Option<HuntFacts>,
    /// Of a matrix: its DSOs by allocator, and the seed of its order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) dsos: BTreeMap<String, DsoFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error("there is no {FILE}")]
    Missing,
    #[error("{FILE} cannot be read: {0}")]
    Read(io::Error),
    #[error("{FILE} is damaged: {0}")]
    Damaged(String),
}

impl Record {
    /// A shard that begins now, on this machine, with `planned` of `runs`.
    pub(crate) fn begin(
        job: Job,
        (shard, from): (Shard, Origin),
        (planned, runs): (u32, u32),
        settings: Settings,
    ) -> Record {
        Record {
            schema: SCHEMA.to_owned(),
            job,
            shard,
            from,
            runs,
            planned,
            made: 0,
            start: Start::here(),
            earlier: vec![],
            settings_sha1: settings::digest(&settings),
            settings,
            hunt: None,
            dsos: BTreeMap::new(),
            seed: None,
        }
    }

    /// The same after an earlier start of the same shard.
    pub(crate) fn after(self, before: &Record) -> Record {
        let earlier = before.starts().cloned().collect();
        Record { earlier, made: before.made, ..self }
    }

    /// All starts, the oldest first.
    pub(crate) fn starts(&self) -> impl Iterator<Item = &Start> {
        self.earlier.iter().chain([&self.start])
    }

    /// Equal in all starts of the shard, and in no other shard.
    pub(crate) fn series(&self) -> String {
        let first = self.earlier.first().unwrap_or(&self.start);
        format!("{} {:.6} shard {}", first.machine.node, first.started, self.shard)
    }

    /// Notes the end of this start.
    pub(crate) fn end(&mut self, made: u32, end: PartEnd) {
        (self.made, self.start.ended, self.start.end) = (made, Some(now()), Some(end));
    }

    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), WriteError> {
        atomic::write_json(&folder.join(FILE), self)
    }

    /// The record of the shard in this folder.
    ///
    /// # Errors
    /// There is none, or it is damaged: its settings must have their digest.
    pub(crate) fn read(folder: &Path) -> Result<Record, BadRecord> {
        let bytes = bounded::read(&folder.join(FILE)).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => BadRecord::Missing,
            _ => BadRecord::Read(e),
        })?;
        let damaged = |what: &str| BadRecord::Damaged(what.to_owned());
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| damaged(&e.to_string()))?;
        if record.schema != SCHEMA {
            return Err(damaged("it is of another version"));
        }
        if Shard::new(record.shard.index, record.shard.of).is_none() {
            let Shard { index, of } = record.shard;
            let what = format!("there is no shard {index} of {of}; a job has at most {}", Shard::MOST);
            return Err(damaged(&what));
        }
        if settings::digest(&record.settings) != record.settings_sha1 {
            return Err(damaged("its settings have another digest"));
        }
        Ok(record)
    }
}

/// Seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let settings = Settings::from([("command".to_owned(), "./bench 16".to_owned())]);
        let shard = Shard::new(3, 4).unwrap();
        Record::begin(Job::Hunt, (shard, Origin::Slurm), (12, 50), settings)
    }

    #[test]
    fn a_record_is_read_back_and_has_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let first = record();
        let mut again = record().after(&first);
        again.end(12, PartEnd::AllMade);
        // Numbers that JSON has exactly.
        (again.start.started, again.start.ended, again.earlier[0].started) = (2.5, Some(3.5), 1.5);
        again.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), again);
        assert_eq!(again.starts().count(), 2);
        let third = record().after(&again);
        assert_eq!(third.series(), again.series());
        assert_ne!(record().series(), again.series());
        let value: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(dir.path().join(FILE)).unwrap()).unwrap();
        assert_eq!(value["schema"], "hangscope/shard/1");
        assert_eq!((&value["shard"], &value["shards"]), (&3.into(), &4.into()));
        assert_eq!((&value["from"], &value["end"]), (&"SLURM_ARRAY_TASK_ID".into(), &"all-made".into()));
        for key in ["node", "kernel", "glibc", "cpu", "planned", "made", "started", "ended", "settings_sha1"]
        {
            assert!(!value[key].is_null(), "{key}");
        }
    }

    #[test]
    fn a_damaged_record_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let why = || Record::read(dir.path()).unwrap_err().to_string();
        assert_eq!(why(), "there is no shard.json");
        record().write(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to, word) in [
            ("./bench 16", "./bench 17", "another digest"),
            ("shard/1", "shard/9", "another version"),
            ("\"shard\": 3", "\"shard\": 5", "no shard 5 of 4"),
            (
                "\"shards\": 4,",
                "\"shards\": 4294967295,",
                "no shard 3 of 4294967295; a job has at most 100000",
            ),
        ] {
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
            assert!(why().contains(word), "{}", why());
        }
        for cut in 0..text.trim_end().len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            assert!(why().starts_with("shard.json is damaged"), "{cut}");
        }
    }
}
