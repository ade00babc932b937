//! `runs.tsv`, `runs.jsonl` and `progress.log`. A run's line is written when the run ends, so a hunt that is
//! killed leaves whole lines of the runs that it made. The lines of runs side by side are sorted at the end.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::analysis::{RunFacts, RunOutcome};
use crate::files::atomic::{self, Lines, WriteError};
use crate::files::folder;

/// Header of `runs.tsv`.
pub(crate) const HEADER: &str = "run\trc_or_hang\thung\tops";

/// A run's row in `runs.tsv`; none for an interrupted run.
pub(crate) fn row(run: &RunFacts) -> Option<String> {
    let ops = |ops: Option<f64>| ops.map_or("nan".to_owned(), |ops| ops.to_string());
    let rc = || run.rc.map_or("nan".to_owned(), |rc| rc.to_string());
    match run.outcome {
        RunOutcome::Interrupted => None,
        RunOutcome::Hung => Some(format!("{}\tHANG\t1\tnan", run.run)),
        RunOutcome::Slow if run.left_behind > 0 => Some(format!("{}\tDAEMON\t0\tnan", run.run)),
        RunOutcome::Slow if run.ops.is_none() => Some(format!("{}\tSLOW\t0\tnan", run.run)),
        _ => Some(format!("{}\t{}\t0\t{}", run.run, rc(), ops(run.ops))),
    }
}

/// A run's object in `runs.jsonl`: its facts; for a hang also its bundle and its class.
pub(crate) fn object(run: &RunFacts) -> Value {
    let mut object = serde_json::to_value(run).unwrap_or_else(|_| json!({}));
    if let Some(fields) = object.as_object_mut() {
        // Several hundred figures. They are in counters.json.
        fields.remove("counters");
        let class = run.hang.as_ref().and_then(|h| h.finding.as_ref()).map(|f| f.class.as_str());
        let hang = run.hang.as_ref().map(|h| json!({ "snapshot": h.snapshot, "dump_ms": h.dump_ms }));
        fields.insert("hang".to_owned(), hang.unwrap_or(Value::Null));
        fields.insert("class".to_owned(), json!(class));
    }
    object
}

#[derive(Debug)]
pub(crate) struct RunFiles {
    tsv: Lines,
    /// `arms/NAME/runs.tsv` of the other arms.
    arms: BTreeMap<String, Lines>,
    jsonl: Lines,
    progress: Lines,
}

/// Why the files could not be begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Taken {
    #[error("{} holds an earlier hunt (runs.tsv): give another --out, or move it away", .0.display())]
    Earlier(PathBuf),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl RunFiles {
    /// Begins the files in `out`. If two hunts begin in the same folder at the same time, one of them fails.
    pub(crate) fn begin(out: &Path) -> Result<RunFiles, Taken> {
        let path = out.join("runs.tsv");
        folder::open(&path, std::fs::File::options().write(true).create_new(true)).map_err(|source| {
            match source.kind() {
                io::ErrorKind::AlreadyExists => Taken::Earlier(out.to_owned()),
                _ => WriteError { path: path.clone(), source }.into(),
            }
        })?;
        let mut tsv = Lines::open(&path)?;
        tsv.push(HEADER)?;
        let jsonl = Lines::open(&out.join("runs.jsonl"))?;
        Ok(RunFiles { tsv, arms: BTreeMap::new(), jsonl, progress: Lines::open(&out.join("progress.log"))? })
    }

    /// Goes on after an earlier start, whose whole lines these are: the run, and its line in `runs.jsonl`. All
    /// other lines are left out, so that a run that is made again has one.
    pub(crate) fn go_on(out: &Path, made: &[(RunFacts, String)]) -> Result<RunFiles, WriteError> {
        let lines: String = made.iter().map(|(_, line)| line.clone() + "\n").collect();
        atomic::write_text(&out.join("runs.jsonl"), &lines)?;
        atomic::write_text(&out.join("runs.tsv"), &(HEADER.to_owned() + "\n"))?;
        let open = |name: &str| Lines::open(&out.join(name));
        let (tsv, jsonl, progress) = (open("runs.tsv")?, open("runs.jsonl")?, open("progress.log")?);
        Ok(RunFiles { tsv, arms: BTreeMap::new(), jsonl, progress })
    }

    /// Writes the rows of runs of an earlier start. The files of all arms have begun.
    pub(crate) fn rows_of(&mut self, made: &[(RunFacts, String)]) -> Result<(), WriteError> {
        for (run, _) in made {
            let tsv = self.arms.get_mut(&run.arm).unwrap_or(&mut self.tsv);
            row(run).map_or(Ok(()), |row| tsv.push(&row))?;
        }
        Ok(())
    }

    /// Begins the rows of an arm that is not the pinned one. Its folder `arms/NAME/` exists.
    pub(crate) fn arm(&mut self, out: &Path, name: &str) -> Result<(), WriteError> {
        let path = out.join("arms").join(name).join("runs.tsv");
        // An earlier start may have left rows. They are written again.
        atomic::write_text(&path, &(HEADER.to_owned() + "\n"))?;
        let tsv = Lines::open(&path)?;
        self.arms.insert(name.to_owned(), tsv);
        Ok(())
    }

    /// Adds a line to `progress.log`.
    pub(crate) fn progress(&mut self, line: &str) -> Result<(), WriteError> {
        self.progress.push(line)
    }

    /// Adds a run that has ended.
    pub(crate) fn push(&mut self, run: &RunFacts) -> Result<(), WriteError> {
        self.jsonl.push_json(&object(run))?;
        let tsv = self.arms.get_mut(&run.arm).unwrap_or(&mut self.tsv);
        row(run).map_or(Ok(()), |row| tsv.push(&row))
    }

    /// Writes the rows and objects again, in the order of `runs`: those of runs side by side stand in the
    /// order in which these ended. `out` is that of [`RunFiles::begin`], and `runs` are all that were pushed.
    pub(crate) fn sort(&self, out: &Path, runs: &[RunFacts]) -> Result<(), WriteError> {
        let rows = |of: &dyn Fn(&RunFacts) -> bool| {
            let rows = runs.iter().filter(|run| of(run)).filter_map(row);
            std::iter::once(HEADER.to_owned()).chain(rows).map(|row| row + "\n").collect::<String>()
        };
        for arm in self.arms.keys() {
            let path = out.join("arms").join(arm).join("runs.tsv");
            atomic::write_text(&path, &rows(&|run| run.arm == *arm))?;
        }
        atomic::write_text(&out.join("runs.tsv"), &rows(&|run| !self.arms.contains_key(&run.arm)))?;
        let mut lines = String::new();
        for run in runs {
            lines += &self.jsonl.line(&object(run))?;
            lines.push('\n');
        }
        atomic::write_text(&out.join("runs.jsonl"), &lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{HangFacts, Integrity};

    fn facts(run: u32, outcome: RunOutcome, rc: Option<i32>, ops: Option<f64>) -> RunFacts {
        RunFacts {
            pid: Some(8169),
            outcome,
            rc,
            ops,
            started: Some(1771000000.5),
            seconds: 1.25,
            max_rss_kib: Some(2048),
            hello_seen: true,
            integrity_start: Integrity::Intact,
            integrity_end: Integrity::Intact,
            ..RunFacts::new(run, "pinned")
        }
    }

    #[test]
    fn rows_are_what_peoples_scripts_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = RunFiles::begin(dir.path()).unwrap();
        for run in [
            facts(7, RunOutcome::Ok, Some(0), Some(7095204.36)),
            facts(8, RunOutcome::Hung, Some(137), None),
            facts(9, RunOutcome::Crashed, Some(139), None),
            facts(10, RunOutcome::Slow, Some(143), None),
            facts(11, RunOutcome::Slow, Some(0), Some(5e15)),
            facts(12, RunOutcome::Interrupted, Some(143), None),
            RunFacts { left_behind: 1, ..facts(13, RunOutcome::Slow, Some(0), Some(7.0)) },
        ] {
            files.push(&run).unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join("runs.tsv")).unwrap();
        assert_eq!(
            text,
            "run\trc_or_hang\thung\tops\n7\t0\t0\t7095204.36\n8\tHANG\t1\tnan\n9\t139\t0\tnan\n\
             10\tSLOW\t0\tnan\n11\t0\t0\t5000000000000000\n13\tDAEMON\t0\tnan\n"
        );
        std::fs::create_dir_all(dir.path().join("arms/deleted")).unwrap();
        files.arm(dir.path(), "deleted").unwrap();
        files.push(&RunFacts { arm: "deleted".into(), ..facts(1, RunOutcome::Ok, Some(0), None) }).unwrap();
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
        assert_eq!(read("arms/deleted/runs.tsv"), "run\trc_or_hang\thung\tops\n1\t0\t0\tnan\n");
        assert_eq!(read("runs.tsv"), text, "it is the pinned arm's alone");
        assert_eq!(read("runs.jsonl").lines().count(), 8);
        let again = RunFiles::begin(dir.path()).unwrap_err().to_string();
        assert!(
            again.ends_with("holds an earlier hunt (runs.tsv): give another --out, or move it away"),
            "{again}"
        );
    }

    #[test]
    fn a_shard_that_goes_on_keeps_whole_lines_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path();
        let ok = |run| facts(run, RunOutcome::Ok, Some(0), None);
        let broken_off = facts(7, RunOutcome::Interrupted, Some(143), None);
        std::fs::create_dir_all(out.join("arms/deleted")).unwrap();
        let mut files = RunFiles::begin(out).unwrap();
        files.arm(out, "deleted").unwrap();
        let deleted = RunFacts { arm: "deleted".into(), ..ok(3) };
        [ok(3), deleted.clone(), broken_off].iter().for_each(|run| files.push(run).unwrap());
        drop(files);
        let made: Vec<(RunFacts, String)> =
            [ok(3), deleted].map(|run| (run.clone(), object(&run).to_string())).to_vec();
        let mut files = RunFiles::go_on(out, &made).unwrap();
        files.arm(out, "deleted").unwrap();
        files.rows_of(&made).unwrap();
        files.push(&ok(7)).unwrap();
        let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
        assert_eq!(read("runs.tsv"), "run\trc_or_hang\thung\tops\n3\t0\t0\tnan\n7\t0\t0\tnan\n");
        assert_eq!(read("arms/deleted/runs.tsv"), "run\trc_or_hang\thung\tops\n3\t0\t0\tnan\n");
        assert_eq!(read("runs.jsonl").lines().count(), 3);
        assert!(!read("runs.jsonl").contains("interrupted"));
    }

    #[test]
    fn what_ended_in_another_order_is_sorted_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = RunFiles::begin(dir.path()).unwrap();
        std::fs::create_dir_all(dir.path().join("arms/deleted")).unwrap();
        files.arm(dir.path(), "deleted").unwrap();
        let of_arm = |run: RunFacts| RunFacts { arm: "deleted".into(), ..run };
        let ok = |run| facts(run, RunOutcome::Ok, Some(0), None);
        let sorted =
            [ok(1), of_arm(ok(1)), of_arm(ok(2)), ok(2), facts(3, RunOutcome::Interrupted, None, None)];
        for at in [3, 1, 4, 0, 2] {
            files.push(&sorted[at]).unwrap();
        }
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
        let ended = read("runs.jsonl");
        files.sort(dir.path(), &sorted).unwrap();
        assert_eq!(read("runs.tsv"), "run\trc_or_hang\thung\tops\n1\t0\t0\tnan\n2\t0\t0\tnan\n");
        assert_eq!(read("arms/deleted/runs.tsv"), read("runs.tsv"));
        let lines = sorted.iter().map(|run| object(run).to_string() + "\n").collect::<String>();
        assert_eq!(read("runs.jsonl"), lines);
        assert_ne!(ended, lines);
    }

    #[test]
    fn an_object_has_everything_but_the_whole_finding() {
        let mut run = facts(8, RunOutcome::Hung, Some(137), None);
        run.hang = Some(HangFacts { snapshot: "hang_run_8".into(), finding: None, dump_ms: Some(0.9) });
        insta::assert_snapshot!(object(&run).to_string(), @r#"{"run":8,"arm":"pinned","pid":8169,"outcome":"hung","rc":137,"signal":null,"ops":null,"started":1771000000.5,"seconds":1.25,"max_rss_kib":2048,"hello_seen":true,"judged":null,"integrity_start":"intact","integrity_end":"intact","deleted_seen":false,"stir":null,"note":null,"hang":{"snapshot":"hang_run_8","dump_ms":0.9},"class":null}"#);
    }
}
