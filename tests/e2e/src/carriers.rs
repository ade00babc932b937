//! Carriers (`hangscope wrap`).

use std::path::{Path, PathBuf};

use crate::{hangscope, output_parts, run};

/// Makes the carrier `file` in a folder. Returns its path.
pub fn wrap(folder: &Path, file: &str, so: &Path, options: &[&str]) -> PathBuf {
    let carrier = folder.join(file);
    let mut command = hangscope();
    command.arg("wrap").arg("--so").arg(so).arg("-o").arg(&carrier).args(options);
    let (status, stdout, stderr) = output_parts(&run(&mut command));
    assert_eq!((status.as_str(), stderr.as_str()), ("exit status: 0", ""));
    assert_eq!(stdout, format!("{}\n", carrier.display()));
    carrier
}
