//! The tables, and how older ones become these.

use std::sync::LazyLock;

use rusqlite_migration::{M, Migrations};

/// `PRAGMA application_id`, at byte 68 of the file: `HSCP`.
pub(super) const APPLICATION: i32 = 0x4853_4350;

/// Version of the newest tables.
pub(super) const VERSION: usize = STEPS.len();

/// How the SQL of the first table begins, in every version.
pub(super) const FIRST_TABLE: &str = "CREATE TABLE job (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,";

/// One step for each version of the schema, the oldest first. A step that was released is never changed.
const STEPS: [&str; 3] = [
    // 1: jobs and runs.
    "CREATE TABLE job (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        node TEXT NOT NULL,
        kernel TEXT NOT NULL,
        out TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL,
        verdict TEXT,
        headline TEXT
     ) STRICT;
     CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        job INTEGER NOT NULL REFERENCES job(id),
        name TEXT NOT NULL,
        arm TEXT NOT NULL,
        allocator TEXT NOT NULL,
        sha1 TEXT,
        build_id TEXT,
        path TEXT NOT NULL,
        lane TEXT NOT NULL,
        label TEXT NOT NULL,
        command TEXT NOT NULL,
        stir TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started REAL NOT NULL,
        seconds REAL NOT NULL,
        outcome TEXT NOT NULL,
        counts INTEGER NOT NULL,
        ops_s REAL,
        max_rss_kib INTEGER,
        rc INTEGER,
        class TEXT,
        bundle TEXT
     ) STRICT;
     CREATE INDEX run_started ON run(started);",
    // 2: hangs are known again by their signature.
    "CREATE TABLE signature (
        id TEXT PRIMARY KEY,
        words TEXT NOT NULL,
        bare INTEGER NOT NULL
     ) STRICT;
     ALTER TABLE run ADD COLUMN signature TEXT REFERENCES signature(id);
     CREATE INDEX run_signature ON run(signature) WHERE signature IS NOT NULL;",
    // 3: the file says whose it is; a job that goes on is known again.
    "PRAGMA application_id = 0x48534350;
     ALTER TABLE job ADD COLUMN series TEXT;",
];

pub(super) static MIGRATIONS: LazyLock<Migrations<'static>> =
    LazyLock::new(|| Migrations::new(STEPS.map(M::up).to_vec()));

#[cfg(test)]
pub(super) fn first(versions: usize) -> Migrations<'static> {
    Migrations::new(STEPS[..versions].iter().map(|step| M::up(step)).collect())
}
