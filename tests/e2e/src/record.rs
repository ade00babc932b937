//! Keeps recordings of hangs with a known truth, for the tests of
//! the analysis. The recordings contain no path of this machine.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use crate::hunt::Hunt;

/// Copies the recording of a hunt. Replaces the workspace's folder by
/// `/hangscope` and the hunt's folder by `/hunt`, and sets the time in the
/// gzip header to 0. The same hang then gives the same file on each machine.
pub fn keep(recording: &Path, to: &Path, hunt: &Hunt) {
    let mut json = String::new();
    GzDecoder::new(File::open(recording).expect("a recording")).read_to_string(&mut json).expect("gzip");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
    for (folder, name) in [(root.as_path(), "/hangscope"), (hunt.dir.path(), "/hunt")] {
        json = json.replace(folder.to_str().expect("text"), name);
    }
    let mut gzip =
        GzBuilder::new().mtime(0).write(File::create(to).expect("a folder to write to"), Compression::best());
    gzip.write_all(json.as_bytes()).and_then(|()| gzip.try_finish()).expect("written");
}
