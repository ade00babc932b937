//! Lines of a file that grows, however large it is: one line is in memory at a time.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::bounded;

/// Most bytes of a line. A longer one is cut off there.
const MOST_LINE: u64 = 4 << 20;

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// From 1. Of a file that is not read from its beginning: from 1 where reading begins.
    pub(crate) number: u64,
    /// Without the line end.
    pub(crate) bytes: &'a [u8],
    /// Whether it has its line end. Only the last one may have none.
    pub(crate) whole: bool,
}

/// Calls `of` with each line. `last`: only lines that begin within so many bytes at the end of the file are
/// read. Returns the number of bytes before them.
///
/// # Errors
/// The file is not there, is no plain file, or cannot be read.
pub(crate) fn each(path: &Path, last: Option<u64>, mut of: impl FnMut(Line<'_>)) -> io::Result<u64> {
    let mut file = BufReader::new(bounded::open_plain(path)?);
    let mut bytes = vec![];
    let left_out =
        match last.map(|last| file.get_ref().metadata().map(|meta| meta.len().saturating_sub(last))) {
            Some(from) => begin_at(&mut file, from?, &mut bytes)?,
            None => 0,
        };
    for number in 1.. {
        let whole = next(&mut file, &mut bytes)?;
        if bytes.is_empty() && !whole {
            break;
        }
        of(Line { number, bytes: &bytes, whole });
    }
    Ok(left_out)
}

/// Goes to the first line that begins at `from` or behind it. Returns where that is.
fn begin_at(file: &mut BufReader<File>, from: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    if from == 0 {
        return Ok(0);
    }
    // One byte earlier: a line that begins just there is not left out.
    file.seek(SeekFrom::Start(from - 1))?;
    next(file, bytes)?;
    file.stream_position()
}

/// Reads a line. False: the file ended before the end of the line.
fn next(file: &mut BufReader<File>, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    file.by_ref().take(MOST_LINE).read_until(b'\n', bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(true);
    }
    if (bytes.len() as u64) < MOST_LINE {
        return Ok(false);
    }
    // The rest of a line that is too long.
    loop {
        let buffer = file.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (used, over) = (end.map_or(buffer.len(), |at| at + 1), end.is_some() || buffer.is_empty());
        file.consume(used);
        if over {
            return Ok(end.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], last: Option<u64>) -> (u64, Vec<(u64, usize, bool)>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut all = vec![];
        let left_out = each(file.path(), last, |line| all.push((line.number, line.bytes.len(), line.whole)));
        (left_out.unwrap(), all)
    }

    #[test]
    fn each_line_comes_once_and_a_torn_one_says_so() {
        assert_eq!(lines(b"", None), (0, vec![]));
        assert_eq!(lines(b"ab\n\nc", None), (0, vec![(1, 2, true), (2, 0, true), (3, 1, false)]));
        assert_eq!(lines(b"ab\nc\n", None), (0, vec![(1, 2, true), (2, 1, true)]));
    }

    #[test]
    fn only_the_end_of_a_long_file_is_read() {
        assert_eq!(lines(b"aaaa\nbb\nc\n", Some(4)), (8, vec![(1, 1, true)]));
        assert_eq!(lines(b"aaaa\nbb\nc\n", Some(5)), (5, vec![(1, 2, true), (2, 1, true)]));
        assert_eq!(lines(b"aaaa\n", Some(2)), (5, vec![]));
        assert_eq!(lines(b"aaaa\n", Some(100)), (0, vec![(1, 4, true)]));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_off_and_the_next_one_is_found() {
        let long = vec![b'x'; MOST_LINE as usize + 70_000];
        let most = MOST_LINE as usize;
        assert_eq!(lines(&[&long[..], b"\nb\n"].concat(), None), (0, vec![(1, most, true), (2, 1, true)]));
        assert_eq!(lines(&long, None), (0, vec![(1, most, false)]));
    }
}
