//! Lists that are rings, a list that ends, and a loop that counts: each gives the right sentence, or none.

use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::pages;
use serde_json::Value;

const PROFILE: &str = "name = 'rings'\n\
    [[list]]\nhead = 'g_ring_bins'\nstride = 16\noffset = 8\nnext = 8\nsizes = [8, 8, 8, 8, 32]\n";

/// A hunt of one run of `librings.so`: its finding, its headline, and `loop.txt`.
fn hunted(kind: &str, profile: Option<&str>) -> (Value, String, String) {
    let so = hangscope_test_e2e::built("examples/librings.so");
    let command = bench_with(&["2", "200000", "100", "16", "4096", "50", "1024"]);
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rings.toml");
    let mut options =
        vec!["--name", "rings", "--runs", "1", "--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    if let Some(profile) = profile {
        std::fs::write(&path, profile).expect("a profile");
        options.extend(["--profile", path.to_str().expect("text")]);
    }
    let hunt = Hunt::new(&so, &options, &[("RING", kind)], &command);
    let verdict = hunt.verdict();
    let folder = verdict["hangs"][0]["snapshot"].as_str().unwrap_or_else(|| panic!("{}", hunt.outputs()));
    let threads: Value = serde_json::from_str(&hunt.text(&format!("{folder}/threads.json"))).expect("JSON");
    let text = hunt.text(&format!("{folder}/loop.txt"));
    pages::keep(&format!("ring_{kind}"), &hunt.out().join(folder));
    let size = std::fs::metadata(hunt.out().join(folder).join("dump_outside.bin")).map_or(0, |m| m.len());
    assert!(size < 200_000, "the blocks of a list are not kept: {size} bytes");
    (threads["finding"].clone(), verdict["headline"].as_str().expect("text").to_owned(), text)
}

/// A ring of so many blocks at the list of the fifth bin.
fn is_ring(kind: &str, nodes: u64) {
    let of = if nodes == 1 { "1 block".to_owned() } else { format!("{nodes} blocks") };
    for profile in [None, Some(PROFILE)].into_iter().take(if nodes == 3 { 2 } else { 1 }) {
        let (finding, headline, text) = hunted(kind, profile);
        let ring = &finding["list_ring"];
        assert_eq!(ring["nodes"], nodes, "{finding}");
        assert_eq!((&ring["next"], &ring["both_looks"]), (&8.into(), &true.into()), "{ring}");
        assert_eq!(ring["function"], "rings_walk");
        // Without a profile, the one variable that points into the ring is its head.
        let head = if profile.is_some() { "g_ring_bins[4]+8" } else { "g_ring_bins+72" };
        assert_eq!(ring["head"], head);
        assert_eq!(ring["blocks"][0]["size"], if profile.is_some() { 32.into() } else { Value::Null });
        assert_eq!(ring["blocks"][0]["pointed_by"][0], "g_ring_bins+72");
        let first = ring["blocks"][0]["address"].as_str().expect("an address");
        let summary = ring["summary"]["en"].as_str().expect("a sentence");
        let begins = format!("the list at `{head}` is a ring of {of}, next at +8: {first} -> ");
        assert!(summary.starts_with(&begins) && summary.ends_with(&format!(" -> {first}")), "{summary}");
        assert!(headline.contains(&format!("walking a ring of {of} in `rings_walk`")), "{headline}");
        assert!(text.contains(&format!("walks a list that is a ring of {of}")), "{text}");
        assert_eq!((&finding["cause"], &finding["confidence"]), (&"list-ring".into(), &"likely".into()));
    }
}

/// No ring, and a loop of `function`.
fn is_none(kind: &str, function: &str) -> Value {
    let (finding, headline, text) = hunted(kind, Some(PROFILE));
    assert_eq!((&finding["list_ring"], &finding["cause"]), (&Value::Null, &Value::Null), "{finding}");
    assert!(!headline.contains("ring of") && !text.contains("ring of"), "{headline}\n{text}");
    assert_eq!(finding["hot_loop"]["function"], function, "{text}");
    finding
}

#[test]
fn a_block_that_links_to_itself() {
    is_ring("1", 1);
}

#[test]
fn a_ring_of_three_blocks() {
    is_ring("2", 3);
}

#[test]
fn a_ring_of_five_thousand_blocks() {
    is_ring("3", 5000);
}

#[test]
fn a_list_that_ends_is_no_ring() {
    let finding = is_none("4", "rings_walk");
    let says = finding["hot_loop"]["summary"]["en"].as_str().expect("a sentence");
    assert!(says.ends_with("walks a list, which ends"), "{says}");
}

#[test]
fn a_loop_that_counts_is_no_ring() {
    let finding = is_none("5", "rings_count");
    let registers = finding["hot_loop"]["registers"].as_array().expect("registers");
    assert!(registers.iter().any(|register| register["how"] == "counting"), "{registers:?}");
    let says = finding["hot_loop"]["summary"]["en"].as_str().expect("a sentence");
    assert!(says.contains("compares it with 0"), "{says}");
}
