//! Builds the DSOs and the benchmark for tests. Each test process builds them once, with the profile of the
//! test itself. No test can therefore run a file of an earlier build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Builds the benchmark and returns its path.
pub fn workload() -> PathBuf {
    built().join("hangscope-bench")
}

/// Builds the DSO of this package with the file name `so` and returns its path.
pub fn allocator(so: &str) -> PathBuf {
    built().join("examples").join(so)
}

/// The root folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Builds everything once and returns `target/PROFILE`.
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
        // When cargo runs a test, it sets CARGO to its own path.
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // As scripts/test.sh builds: with other settings all of it would be built again, under the tests that
        // run.
        if std::env::var_os("BUILD_QUICK").is_some_and(|quick| !quick.is_empty()) {
            cargo.args(["--config", "scripts/quick.toml"]);
        }
        let output = cargo
            .args(["build", "--quiet", "--profile", profile, "--bins", "--examples"])
            // The tests do not need the collector. It is here so that each dependency has the same features
            // as in scripts/build.sh, and nothing is built again.
            .args(["-p", "hangscope", "-p", "hangscope-test-workload", "-p", "hangscope-test-allocators"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(workspace())
            .output()
            .unwrap_or_else(|error| panic!("cargo: {error}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the allocators cannot be built:\n{stderr}");
        folder
    })
}

/// The folder `target/PROFILE` of the running test. The test itself is `target/PROFILE/deps/NAME-HASH`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().expect("the test is in a folder");
    match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().expect("deps is in a folder").to_owned(),
        _ => folder.to_owned(),
    }
}
