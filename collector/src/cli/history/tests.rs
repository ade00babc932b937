//! What is shown of a history that is made here.

use clap::Parser as _;

use super::*;
use crate::history::RunRow;
use crate::history::model::{Build, HangRow};

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

/// Ten runs of each of three builds, one a day. Some of the second and the third hung.
fn shown(options: &[&str]) -> (String, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.db");
    let (mut store, _) = Store::open(&file).unwrap();
    let job = JobRow::now("hunt", "hz4", Path::new("/out"));
    let number = store.begin_job(&job).unwrap();
    let rows = (0..30).map(|day| {
        let hung = day >= 10 && day % 2 == 0;
        RunRow {
            build: Build { name: "hz4".into(), sha1: Some(format!("build{}", day / 10)), ..Build::default() },
            pid: day,
            started: 1_770_076_800.0 + 86400.0 * f64::from(day),
            outcome: if hung { "hung" } else { "ok" }.into(),
            counts: true,
            hang: hung.then(|| HangRow { signature: Some("abcd".into()), ..HangRow::default() }),
            ..RunRow::default()
        }
    });
    store.add(number, "n", &rows.collect::<Vec<_>>()).unwrap();
    drop(store);
    let args = Command::parse_from([&["history"], options].concat()).args;
    let shown = Shown::read(&Store::open_to_read(&file).unwrap(), &filter(&args).unwrap(), &args).unwrap();
    (shown.text(&file, false, Lang::En), shown.json(&file))
}

#[test]
fn a_change_is_said_of_the_runs_that_were_asked_for() {
    let (text, json) = shown(&[]);
    assert!(text.contains("  the first build that hung in a run that counts is build1"), "{text}");
    assert_eq!(json["trends"][0]["change"]["hung"], 1);
    let (text, _) = shown(&["--since", "2026-02-06"]);
    assert!(text.contains("  of the runs since 2026-02-06: the first build that hung"), "{text}");
}

#[test]
fn hangs_alone_have_no_rate() {
    let (text, json) = shown(&["--signature", "ab"]);
    assert_eq!((&json["trends"], json["hangs"].as_array().map(Vec::len)), (&json!([]), Some(10)));
    assert!(text.contains("abcd") && !text.contains("no run matches"), "{text}");
    let (text, _) = shown(&["--signature", "cd"]);
    assert!(text.contains("no run matches"), "{text}");
}
