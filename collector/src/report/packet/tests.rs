//! Packets as those who take over read them.

use std::fs;
use std::path::Path;

use super::redact::Names;
use super::*;
use crate::analysis::History;
use crate::analysis::list_ring::{ListRing, RingBlock};
use crate::evidence::threads_file::{Excerpt, ThreadsFile};
use crate::evidence::{finding_files, recording};
use crate::hunt::run_files;
use crate::report::{Extra, write_hunt};
use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, hung};

const LOOP: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
const WAITS: &[&str] = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];

/// A hunt whose second run hangs: a holder that loops, and so many threads that wait for it.
fn hunt(out: &Path, waiters: u32, change: impl FnOnce(&mut ThreadsFile)) {
    let mut make = Make::new();
    for tid in 200..200 + waiters {
        // The stacks differ: each is a group of its own.
        let own = format!("caller_{tid}@bench:bench.c:{tid}");
        make.futex(tid, &mutex(LOCK, 103, 0), &[WAITS[0], WAITS[1], &own]);
    }
    make.runs(103, 0.9, LOOP, Sampled::OneCall(20));
    let finding = make.analyse();
    let dump = make.finish();
    let bundle = out.join("hang_run_2");
    fs::create_dir_all(&bundle).unwrap();
    let mut file = finding_files::write(&bundle, &dump, &make.traces, &finding).unwrap();
    change(&mut file);
    finding_files::write_again(&bundle, &file);
    recording::write(&bundle, &dump, &make.traces, &History::default()).unwrap();
    fs::write(bundle.join("environ.txt"), "HZ4_X=1 2\nLD_PRELOAD=/x/hz4.so\n").unwrap();
    fs::write(bundle.join("perf_hot_tid.txt"), "# perf: not permitted (perf_event_paranoid=3)\n").unwrap();
    let facts = Hunt::new(1).push(hung(2, Some(finding))).facts();
    write_hunt(out, &facts, &Extra::default()).unwrap();
    let lines: Vec<String> = facts.runs.iter().map(|run| run_files::object(run).to_string()).collect();
    fs::write(out.join("runs.jsonl"), lines.join("\n") + "\n").unwrap();
}

fn packet(waiters: u32, lang: Lang, change: impl FnOnce(&mut ThreadsFile)) -> String {
    let dir = tempfile::tempdir().unwrap();
    hunt(dir.path(), waiters, change);
    let text = text(&Case::read(dir.path()).unwrap(), lang);
    let name = dir.path().file_name().unwrap().to_string_lossy().into_owned();
    text.replace(&*dir.path().to_string_lossy(), "/OUT").replace(&name, "OUT")
}

fn with_data(file: &mut ThreadsFile) {
    file.excerpts.push(Excerpt {
        file: "/home/alice/hz4/src/foo.c".to_owned(),
        first: 86,
        lines: ["  for (;;) {", "    if (!node) break;", "  }"].map(str::to_owned).to_vec(),
        marked: vec![87],
        newer: false,
    });
    let block = |address: &str, pointed_by: &[&str], freed_by: &[u32]| RingBlock {
        address: address.to_owned(),
        within: Some("heap".to_owned()),
        size: Some(64),
        pointed_by: pointed_by.iter().map(|name| (*name).to_owned()).collect(),
        freed_by: freed_by.to_vec(),
    };
    file.finding.list_ring = Some(ListRing {
        tid: 103,
        function: Some("foo_refill".to_owned()),
        source: Some("foo.c:87".to_owned()),
        nodes: 3,
        next: Some(0),
        head: Some("bin[4].free".to_owned()),
        both_looks: true,
        summary: crate::text::message::Text::of(|lang| match lang {
            Lang::En => "the list is a ring".to_owned(),
            Lang::Ja => "リストが循環している".to_owned(),
        }),
        blocks: vec![block("0x1000", &["g_bins+64"], &[]), block("0x1040", &[], &[103])],
    });
}

#[test]
fn a_packet_has_the_question_the_evidence_and_the_commands() {
    insta::assert_snapshot!("packet", packet(3, Lang::En, with_data));
    insta::assert_snapshot!("packet_ja", packet(3, Lang::Ja, with_data));
}

#[test]
fn a_packet_is_below_its_size_and_whole() {
    for (waiters, long) in [(50, 4_000), (1_000, 40)] {
        let text = packet(waiters, Lang::En, |file| {
            file.notes = vec!["x".repeat(5_000); 200];
            with_data(file);
            for thread in &mut file.threads {
                for frame in &mut thread.frames {
                    frame.function = Some("é".repeat(long));
                }
            }
        });
        assert!(text.len() <= MOST_BYTES, "{} bytes", text.len());
        for heading in ["## The question", "## What was ruled out", "## How to repeat it", "## The files"] {
            assert!(text.contains(heading), "{heading}: {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("```")).count() % 2, 0);
    }
}

#[test]
fn a_bundle_alone_is_a_packet_without_runs() {
    let dir = tempfile::tempdir().unwrap();
    hunt(dir.path(), 2, |_| {});
    fs::remove_file(dir.path().join("verdict.json")).unwrap();
    let case = Case::read(&dir.path().join("hang_run_2")).unwrap();
    let text = text(&case, Lang::En);
    assert!(
        text.contains("There is no hunt beside this hang") && !text.contains("the same runs again"),
        "{text}"
    );
    assert!(text.contains("owner-spinning (proven)") && !text.contains("(runs.jsonl)"), "{text}");
    let error = Case::read(&dir.path().join("none")).err().unwrap().to_string();
    assert!(error.contains("cannot read") && !error.contains('\n'), "{error}");
}

#[test]
fn a_finding_that_is_only_likely_rules_out_less() {
    let text = packet(3, Lang::En, |file| {
        file.finding.confidence = crate::analysis::Confidence::Likely;
        file.finding.threads.truncated_stacks = 1;
        file.threads[0].state_later = None;
    });
    let section = text.split("## What was ruled out").nth(1).unwrap().split("## ").next().unwrap();
    for claim in ["only slow", "The kernel", "A deadlock", "A lost wakeup", "The program"] {
        assert!(!section.contains(claim), "{claim}: {section}");
    }
}

#[test]
fn names_are_taken_out_where_they_are_whole_words() {
    let names = |users: &[&str], hosts: &[&str], homes: &[&str]| Names {
        users: users.iter().map(|name| (*name).to_owned()).collect(),
        hosts: hosts.iter().map(|name| (*name).to_owned()).collect(),
        homes: homes.iter().map(|name| (*name).to_owned()).collect(),
    };
    let all = names(&["al"], &["box.lan", "box"], &["/home/al", "/home/al/x"]);
    let text = "al at box: /home/al/hz4.so, /home/al/x/y, malloc, sandbox, box.lan, /home/alice, al_x";
    assert_eq!(all.redact(text), "USER at HOST: ~/hz4.so, ~/y, malloc, sandbox, HOST, /home/alice, al_x");
    let found = Names::of("run /home/alice/hz4.so and `/home/bob.k/bench`, not /x/home/carol/y");
    assert!(found.users.contains("alice") && found.users.contains("bob.k") && !found.users.contains("carol"));
    assert!(!found.users.contains("root"));
    assert_eq!(names(&[], &[], &[]).redact(text), text);
}
