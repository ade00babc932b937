//! The built DSOs and the benchmark, for tests: built once in each test process, with the profile that the
//! test itself was built with, so that no test runs what an earlier build left.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The benchmark, built.
///
/// # Panics
/// If it cannot be built.
pub fn workload() -> PathBuf {
    built().join("hangscope-bench")
}

/// A DSO of this package by its file name, built.
///
/// # Panics
/// If it cannot be built.
pub fn allocator(so: &str) -> PathBuf {
    built().join("examples").join(so)
}

/// `target/PROFILE`, after the build.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = profile_folder();
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(profile) => profile,
            None => panic!("{}: not a cargo target folder", folder.display()),
        };
        let target = folder.parent().expect("a profile's folder is in the target folder");
        // The cargo that runs the test says which one it is.
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--profile", profile, "--bins", "--examples"])
            // With the collector, which is not needed: so each dependency has the features that it has in scripts/build.sh,
            // and nothing is built again.
            .args(["-p", "hangscope", "-p", "hangscope-test-workload", "-p", "hangscope-test-allocators"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(crate::table::workspace())
            .output()
            .unwrap_or_else(|error| panic!("cargo: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the allocators cannot be built:\n{said}");
        folder
    })
}

/// `target/PROFILE` of the running test, which is `target/PROFILE/deps/NAME-HASH`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().expect("the test is in a folder");
    match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().expect("deps is in a folder").to_owned(),
        _ => folder.to_owned(),
    }
}
