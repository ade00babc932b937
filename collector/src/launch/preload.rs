//! Values of LD_PRELOAD, and the paths that they can hold.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A path that LD_PRELOAD cannot hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot be in LD_PRELOAD: {}: it has a {what}, which the loader {reads}; move it, or link to it from a path without",
    path.display()
)]
pub(crate) struct NotPreloadable {
    path: PathBuf,
    what: &'static str,
    reads: &'static str,
}

/// The value of LD_PRELOAD for these files, in order. LD_PRELOAD has no quoting.
///
/// # Errors
/// [`NotPreloadable`] for a path that the loader would split or change.
pub(crate) fn value<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<OsString, NotPreloadable> {
    let mut value = OsString::new();
    for path in files {
        check(path)?;
        if !value.is_empty() {
            value.push(":");
        }
        value.push(path);
    }
    Ok(value)
}

fn check(path: &Path) -> Result<(), NotPreloadable> {
    let bytes = path.as_os_str().as_bytes();
    let (what, reads) = if bytes.contains(&b':') {
        ("colon", "reads as the end of a name")
    } else if bytes.contains(&b' ') {
        ("space", "reads as the end of a name")
    } else if bytes.contains(&b'$') {
        ("dollar sign", "may replace with something else")
    } else if !bytes.contains(&b'/') {
        ("bare name without a slash", "searches in its own folders")
    } else {
        return Ok(());
    };
    Err(NotPreloadable { path: path.to_owned(), what, reads })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_the_loader_would_split_are_refused() {
        let both = [Path::new("/a/libhangscope.so"), Path::new("./hz4.so")];
        assert_eq!(value(both).unwrap(), "/a/libhangscope.so:./hz4.so");
        for bad in ["/a b/x.so", "/a:b/x.so", "/$LIB/x.so", "x.so"] {
            assert!(value([Path::new(bad)]).is_err(), "{bad}");
        }
    }
}
