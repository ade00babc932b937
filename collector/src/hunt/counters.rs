//! The counter lane's lines: what an allocator that was built with its counters printed, by prefix into files.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use crate::capture::reason_line;
use crate::profile::Counter;
use crate::store::atomic::{self, WriteError};

/// Lines found for a counter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// Name of the file in OUT.
    pub file: String,
    /// Lines in it.
    pub lines: usize,
}

/// Writes a counter's file: the lines of `outputs`, in their order, that begin with its prefix. If there is none the
/// file says so.
///
/// # Errors
/// [`WriteError`], also where an output cannot be read.
pub fn collect(out: &Path, counter: &Counter, outputs: &[PathBuf]) -> Result<Collected, WriteError> {
    let mut lines = 0;
    atomic::write_with(&out.join(&counter.file), 0o644, |file| {
        for output in outputs {
            lines += copy_lines(output, counter.prefix.as_bytes(), file)?;
        }
        if lines == 0 {
            let what = format!("no line begins with {} in {} files", counter.prefix, outputs.len());
            file.write_all(reason_line(&what).as_bytes())?;
        }
        Ok(())
    })?;
    Ok(Collected { file: counter.file.clone(), lines })
}

fn copy_lines(from: &Path, prefix: &[u8], to: &mut File) -> io::Result<usize> {
    let mut reader = BufReader::new(File::open(from)?);
    let mut lines = 0;
    let mut line = vec![];
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(prefix) {
            if !line.ends_with(b"\n") {
                line.push(b'\n');
            }
            to.write_all(&line)?;
            lines += 1;
        }
        line.clear();
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_by_their_prefix_and_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = ["a.err", "b.err"].map(|name| dir.path().join(name));
        std::fs::write(&outputs[0], "[HZ4_OS_STATS] a=1\nx [HZ4_OS_STATS] no\n[HZ4_OS_STATS_B6] b=2\n")
            .unwrap();
        std::fs::write(&outputs[1], "[HZ4_MID] c\n[HZ4_OS_STATS] a=3").unwrap();
        let counter = |prefix: &str| Counter { prefix: prefix.into(), file: "os_stats.log".into() };
        let read = || std::fs::read_to_string(dir.path().join("os_stats.log")).unwrap();

        let found = collect(dir.path(), &counter("[HZ4_OS_STATS"), &outputs).unwrap();
        assert_eq!(found.lines, 3);
        assert_eq!(read(), "[HZ4_OS_STATS] a=1\n[HZ4_OS_STATS_B6] b=2\n[HZ4_OS_STATS] a=3\n");
        assert_eq!(collect(dir.path(), &counter("[NONE]"), &outputs).unwrap().lines, 0);
        assert_eq!(read(), "# no line begins with [NONE] in 2 files\n");
    }
}
