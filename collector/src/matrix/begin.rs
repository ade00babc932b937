//! A new matrix, or one that goes on.

use std::path::Path;

use super::config::Matrix;
use super::journal;
use super::state::{self, State};
use super::task::Task;
use super::usage::usage;
use crate::files::atomic;
use crate::files::pin::{PinError, Pinned};
use crate::shard::settings;

/// What there is of the matrix in OUT.
pub(super) struct Begun(Option<State>);

impl Begun {
    /// Looks whether OUT is free, or has the matrix that is to go on. A start that was killed before its
    /// first run leaves nothing that stands in the way.
    pub(super) fn find(task: &Task) -> anyhow::Result<Begun> {
        let (matrix, out) = (&task.matrix, &task.common.out);
        let state = State::load(out).map_err(usage)?;
        let taken = [(journal::FILE, 0), ("samples.csv", 1), ("runs.tsv", 0)];
        let taken = taken.into_iter().find(|(file, head)| has_more_lines(&out.join(file), *head));
        let taken = state.as_ref().map(|_| state::FILE).or(taken.map(|(file, _)| file));
        let out = out.display();
        match (state, taken) {
            (Some(state), _) if task.resume => {
                check_same(matrix, &task.common.out, &state)?;
                Ok(Begun(Some(state)))
            }
            (_, None) => Ok(Begun(None)),
            (_, Some(file)) if task.resume => Err(usage(format!(
                "{out} holds runs ({file}) and no matrix to go on with ({} is missing): give another --out",
                state::FILE
            ))),
            (_, Some(file)) => Err(usage(format!(
                "{out} holds earlier runs ({file}): go on with --resume, or give another --out"
            ))),
        }
    }

    /// The matrix that goes on, with the DSOs that it began with. Otherwise pins all DSOs, before anything
    /// runs.
    pub(super) fn or_new(self, task: &Task) -> anyhow::Result<(State, Vec<Pinned>)> {
        let (matrix, out) = (&task.matrix, &task.common.out);
        if let Begun(Some(state)) = self {
            let pinned = state.pinned(out)?;
            return Ok((state, pinned));
        }
        let pinned = state::pin_all(matrix, out).map_err(|error| match error {
            PinError::Changing { .. } | PinError::Write(_) => anyhow::Error::new(error).context("matrix"),
            _ => usage(error),
        })?;
        state::write_sums(out, &pinned)?;
        atomic::write(&out.join("matrix.toml"), matrix.text.as_bytes())?;
        let state = State::new(&matrix.dir, seed(task), &pinned);
        state.write(out)?;
        Ok((state, pinned))
    }
}

/// The seed of a new matrix. All shards need the same one, and know nothing of each other.
fn seed(task: &Task) -> u64 {
    const MOST: u64 = 1 << 48;
    let Task { matrix, common, .. } = task;
    matrix.seed.unwrap_or_else(|| match common.part {
        Some(_) => settings::seed(&[&matrix.text]) % MOST,
        None => fastrand::u64(..MOST),
    })
}

/// Whether a file has more than so many lines. A last line without its end counts.
fn has_more_lines(path: &Path, lines: usize) -> bool {
    // What cannot be read is left alone, too.
    std::fs::read(path)
        .map_or(path.exists(), |bytes| bytes.split_inclusive(|byte| *byte == b'\n').count() > lines)
}

/// Whether this is the matrix that OUT began with.
fn check_same(matrix: &Matrix, out: &Path, state: &State) -> anyhow::Result<()> {
    if state.dir != matrix.dir {
        return Err(usage(format!(
            "{} is of a matrix in {}, and relative paths are those of its file: begin anew with another --out",
            out.display(),
            state.dir.display()
        )));
    }
    let kept = out.join("matrix.toml");
    match std::fs::read_to_string(&kept) {
        Ok(text) if text == matrix.text => Ok(()),
        Ok(_) => Err(usage(format!(
            "matrix.toml is another one than that of {}: restore it, or begin anew with another --out",
            kept.display()
        ))),
        Err(e) => Err(usage(format!("cannot read {}: {e}", kept.display()))),
    }
}
