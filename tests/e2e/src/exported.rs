//! What other tools and people get of a hang: `hangscope export`, `hangscope packet`.

use std::path::Path;

use serde_json::Value;

use crate::{hangscope, output_parts, pages, run};

fn export(format: &str, path: &Path) -> String {
    let output = run(hangscope().args(["export", "--format", format]).arg(path));
    let (code, stdout, stderr) = output_parts(&output);
    assert!(output.status.success() && stderr.is_empty(), "{format}: {code} {stderr}");
    stdout
}

/// Checks every format of a bundle in which a thread ran: each has all samples.
///
/// # Panics
/// If one of them has not.
pub fn check(bundle: &Path) {
    let threads = std::fs::read_to_string(bundle.join("threads.json")).expect("threads.json");
    let threads: Value = serde_json::from_str(&threads).expect("JSON");
    let all = threads["threads"].as_array().expect("threads");
    let samples: u64 = all.iter().map(|thread| thread["samples"].as_u64().expect("a count")).sum();
    assert!(samples > 100, "{samples} samples");

    let folded = export("folded", bundle);
    // For speedscope itself.
    for format in ["folded", "perf-script", "speedscope"] {
        pages::keep_text(&format!("export.{format}"), &export(format, bundle));
    }
    let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).expect("a count");
    assert_eq!(folded.lines().map(count).sum::<u64>(), samples);
    assert_eq!(export("perf-script", bundle).matches("cpu-clock:u:").count() as u64, samples);
    let speedscope: Value = serde_json::from_str(&export("speedscope", bundle)).expect("JSON");
    let profiles = speedscope["profiles"].as_array().expect("profiles");
    let stacks = |profile: &Value| profile["samples"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!(profiles.iter().map(stacks).sum::<u64>(), samples);
    let firefox: Value = serde_json::from_str(&export("firefox-profiler", bundle)).expect("JSON");
    assert_eq!(firefox["threads"].as_array().map(Vec::len), Some(all.len()));
    assert_eq!(export("csv", bundle).lines().count(), all.len() + 1, "a row for each thread, and the header");
    let lock = threads["finding"]["lock"]["symbol"].as_str().expect("a lock");
    assert!(export("dot", bundle).contains(lock));

    for lang in ["en", "ja"] {
        let output = run(hangscope().args(["packet", "--redact", "--lang", lang]).arg(bundle));
        let (_, packet, stderr) = output_parts(&output);
        assert!(output.status.success() && packet.len() < 60_000, "{lang}: {} bytes, {stderr}", packet.len());
        let culprit = threads["finding"]["hot"]["function"].as_str().expect("a function");
        assert!(packet.contains(lock) && packet.contains(culprit), "{packet}");
        assert!(packet.contains("hangscope hunt --so "), "{packet}");
    }
}
