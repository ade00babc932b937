//! Nights that are made here, and counted here again from what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Kind, Report};
use crate::analysis::signature::Signature;
use crate::analysis::{Class, Finding, Integrity};
use crate::collect::record::{End, SessionRecord};
use crate::console::out::Style;
use crate::evidence::threads_file::ThreadsFile;
use crate::hunt::run_files;
use crate::matrix::SAMPLES_HEADER;
use crate::report::html;
use crate::report::night::file::NightFile;
use crate::report::night::model::Hang;
use crate::report::night::{markdown, terminal};
use crate::testkit::dump::Make;
use crate::testkit::hunt::{Hunt, finding, hung};
use crate::text::message::Lang;

const ALLOCATORS: [&str; 3] = ["hz4", "jemalloc", "mimalloc"];
const LABELS: [&str; 2] = ["main", "rss"];
const STYLE: Style = Style { width: 120, colour: false, lang: Lang::En };

/// `threads.json` of a bundle with this finding.
fn bundle(dir: &Path, finding: &Finding) {
    std::fs::create_dir_all(dir).unwrap();
    let file = ThreadsFile { finding: finding.clone(), ..Make::new().file() };
    std::fs::write(dir.join("threads.json"), serde_json::to_vec(&file).unwrap()).unwrap();
    std::fs::write(dir.join("report.html"), "<!DOCTYPE html>").unwrap();
}

/// A session of such a number: good, but for what its number says.
fn session(number: u32) -> SessionRecord {
    let identity = Make::new().finish().identity;
    let (allocator, label) = (ALLOCATORS[number as usize % 3], LABELS[number as usize / 3 % 2]);
    let started = 1_771_000_000 + u64::from(number) * 30;
    let started = std::time::UNIX_EPOCH + std::time::Duration::from_secs(started);
    let record = SessionRecord {
        label: label.to_owned(),
        command: ["./bench", "16", label].map(str::to_owned).to_vec(),
        allocator: Some(format!("/opt/lib{allocator}.so")),
        sha1: Some(format!("{}{:037x}", ["0a1", "1b2", "2c3"][number as usize % 3], number % 3)),
        started: crate::collect::record::stamp(started),
        ended: Some(crate::collect::record::stamp(started)),
        seconds: 20.0 + f64::from(number % 7),
        end: End::Exit,
        rc: Some(0),
        max_rss_kib: u64::from(10_000 + number * 37 % 1000),
        folded: true,
        ..SessionRecord::new(&identity, 4000 + number, format!("sessions/s_{number}"))
    };
    let by_signal = |signal: i32| SessionRecord {
        end: End::Signal,
        signal: Some(signal),
        rc: Some(128 + signal),
        folded: false,
        ..record.clone()
    };
    match number {
        n if n % 50 == 7 => by_signal(libc::SIGSEGV),
        n if n % 100 == 11 => SessionRecord { rc: Some(3), ..record },
        n if n % 100 == 21 => SessionRecord { slow: Some(true), class: Some(Class::Slow), ..record },
        31 => by_signal(libc::SIGTERM),
        32 => SessionRecord {
            stopped: Some("stuck when it was stopped".to_owned()),
            still_s: Some(41.5),
            ..by_signal(libc::SIGKILL)
        },
        33 => SessionRecord { integrity: Integrity::Overwritten, ..record },
        34 => SessionRecord { end: End::Lost, rc: None, ..record },
        35 => SessionRecord { max_rss_kib: 0, ..record },
        _ => record,
    }
}

/// Hangs, by the number of the session.
const HANGS: [(u32, Class); 5] = [
    (60, Class::OwnerSpinning),
    (120, Class::Deadlock),
    (180, Class::OwnerSpinning),
    (241, Class::OwnerSpinning),
    (300, Class::Deadlock),
];

/// A night: `sessions` sessions with lines, one more that is open, and a torn line at the end. Of two hangs
/// an older version has written the line.
fn collected(out: &Path, sessions: u32) {
    let mut lines = String::new();
    for number in 0..sessions {
        let mut record = session(number);
        if let Some((_, class)) = HANGS.iter().find(|(of, _)| *of == number) {
            let finding = finding(*class);
            bundle(&out.join(&record.folder).join("dump_1"), &finding);
            (record.hung, record.class, record.folded) = (true, Some(*class), false);
            (record.end, record.rc, record.signal) = (End::Signal, Some(137), Some(9));
            record.dump_folders = vec!["dump_1".to_owned()];
            if number < 200 {
                let hang = Hang::of(Some(&finding));
                record.signature = hang.signature.as_ref().map(Signature::id);
                (record.signature_of, record.headline) = (hang.signature, Some(hang.sentence));
            }
        }
        let mut line = serde_json::to_value(&record).unwrap();
        if record.signature.is_none() {
            for key in ["signature", "signature_of", "headline", "slow"] {
                line.as_object_mut().unwrap().remove(key);
            }
        }
        lines += &format!("{line}\n");
    }
    let open = SessionRecord { end: End::Open, rc: None, ended: None, ..session(sessions) };
    std::fs::create_dir_all(out.join(&open.folder)).unwrap();
    let file = serde_json::to_vec(&open).unwrap();
    std::fs::write(out.join(&open.folder).join("session.json"), &file).unwrap();
    std::fs::create_dir_all(out.join("sessions/broken")).unwrap();
    std::fs::write(out.join("sessions/broken/session.json"), "{\"pid\":").unwrap();
    lines += &String::from_utf8_lossy(&file[..file.len() / 2]);
    std::fs::write(out.join("sessions.jsonl"), lines).unwrap();
}

/// A collector that works there, as far as its socket says.
fn at_work(out: &Path) -> std::os::unix::net::UnixListener {
    let socket = out.join("socket");
    let file = serde_json::json!({ "schema": crate::live::model::SCHEMA, "kind": "collect", "pid": 1, "socket": socket });
    std::fs::write(out.join("status.json"), file.to_string()).unwrap();
    std::os::unix::net::UnixListener::bind(&socket).unwrap()
}

fn report(out: &Path) -> Report {
    Report::read(out, &Kind::of(out).unwrap())
}

fn json(report: &Report) -> Value {
    serde_json::to_value(NightFile::of(&report.night)).unwrap()
}

/// The median of an odd or even number of figures, by hand.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        n if n % 2 == 1 => Some(figures[middle]),
        _ => Some((figures[middle - 1] + figures[middle]) / 2.0),
    }
}

#[test]
fn a_night_of_500_sessions_is_what_its_lines_say() {
    let out = tempfile::tempdir().unwrap();
    collected(out.path(), 500);
    let _works = at_work(out.path());
    let made = report(out.path());
    let told = json(&made);

    // Counted from the file, without the code that is tested.
    let text = std::fs::read_to_string(out.path().join("sessions.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(records.len(), 500);
    let mut cells: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
    for record in &records {
        let path = record["allocator"].as_str().unwrap();
        let allocator = path.trim_start_matches("/opt/lib").trim_end_matches(".so").to_owned();
        cells.entry((record["label"].as_str().unwrap().to_owned(), allocator)).or_default().push(record);
    }
    let rows = told["table"].as_array().unwrap();
    assert_eq!((rows.len(), cells.len()), (6, 6));
    let open = session(500);
    for ((label, allocator), of) in &cells {
        let row = rows.iter().find(|row| row["label"] == **label && row["allocator"] == **allocator).unwrap();
        let count = |is: &dyn Fn(&Value) -> bool| of.iter().filter(|record| is(record)).count() as u64;
        let hung = count(&|r| r["hung"] == true);
        let signal = |r: &Value, number: i64| r["hung"] == false && r["signal"] == number;
        let crashed = count(&|r| signal(r, 11));
        let stopped = count(&|r| signal(r, 15) || signal(r, 9));
        let failed = count(&|r| r["rc"] == 3);
        let slow = count(&|r| r["class"] == "slow");
        let lost = count(&|r| r["end"] == "lost");
        let here = open.label == *label && open.allocator.as_ref().unwrap().contains(&**allocator);
        let numbers = [
            ("runs", of.len() as u64 + u64::from(here)),
            ("hung", hung),
            ("crashed", crashed),
            ("failed", failed),
            ("slow", slow),
            ("stopped", stopped),
            ("open", u64::from(here)),
            ("lost", lost),
            ("ok", of.len() as u64 - hung - crashed - failed - slow - stopped - lost),
        ];
        for (key, number) in numbers {
            assert_eq!(row[key], number, "{label} {allocator} {key}");
        }
        let could = of.len() as u64 - crashed - failed - stopped - lost;
        assert_eq!((&row["rate"]["hung"], &row["rate"]["of"]), (&hung.into(), &could.into()));
        if hung == 0 {
            // One-sided: 1 - 0.05^(1/N).
            let high = 1.0 - 0.05_f64.powf(1.0 / could as f64);
            assert!((row["rate"]["high"].as_f64().unwrap() - high).abs() < 1e-9);
        }
        let good = of
            .iter()
            .filter(|r| r["hung"] == false && (r["rc"] == 0 && r["class"] != "slow" || signal(r, 15)));
        let rss: Vec<f64> = good.filter_map(|r| r["max_rss_kib"].as_f64()).filter(|kib| *kib > 0.0).collect();
        let most = rss.iter().copied().fold(0.0, f64::max);
        assert_eq!(row["rss_kib"]["n"], rss.len());
        assert_eq!(
            (row["rss_kib"]["median"].as_f64(), row["rss_kib"]["max"].as_f64()),
            (median(rss), Some(most))
        );
        assert!(row["ops_s"].is_null(), "no session tells it, and it is no 0");
    }
    assert_eq!(
        told["totals"].as_array().unwrap().iter().map(|row| row["runs"].as_u64().unwrap()).sum::<u64>(),
        501
    );
    assert_eq!((&told["runs"], &told["hung"], &told["crashed"]), (&501.into(), &5.into(), &10.into()));

    // Three hangs of one bug, two of another, whoever wrote their lines.
    let bugs = told["signatures"].as_array().unwrap();
    let counts: Vec<u64> = bugs.iter().map(|bug| bug["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 2]);
    for (bug, class) in bugs.iter().zip([Class::OwnerSpinning, Class::Deadlock]) {
        let numbers: Vec<u32> = HANGS.iter().filter(|(_, of)| *of == class).map(|(n, _)| *n).collect();
        let bundles: Vec<String> = numbers.iter().map(|n| format!("sessions/s_{n}/dump_1")).collect();
        let told: Vec<&str> =
            bug["hangs"].as_array().unwrap().iter().map(|h| h["bundles"][0].as_str().unwrap()).collect();
        assert_eq!(told, bundles);
        assert_eq!(
            (&bug["signature"], &bug["bare"]),
            (&Signature::of(&finding(class)).id().into(), &false.into())
        );
        let records: Vec<SessionRecord> = numbers.iter().map(|n| session(*n)).collect();
        let builds: BTreeSet<String> = records.iter().filter_map(|record| record.sha1.clone()).collect();
        assert_eq!(bug["builds"], serde_json::to_value(builds).unwrap());
        let second = |stamp: &str| format!("{}Z", &stamp[..19]);
        assert_eq!(bug["first"], second(&records[0].started));
        assert_eq!(bug["last"], second(&records[records.len() - 1].started));
    }
    let names = |key: &str| -> Vec<&str> {
        told[key].as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect()
    };
    assert_eq!((names("stuck"), names("not_intact")), (vec!["pid 4032"], vec!["pid 4033"]));
    assert_eq!((names("open"), names("lost")), (vec!["pid 4500"], vec!["pid 4034"]));
    let damaged = told["damaged"].as_array().unwrap();
    assert_eq!(
        (&damaged[0]["file"], &damaged[0]["line"], &damaged[0]["error"]),
        (&"sessions.jsonl".into(), &501.into(), &Value::Null)
    );
    assert_eq!(damaged[1]["file"], "sessions/broken/session.json");
    assert_eq!(damaged.len(), 2);

    // The page has the same numbers, and a link to each hang.
    let page = html::night::page(&made.night, Lang::En);
    html::tests::is_harmless(&page);
    for (number, _) in HANGS {
        assert!(page.contains(&format!("href=\"sessions/s_{number}/dump_1/report.html\"")), "{number}");
    }
    for row in rows {
        let cells = ["label", "allocator"].map(|key| row[key].as_str().unwrap());
        let counts = format!("{}/{}", row["rate"]["hung"], row["rate"]["of"]);
        let cells =
            [cells[0], cells[1], &row["runs"].to_string(), &counts].map(|cell| format!("<bdi>{cell}</bdi>"));
        let line =
            page.split("<tr").find(|line| line.contains(&format!("row\">{}</th><td>{}", cells[0], cells[1])));
        assert!(cells.iter().all(|cell| line.unwrap().contains(cell)), "{cells:?}: {line:?}");
    }
    html::tests::keep_page("night_500", &page);
    insta::assert_snapshot!("night_en", named(&markdown::report(&made.night, Lang::En), out.path()));
    insta::assert_snapshot!("night_ja", named(&markdown::report(&made.night, Lang::Ja), out.path()));
    insta::assert_snapshot!("night_terminal", named(&terminal::text(&made.night, STYLE), out.path()));
}

/// Without the name of the test's folder.
fn named(text: &str, out: &Path) -> String {
    text.replace(out.file_name().unwrap().to_str().unwrap(), "night")
}

/// A row of `samples.csv`, as people's scripts read it.
fn row(number: u32) -> String {
    let (allocator, lane) = (ALLOCATORS[number as usize % 3], ["main", "guard"][number as usize / 3 % 2]);
    let phase = if number % 5 == 4 { "rss" } else { "ops" };
    let ops = 1_000_000.0 + f64::from(number * 7919 % 5000) * 10.5;
    let rss = 20_000 + number * 31 % 700;
    let (run, hang) = (number / 6 + 1, HANGS.iter().find(|(of, _)| *of == number));
    match hang {
        Some((_, class)) => format!("{allocator},{lane},{phase},{run},HANG,{class},15.5,,,,hangs/{number}"),
        None if number % 50 == 7 => format!("{allocator},{lane},{phase},{run},CRASH,,0.5,,,139,"),
        None if number % 100 == 11 => format!("{allocator},{lane},{phase},{run},FAIL,,0.5,,,3,"),
        None if number % 100 == 21 => format!("{allocator},{lane},{phase},{run},TIMEOUT,slow,15.0,,,,"),
        None if number == 33 => format!("{allocator},{lane},{phase},{run},OOM,,5.0,,,137,"),
        None => format!("{allocator},{lane},{phase},{run},OK,,1.5,{ops},{rss},0,"),
    }
}

#[test]
fn a_matrix_of_500_rows_is_what_its_rows_say() {
    let out = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..500).map(row).collect();
    let text = format!("{}\n{}\nhz4,main,ops,9", SAMPLES_HEADER, rows.join("\n"));
    std::fs::write(out.path().join("samples.csv"), text).unwrap();
    for (number, class) in HANGS {
        bundle(&out.path().join(format!("hangs/{number}")), &finding(class));
    }
    let made = report(out.path());
    let told = json(&made);
    assert_eq!((&told["source"], &told["runs"], &told["hung"]), (&"matrix".into(), &500.into(), &5.into()));
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split(',').collect()).collect();
    let table = told["table"].as_array().unwrap();
    assert_eq!(table.len(), 6);
    for line in table {
        let of: Vec<&Vec<&str>> =
            rows.iter().filter(|row| line["allocator"] == row[0] && line["label"] == row[1]).collect();
        let count = |status: &str| of.iter().filter(|row| row[4] == status).count();
        let figures = |column: usize, phases: &[&str]| -> Vec<f64> {
            let good = of.iter().filter(|row| row[4] == "OK" && phases.contains(&row[2]));
            good.map(|row| row[column].parse().unwrap()).collect()
        };
        let numbers = [
            ("runs", of.len()),
            ("ok", count("OK")),
            ("hung", count("HANG")),
            ("slow", count("TIMEOUT")),
            ("crashed", count("CRASH") + count("OOM")),
            ("failed", count("FAIL")),
        ];
        for (key, number) in numbers {
            assert_eq!(line[key], number, "{key} of {line}");
        }
        assert_eq!(line["rate"]["of"], count("OK") + count("HANG"));
        let (ops, rss) = (figures(7, &["ops"]), figures(8, &["ops", "rss"]));
        for (key, figures) in [("ops_s", ops), ("rss_kib", rss)] {
            let most = figures.iter().copied().fold(f64::MIN, f64::max);
            assert_eq!(line[key]["n"], figures.len());
            assert_eq!(line[key]["max"].as_f64(), Some(most));
            // The quartiles of type 7, by its definition.
            let mut sorted = figures.clone();
            sorted.sort_by(f64::total_cmp);
            for (part, share) in [("q1", 0.25), ("median", 0.5), ("q3", 0.75)] {
                let at = share * (sorted.len() - 1) as f64;
                let low = sorted[at.floor() as usize];
                let figure = low + (sorted[at.ceil() as usize] - low) * at.fract();
                assert!((line[key][part].as_f64().unwrap() - figure).abs() < 1e-6, "{key} {part}");
            }
            assert!((line[key]["median"].as_f64().unwrap() - median(figures).unwrap()).abs() < 1e-6);
        }
    }
    let counts: Vec<u64> =
        told["signatures"].as_array().unwrap().iter().map(|bug| bug["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 2]);
    assert_eq!((told["no_memory"].as_array().unwrap().len(), &told["damaged"][0]["line"]), (1, &502.into()));
    insta::assert_snapshot!("matrix_terminal", named(&terminal::text(&made.night, STYLE), out.path()));
    std::fs::write(out.path().join("matrix.json"), "{").unwrap();
    let damaged = json(&report(out.path()))["damaged"].clone();
    assert!(damaged.as_array().unwrap().iter().any(|of| of["file"] == "matrix.json"), "{damaged}");
    // Without matrix.toml, the page has only the runs.
    assert_eq!(made.write(out.path()).unwrap(), ["report.html", "report.md", "report.ja.md"]);
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    html::tests::is_harmless(&page);
    assert!(page.contains("href=\"hangs/60/report.html\""));
    html::tests::keep_page("night_of_a_matrix", &page);
}

#[test]
fn a_night_of_5000_sessions_with_a_label_each_has_a_page_of_a_size() {
    let out = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 0..5000 {
        let record = SessionRecord { label: format!("run_{number}"), ..session(number) };
        lines += &(serde_json::to_string(&record).unwrap() + "\n");
    }
    std::fs::write(out.path().join("sessions.jsonl"), lines).unwrap();
    let made = report(out.path());
    let page = html::night::page(&made.night, Lang::En);
    assert!(page.len() < 1_500_000, "{}", page.len());
    let text = terminal::text(&made.night, STYLE);
    // 100 crashes have a row each, and 3 allocators.
    assert!(text.contains("4900 more rows without a hang or a crash"), "{text}");
    assert_eq!(json(&made)["table"].as_array().unwrap().len(), 5000);
    assert!(markdown::report(&made.night, Lang::Ja).len() < 100_000);
}

#[test]
fn forty_hangs_without_a_name_are_one_line_that_says_so() {
    let out = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 0..40 {
        let record = SessionRecord { hung: true, class: Some(Class::Unknown), ..session(number * 100) };
        lines += &(serde_json::to_string(&record).unwrap() + "\n");
    }
    // A line that would lead out of OUT, and one that is none.
    let outside = SessionRecord { folder: "sessions/../../etc".to_owned(), ..session(1) };
    lines += &(serde_json::to_string(&outside).unwrap() + "\nnothing\n\n");
    std::fs::write(out.path().join("sessions.jsonl"), lines).unwrap();
    let made = report(out.path());
    let told = json(&made);
    assert_eq!((&told["signatures"][0]["count"], &told["signatures"][0]["bare"]), (&40.into(), &true.into()));
    assert_eq!(told["damaged"].as_array().unwrap().len(), 2);
    let text = terminal::text(&made.night, STYLE);
    assert!(
        text.contains("40 times: nothing was captured from inside")
            && text.contains("different bugs may stand together"),
        "{text}"
    );
    let japanese = terminal::text(&made.night, Style { lang: Lang::Ja, ..STYLE });
    assert!(
        japanese.contains("40 回: 内側からの記録なし") && japanese.contains("読めない行またはファイル: 2 件"),
        "{japanese}"
    );
}

#[test]
fn a_hunt_is_a_night_by_arm_and_keeps_its_own_report() {
    let out = tempfile::tempdir().unwrap();
    let facts = Hunt::new(4).push(hung(5, Some(finding(Class::OwnerSpinning)))).facts();
    bundle(&out.path().join("hang_run_5"), &finding(Class::OwnerSpinning));
    crate::report::write_hunt(out.path(), &facts, &crate::report::Extra::default()).unwrap();
    let lines: Vec<String> = facts.runs.iter().map(|run| run_files::object(run).to_string()).collect();
    std::fs::write(out.path().join("runs.jsonl"), lines.join("\n") + "\n").unwrap();
    let before = std::fs::read(out.path().join("report.md")).unwrap();
    let made = report(out.path());
    let told = json(&made);
    assert_eq!(
        (&told["source"], &told["table"][0]["label"], &told["table"][0]["rate"]["of"]),
        (&"hunt".into(), &"pinned".into(), &5.into())
    );
    assert_eq!(told["signatures"][0]["hangs"][0]["bundles"][0], "hang_run_5");
    assert_eq!(made.write(out.path()).unwrap(), [""; 0]);
    std::fs::remove_file(out.path().join("report.html")).unwrap();
    assert_eq!(made.write(out.path()).unwrap(), ["report.html"]);
    assert_eq!(std::fs::read(out.path().join("report.md")).unwrap(), before);
}

#[test]
fn what_is_no_night_is_none() {
    let out = tempfile::tempdir().unwrap();
    assert!(Kind::of(out.path()).is_none());
    bundle(out.path(), &finding(Class::Runaway));
    assert!(Kind::of(out.path()).is_none());
    // Somebody's own files.
    std::fs::create_dir(out.path().join("sessions")).unwrap();
    for (file, text) in [
        ("samples.csv", "t,x\n1,2\n"),
        ("runs.jsonl", "{\"a\":1}\n"),
        ("matrix.json", "{}"),
        ("sessions.jsonl", "[]\n"),
    ] {
        std::fs::write(out.path().join(file), text).unwrap();
        assert!(Kind::of(out.path()).is_none(), "{file}");
        std::fs::remove_file(out.path().join(file)).unwrap();
    }
    assert!(Kind::of(out.path()).is_none());
    std::fs::write(out.path().join("sessions.jsonl"), "").unwrap();
    // A collector that has just begun.
    let made = report(out.path());
    assert_eq!(json(&made)["runs"], 0);
    let text = terminal::text(&made.night, STYLE);
    assert!(text.lines().count() == 1 && text.ends_with(": No run is there.\n"), "{text}");
    assert!(!html::night::page(&made.night, Lang::En).contains("badge good"));
}

#[test]
fn a_session_is_open_only_while_somebody_is_there() {
    let out = tempfile::tempdir().unwrap();
    let open = SessionRecord { end: End::Open, rc: None, ended: None, ..session(1) };
    let dir = out.path().join(&open.folder);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("session.json"), serde_json::to_vec(&open).unwrap()).unwrap();
    let count = |key: &str| json(&report(out.path()))[key].as_array().unwrap().len();
    assert_eq!((count("open"), count("lost")), (0, 1));
    let works = at_work(out.path());
    assert_eq!((count("open"), count("lost")), (1, 0));
    drop(works);
    let text = terminal::text(&report(out.path()).night, STYLE);
    assert!(
        text.contains("1 session with an end that is not known") && !text.contains("session still open"),
        "{text}"
    );
    let stat = std::fs::read("/proc/self/stat").unwrap();
    let start_ticks = start_ticks_of(&stat);
    let own = SessionRecord { pid: std::process::id(), start_ticks, ..open };
    std::fs::write(dir.join("session.json"), serde_json::to_vec(&own).unwrap()).unwrap();
    assert_eq!((count("open"), count("lost")), (1, 0));
}

/// Field 22 of `/proc/PID/stat`.
fn start_ticks_of(stat: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(stat);
    text.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap()
}

#[test]
fn a_hunt_without_a_verdict_is_a_night() {
    let out = tempfile::tempdir().unwrap();
    let lines: Vec<String> =
        Hunt::new(3).facts().runs.iter().map(|run| run_files::object(run).to_string()).collect();
    std::fs::write(out.path().join("runs.jsonl"), lines.join("\n") + "\n{\"run\":4,\"se").unwrap();
    let made = report(out.path());
    let told = json(&made);
    assert_eq!(
        (&told["source"], &told["runs"], &told["table"][0]["allocator"]),
        (&"hunt".into(), &3.into(), &Value::Null)
    );
    assert_eq!((&told["damaged"][0]["line"], &told["damaged"][0]["error"]), (&4.into(), &Value::Null));
    assert_eq!(made.write(out.path()).unwrap(), ["report.html", "report.md", "report.ja.md"]);
    // With its verdict a torn line is still named, and is no reason to refuse.
    crate::report::write_hunt(out.path(), &Hunt::new(3).facts(), &crate::report::Extra::default()).unwrap();
    assert_eq!(crate::report::reread::facts(out.path()).unwrap().runs.len(), 3);
    assert_eq!(json(&report(out.path()))["damaged"].as_array().unwrap().len(), 1);
    assert_eq!(report(out.path()).write(out.path()).unwrap(), [""; 0]);
}

#[test]
fn names_are_escaped_in_the_report() {
    let out = tempfile::tempdir().unwrap();
    let label = "`<script>a|b";
    let record =
        SessionRecord { label: label.to_owned(), allocator: Some("/opt/<b>.so".to_owned()), ..session(1) };
    std::fs::write(out.path().join("sessions.jsonl"), serde_json::to_string(&record).unwrap() + "\n")
        .unwrap();
    let text = markdown::report(&report(out.path()).night, Lang::En);
    assert!(text.contains("| '\\<script>a\\|b | \\_b_ |"), "{text}");
}
