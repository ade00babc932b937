//! What is read back.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use serde::Serialize;

use super::error::{StoreError, sql};
use super::model::{Build, Workload};
use super::store::Store;

/// Which runs are asked for. None: all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    pub(crate) allocator: Option<String>,
    /// Beginning of a SHA-1 or a build-id.
    pub(crate) build: Option<String>,
    pub(crate) lane: Option<String>,
    pub(crate) label: Option<String>,
    /// Beginning of a signature's id.
    pub(crate) signature: Option<String>,
    /// Seconds since the epoch.
    pub(crate) since: Option<f64>,
}

impl Filter {
    /// A condition, and its values.
    fn sql(&self) -> (String, Vec<Value>) {
        let (mut terms, mut values) = (vec!["1 = 1".to_owned()], vec![]);
        let mut term = |text: &str, value: Option<Value>| {
            if let Some(value) = value {
                values.push(value);
                terms.push(text.replace('?', &format!("?{}", values.len())));
            }
        };
        let text = |of: &Option<String>| of.clone().map(Value::Text);
        term("allocator = ?", text(&self.allocator));
        term("(substr(sha1, 1, length(?)) = ? OR substr(build_id, 1, length(?)) = ?)", text(&self.build));
        term("lane = ?", text(&self.lane));
        term("label = ?", text(&self.label));
        term("substr(signature, 1, length(?)) = ?", text(&self.signature));
        term("run.started >= ?", self.since.map(Value::Real));
        (terms.join(" AND "), values)
    }
}

/// By which times the runs of a build are counted apart, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Period {
    /// All runs of a build together.
    Build,
    Day,
    Week,
    Month,
}

impl Period {
    /// An expression of SQLite's strftime(). A week is named by its Monday.
    fn sql(self) -> &'static str {
        match self {
            Period::Build => "''",
            Period::Day => "strftime('%Y-%m-%d', run.started, 'unixepoch')",
            Period::Week => "strftime('%Y-%m-%d', run.started, 'unixepoch', 'weekday 0', '-6 days')",
            Period::Month => "strftime('%Y-%m', run.started, 'unixepoch')",
        }
    }
}

/// Runs of one build under one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Group {
    pub(crate) build: Build,
    pub(crate) workload: Workload,
    /// `2026-02-13`, `2026-02`; empty: not counted apart.
    pub(crate) period: String,
    /// All runs.
    pub(crate) runs: u32,
    /// Those that say something about how often it hangs.
    pub(crate) counted: u32,
    /// Those of `counted` that hung.
    pub(crate) hung: u32,
    /// Those of `runs` that hung.
    pub(crate) all_hung: u32,
    pub(crate) crashed: u32,
    pub(crate) failed: u32,
    /// Start of the first and of the last run, seconds since the epoch.
    pub(crate) first: f64,
    pub(crate) last: f64,
}

/// All hangs with one signature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SignatureRow {
    /// None: nothing was found out.
    pub(crate) id: Option<String>,
    pub(crate) words: String,
    pub(crate) bare: bool,
    pub(crate) times: u32,
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// SHA-1 and allocator of the first run and of the last.
    pub(crate) first_build: Build,
    pub(crate) last_build: Build,
    /// Nodes on which it came.
    pub(crate) nodes: u32,
}

/// One hang.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HungRun {
    pub(crate) started: f64,
    pub(crate) build: Build,
    pub(crate) workload: Workload,
    pub(crate) class: String,
    pub(crate) signature: Option<String>,
    pub(crate) node: String,
    pub(crate) bundle: String,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Size {
    pub(crate) jobs: u32,
    pub(crate) runs: u32,
    pub(crate) hangs: u32,
    /// Start of the first run; none without runs.
    pub(crate) since: Option<f64>,
}

/// From the column `at` on: allocator, sha1, build_id, path.
fn build(row: &Row<'_>, at: usize) -> rusqlite::Result<Build> {
    Ok(Build {
        name: row.get(at)?,
        sha1: row.get(at + 1)?,
        build_id: row.get(at + 2)?,
        path: row.get(at + 3)?,
    })
}

/// From the column `at` on: lane, label, command, stir.
fn workload(row: &Row<'_>, at: usize) -> rusqlite::Result<Workload> {
    Ok(Workload {
        lane: row.get(at)?,
        label: row.get(at + 1)?,
        command: row.get(at + 2)?,
        stir: row.get(at + 3)?,
    })
}

impl Store {
    fn rows<T>(
        &self,
        text: &str,
        values: Vec<Value>,
        of: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare(text)?;
            statement.query_map(params_from_iter(values), of)?.collect()
        };
        all().map_err(|source| sql(self.path(), source))
    }

    /// # Errors
    /// [`StoreError`]
    pub(crate) fn size(&self) -> Result<Size, StoreError> {
        let text = "SELECT (SELECT count(*) FROM job), count(*), count(class), min(started) FROM run";
        let row = self.connection.query_row(text, [], |row| {
            Ok(Size { jobs: row.get(0)?, runs: row.get(1)?, hangs: row.get(2)?, since: row.get(3)? })
        });
        row.map_err(|source| sql(self.path(), source))
    }

    /// The runs of each build under each workload, by allocator, workload and first run.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn groups(&self, filter: &Filter, period: Period) -> Result<Vec<Group>, StoreError> {
        let (condition, values) = filter.sql();
        let text = format!(
            "SELECT allocator, sha1, min(build_id), min(path), lane, label, command, stir, {} AS period, count(*), \
             sum(counts), sum(counts AND outcome = 'hung'), sum(outcome = 'crashed'), sum(outcome = 'failed'), \
             min(run.started), max(run.started), sum(outcome = 'hung') FROM run WHERE {condition} \
             GROUP BY allocator, sha1, lane, label, command, stir, period \
             ORDER BY allocator, lane, label, command, stir, min(run.started)",
            period.sql()
        );
        self.rows(&text, values, |row| {
            Ok(Group {
                build: build(row, 0)?,
                workload: workload(row, 4)?,
                period: row.get(8)?,
                runs: row.get(9)?,
                counted: row.get(10)?,
                hung: row.get(11)?,
                crashed: row.get(12)?,
                failed: row.get(13)?,
                first: row.get(14)?,
                last: row.get(15)?,
                all_hung: row.get(16)?,
            })
        })
    }

    /// The signatures, the most frequent first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn signatures(&self, filter: &Filter) -> Result<Vec<SignatureRow>, StoreError> {
        let (condition, values) = filter.sql();
        // The columns of an extreme row: the first and the last run of each.
        let text = format!(
            "WITH hung AS (
               SELECT run.*, job.node AS node, row_number() OVER (PARTITION BY signature, class_alone ORDER BY run.started) AS up,
                 row_number() OVER (PARTITION BY signature, class_alone ORDER BY run.started DESC) AS down
               FROM (SELECT *, CASE WHEN signature IS NULL THEN class END AS class_alone FROM run
                     WHERE class IS NOT NULL AND {condition}) AS run
               JOIN job ON job.id = run.job)
             SELECT a.signature, coalesce(s.words, a.class), coalesce(s.bare, 1),
               (SELECT count(*) FROM hung c WHERE c.signature IS a.signature AND c.class_alone IS a.class_alone),
               a.started, z.started, a.allocator, a.sha1, a.build_id, a.path, z.allocator, z.sha1, z.build_id, z.path,
               (SELECT count(DISTINCT node) FROM hung c WHERE c.signature IS a.signature AND c.class_alone IS a.class_alone)
             FROM hung a JOIN hung z ON z.signature IS a.signature AND z.class_alone IS a.class_alone AND z.down = 1
             LEFT JOIN signature s ON s.id = a.signature
             WHERE a.up = 1 ORDER BY 4 DESC, a.started"
        );
        self.rows(&text, values, |row| {
            Ok(SignatureRow {
                id: row.get(0)?,
                words: row.get(1)?,
                bare: row.get(2)?,
                times: row.get(3)?,
                first: row.get(4)?,
                last: row.get(5)?,
                first_build: build(row, 6)?,
                last_build: build(row, 10)?,
                nodes: row.get(14)?,
            })
        })
    }

    /// The hangs, the last first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn hangs(&self, filter: &Filter) -> Result<Vec<HungRun>, StoreError> {
        let (condition, values) = filter.sql();
        let text = format!(
            "SELECT run.started, allocator, sha1, build_id, path, lane, label, command, stir, class, signature, job.node, \
             coalesce(bundle, '') FROM run JOIN job ON job.id = run.job WHERE class IS NOT NULL AND {condition} \
             ORDER BY run.started DESC"
        );
        self.rows(&text, values, |row| {
            Ok(HungRun {
                started: row.get(0)?,
                build: build(row, 1)?,
                workload: workload(row, 5)?,
                class: row.get(9)?,
                signature: row.get(10)?,
                node: row.get(11)?,
                bundle: row.get(12)?,
            })
        })
    }
}
