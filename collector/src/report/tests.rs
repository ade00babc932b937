//! The reports as people and programs read them.

use super::*;
use crate::analysis::Finding;
use crate::analysis::sequential::Until;
use crate::analysis::{
    ArmFacts, Choice, Class, HoldCounts, Integrity, RunFacts, RunOutcome, Stir, StirPlan, Strategy,
};
use crate::console::out::Style;
use crate::console::wrap::columns;
use crate::evidence::finding_files;
use crate::evidence::threads_file::ThreadsFile;
use crate::testkit::dump::{LOCK, LOCK2, MAIN, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, finding, hung, run};
use crate::text::labels::Label;
use crate::text::message::{Say as _, check_templates};

/// All files of a hunt, one after the other.
fn files(facts: &HuntFacts, extra: &Extra) -> String {
    let out = tempfile::tempdir().expect("a folder");
    let conclusion = write_hunt(out.path(), facts, extra).expect("it can be written");
    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).expect("it is there");
    let mut text = terminal::summary(facts, &conclusion, Lang::En);
    for name in ["report.md", "report.ja.md", "verdict.json"] {
        text += &format!("\n======== {name}\n{}", read(name));
    }
    let mut left: Vec<_> =
        std::fs::read_dir(out.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    left.sort();
    assert_eq!(left, ["report.html", "report.ja.md", "report.md", "verdict.json"], "and nothing else");
    text
}

#[test]
fn none_of_50() {
    insta::assert_snapshot!(files(&Hunt::new(50).facts(), &Extra::default()));
}

#[test]
fn one_of_50() {
    let mut facts = Hunt::new(49).push(hung(50, Some(finding(Class::OwnerSpinning)))).facts();
    facts.stop_at_first = false;
    let extra = Extra {
        preload: Some("[STRICT-PRELOAD] verification passed".to_owned()),
        counters: vec![("mid_stats_b1.log".to_owned(), 40)],
        lanes: vec![],
        notes: vec!["perf: not permitted (perf_event_paranoid=3)".said()],
    };
    insta::assert_snapshot!(files(&facts, &extra));
}

#[test]
fn fifty_of_50() {
    let mut hunt = Hunt::new(0);
    for n in 1..=50 {
        hunt = hunt.push(hung(n, Some(finding(if n == 1 { Class::Unknown } else { Class::LostWakeup }))));
    }
    let mut facts = hunt.facts();
    facts.stop_at_first = false;
    insta::assert_snapshot!(files(&facts, &Extra::default()));
}

#[test]
fn one_of_3() {
    let mut facts = Hunt::new(2).push(hung(3, Some(finding(Class::OutsideAllocator)))).facts();
    facts.dso.original_integrity = Integrity::Replaced;
    insta::assert_snapshot!(files(&facts, &Extra::default()));
}

#[test]
fn all_crashed() {
    let mut hunt = Hunt::new(0);
    for n in 1..=50 {
        let mut r = run(n);
        (r.outcome, r.signal, r.rc, r.ops) = (RunOutcome::Crashed, Some(7), Some(135), None);
        r.integrity_end = Integrity::Overwritten;
        hunt = hunt.push(r);
    }
    insta::assert_snapshot!(files(&hunt.facts(), &Extra::default()));
}

#[test]
fn all_failed() {
    let mut hunt = Hunt::new(0);
    for n in 1..=50 {
        let mut r = run(n);
        (r.outcome, r.rc, r.ops, r.hello_seen) = (RunOutcome::Failed, Some(127), None, false);
        (r.integrity_start, r.integrity_end) = (Integrity::Unknown, Integrity::Unknown);
        r.note = Some("it did not start: No such file or directory".said());
        hunt = hunt.push(r);
    }
    insta::assert_snapshot!(files(&hunt.facts(), &Extra::default()));
}

/// A hunt that looked after every run: three rounds of an arm that hangs, until it was decided.
#[test]
fn decided_after_3_rounds() {
    let mut hunt = Hunt::new(3);
    for n in 1..=3 {
        let mut r = hung(n, Some(finding(Class::Runaway)));
        (r.arm, r.integrity_end) = ("overwritten".to_owned(), Integrity::Overwritten);
        hunt = hunt.push(r);
    }
    let mut facts = hunt.facts();
    (facts.stop_at_first, facts.seed, facts.planned) = (false, Some(7), 149);
    facts.until = Until::new(0.02, 0.95);
    facts.arms = [("pinned", None), ("overwritten", Some(Integrity::Overwritten))]
        .map(|(name, change)| ArmFacts {
            name: name.to_owned(),
            change,
            other_build: false,
            path: facts.dso.path.clone(),
            sha1: facts.dso.sha1.clone(),
        })
        .to_vec();
    insta::assert_snapshot!(files(&facts, &Extra::default()));
}

#[test]
fn a_stirred_hunt_says_so_everywhere() {
    let mut facts = Hunt::new(2).push(hung(3, Some(finding(Class::LostWakeup)))).facts();
    let strategy: Strategy = "3".parse().unwrap();
    let plan = StirPlan { choice: Choice::Fixed(strategy), seed: 42 };
    facts.stir = Some(plan);
    facts.runs.iter_mut().for_each(|r| r.stir = Some(plan.of_run(strategy, r.run)));
    let text = files(&facts, &Extra::default());
    let file = VerdictFile::of(&facts, &crate::analysis::conclude(&facts));
    assert_eq!(serde_json::to_value(&file).unwrap()["hangs"][0]["stir"]["seed"], 44);
    let about: Vec<&str> =
        text.lines().filter(|l| l.contains("tir") && l.contains('3') || l.contains("攪乱")).collect();
    insta::assert_snapshot!(about.join("\n"));
    facts.runs.pop();
    assert!(files(&facts, &Extra::default()).contains("at 95 % (under --stir 3)."));
}

#[test]
fn a_hunt_that_chose_its_strategies_has_their_rates() {
    let with = |facts: RunFacts, text: &str| {
        let strategy = text.parse().unwrap();
        RunFacts { stir: Some(Stir { strategy, seed: 6 + facts.run }), ..facts }
    };
    let holds = |n: u32| HoldCounts { long_waits: u64::from(n), ..HoldCounts::default() };
    let mut hunt = Hunt::new(0);
    for number in 1..=4 {
        hunt = hunt.push(with(RunFacts { holds: Some(holds(number / 4)), ..run(number) }, "calls:2"));
    }
    let mut facts = hunt.push(with(hung(5, Some(finding(Class::LostWakeup))), "both:2")).facts();
    facts.stir = Some(StirPlan { choice: Choice::Auto, seed: 7 });
    let about = |text: &str| {
        let lines = text.lines().filter(|l| l.contains("tir") || l.contains("攪乱") || l.starts_with("| "));
        lines.filter(|l| !l.contains("pinned")).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(about(&files(&facts, &Extra::default())));
    let verdict = serde_json::to_value(VerdictFile::of(&facts, &crate::analysis::conclude(&facts))).unwrap();
    insta::assert_snapshot!(format!("{}\n{}", verdict["stir"], verdict["stir_strategies"]));
    facts.until = Until::new(0.02, 0.95);
    assert!(files(&facts, &Extra::default()).contains("the strategies took turns"));
}

#[test]
fn the_fields_of_the_template_are_word_for_word() {
    let facts = Hunt::new(12).push(hung(13, Some(finding(Class::OwnerSpinning)))).facts();
    let conclusion = crate::analysis::conclude(&facts);
    let lines = terminal::short_report(&facts, &conclusion, Lang::Ja);
    let fields = [
        "- 再現回数: `1 / 13`",
        "- 固定SOでの再現有無: `yes`",
        "- `(deleted)` 出現: `no`",
        "- 最上位待機: `futex_wait_queue` 比率 ",
        "- 次アクション: `コード修正`",
    ];
    for (line, field) in lines.iter().zip(fields) {
        assert!(line.starts_with(field), "{line}");
    }
    assert_eq!(lines.len(), fields.len());
}

#[test]
fn every_key_of_the_contract_is_there() {
    let facts = Hunt::new(12).push(hung(13, Some(finding(Class::OwnerSpinning)))).facts();
    let file = VerdictFile::of(&facts, &crate::analysis::conclude(&facts));
    let value = serde_json::to_value(&file).expect("it is JSON");
    let has = |value: &serde_json::Value, keys: &[&str]| {
        for key in keys {
            assert!(value.get(key).is_some(), "no key {key} in {value}");
        }
    };
    has(&value, &["schema", "name", "command", "hang_after_s", "runs", "rate", "dso", "verdict", "letter"]);
    has(&value, &["headline", "next_action", "evidence", "would_change_it", "futex_wait_share", "hangs"]);
    has(&value, &["per_hour", "ops", "stopped", "decision", "arms", "slow"]);
    has(&value["per_hour"], &["hung", "hours", "rate", "low", "high", "confidence", "method"]);
    has(&value["ops"], &["n", "median", "q1", "q3", "mad", "min", "max", "far_outside"]);
    has(&value["runs"], &["planned", "made", "ok", "hung", "slow", "crashed", "failed"]);
    has(&value["rate"], &["hung", "of", "low", "high", "confidence", "method"]);
    has(&value["dso"], &["path", "pinned", "sha1", "build_id", "integrity", "deleted_seen"]);
    let hang = &value["hangs"][0];
    has(hang, &["run", "arm", "pid", "snapshot", "class", "confidence", "lock", "hot", "threads"]);
    has(&hang["lock"], &["address", "symbol", "kind", "owner_tid", "waiters"]);
    has(&hang["hot"], &["tid", "cpu_share", "in_allocator", "function", "source", "samples", "distinct_pcs"]);
    has(&hang["threads"], &["all", "futex_wait", "running", "other", "truncated_stacks"]);
    assert_eq!((value["rate"]["low"].as_f64(), value["rate"]["high"].as_f64()), (Some(0.0019), Some(0.3603)));
}

/// 15 threads behind a holder that loops, one of them with a lock of its own that another wants.
fn snapshot() -> (Make, Finding) {
    let waits = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let spin = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    for tid in 101..116 {
        make.futex(tid, &mutex(LOCK, 116, 0), waits);
    }
    make.futex(117, &mutex(LOCK2, 101, 0), waits).runs(116, 0.95, spin, Sampled::OneCall(20));
    make.runs(118, 0.9, &[], Sampled::Never);
    let finding = make.analyse();
    (make, finding)
}

#[test]
fn a_snapshot_as_files_and_on_a_terminal() {
    let (mut make, finding) = snapshot();
    let dump = make.finish();
    let dir = tempfile::tempdir().expect("a folder");
    finding_files::write(dir.path(), &dump, &make.traces, &finding).expect("it can be written");
    let text = std::fs::read_to_string(dir.path().join("stacks.txt")).expect("it is there");
    insta::assert_snapshot!("stacks", text);
    let style = Style { width: 100, colour: false, lang: Lang::En };
    let shown = show(dir.path(), style, Stacks::All).expect("it can be shown");
    insta::assert_snapshot!("show", shown);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "it fits");
    assert!(!shown.contains('\x1b'));
    let coloured = show(dir.path(), Style { colour: true, ..style }, Stacks::All).expect("it can be shown");
    let plain: String =
        coloured.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[2m", "");
    assert_eq!(plain, shown, "colour adds nothing but colour");
    assert_ne!(coloured, shown);
    let japanese = show(dir.path(), Style { lang: Lang::Ja, ..style }, Stacks::All).expect("it can be shown");
    insta::assert_snapshot!("show_ja", japanese);
    assert!(japanese.lines().all(|line| columns(line) <= 100), "it fits");
    let prose = english(&japanese);
    assert!(prose.is_empty(), "English in Japanese: {prose:#?}");
}

#[test]
fn threads_json_reads_back_as_it_was_written() {
    let (mut make, finding) = snapshot();
    let file = ThreadsFile::of(&make.finish(), &make.traces, &finding);
    assert!(
        file.threads.iter().all(|t| t.tid != crate::testkit::dump::SHIM),
        "the shim's thread is left out"
    );
    let text = serde_json::to_string(&file).expect("it is JSON");
    assert_eq!(serde_json::from_str::<ThreadsFile>(&text).expect("it reads"), file);
    let main = file.threads.iter().find(|t| t.tid == MAIN).expect("the first thread");
    assert_eq!(
        (main.main, main.wchan.as_deref(), main.syscall.as_deref()),
        (true, Some("futex_wait_queue"), Some("futex"))
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&file.threads[1]).expect("it is JSON"), @r#"
    {
      "tid": 101,
      "comm": "bench",
      "main": false,
      "state": "S",
      "state_later": "S",
      "cpu": 0,
      "cpu_s": 1.0,
      "cpu_between_s": 0.0,
      "nvcsw": 50,
      "nivcsw": 0,
      "wchan": "futex_wait_queue",
      "syscall": "futex",
      "args": [
        "0x7f00000000a0",
        "0x80",
        "0x2",
        "0x0",
        "0x0",
        "0x0"
      ],
      "wait": {
        "kind": "pthread-mutex",
        "address": "0x7f00000000a0",
        "symbol": "g_foo_locks+160",
        "owner": 116,
        "detail": "pthread mutex (normal)"
      },
      "stack_from": "blocked",
      "truncated": false,
      "problem": null,
      "samples": 0,
      "frames": [
        {
          "pc": "0x472cb0",
          "function": "pthread_mutex_lock",
          "offset": null,
          "file": null,
          "line": null,
          "dso": "/lib/x86_64-linux-gnu/libc.so.6",
          "dso_offset": null,
          "inlined": false,
          "in_allocator": false
        },
        {
          "pc": "0x47ccf0",
          "function": "foo_malloc",
          "offset": null,
          "file": "/src/foo.c",
          "line": 85,
          "dso": "/opt/libfoo.so",
          "dso_offset": null,
          "inlined": false,
          "in_allocator": true
        },
        {
          "pc": "0x424e10",
          "function": "worker",
          "offset": null,
          "file": "/src/bench.c",
          "line": 40,
          "dso": "/opt/bench",
          "dso_offset": null,
          "inlined": false,
          "in_allocator": false
        },
        {
          "pc": "0x451040",
          "function": "start_thread",
          "offset": null,
          "file": null,
          "line": null,
          "dso": "/lib/x86_64-linux-gnu/libc.so.6",
          "dso_offset": null,
          "inlined": false,
          "in_allocator": false
        },
        {
          "pc": "0x47d8c0",
          "function": "clone3",
          "offset": null,
          "file": null,
          "line": null,
          "dso": "/lib/x86_64-linux-gnu/libc.so.6",
          "dso_offset": null,
          "inlined": false,
          "in_allocator": false
        }
      ]
    }
    "#);
}

#[test]
fn a_ring_is_shown_as_one() {
    let waits = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), waits).futex(102, &mutex(LOCK2, 101, 0), waits);
    make.futex(103, &mutex(LOCK, 102, 0), waits).futex(104, &mutex(LOCK2 + 64, 77, 0), waits).gone(77);
    let finding = make.analyse();
    let file = ThreadsFile::of(&make.finish(), &make.traces, &finding);
    let lines = tree::lines(&file);
    let text: Vec<String> =
        lines.iter().map(|l| format!("{}{}", "  ".repeat(l.depth), l.text.en())).collect();
    insta::assert_snapshot!(text.join("\n"), @"
    tid 101 (bench), waits for pthread-mutex g_foo_locks+160 in foo_malloc
      joined by:
        tid 100
      holds pthread-mutex 0x7f00000000e0; 1 thread waits:
        tid 102 (bench) in foo_malloc
          holds pthread-mutex g_foo_locks+160; 2 threads wait:
            tid 101 again: a ring
            tid 103
    tid 77, which has ended
      holds pthread-mutex 0x7f0000000120; 1 thread waits:
        tid 104
    ");
}

#[test]
fn what_cannot_be_shown_is_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let style = Style { width: 80, colour: false, lang: Lang::En };
    let error = show(dir.path(), style, Stacks::All).expect_err("there is nothing").to_string();
    assert!(error.contains("give OUT of a hunt") && !error.contains('\n'));
    std::fs::write(dir.path().join("threads.json"), "{}").expect("a file");
    let error = show(dir.path(), style, Stacks::All).expect_err("it is no snapshot").to_string();
    assert!(error.contains("not written by this version"), "{error}");
    // A hunt whose snapshot is gone is still shown.
    let facts = Hunt::new(2).push(hung(3, None)).facts();
    write_hunt(dir.path(), &facts, &Extra::default()).expect("it can be written");
    assert!(show(dir.path(), style, Stacks::All).expect("it can be shown").contains("hang_run_3"));
}

#[test]
fn labels_are_there_in_both_languages() {
    check_templates(Label::TEMPLATES);
}

/// English prose in a text: so many words of lower case in a row, outside of `code` and of what stands in
/// parentheses.
fn english(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let (mut code, mut depth) = (false, 0);
    for c in text.chars() {
        match c {
            '`' => code = !code,
            '(' => depth += 1,
            ')' => depth = (depth - 1).max(0),
            _ if !code && depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = plain.split(' ').collect();
    let is_word = |w: &&str| w.len() > 1 && w.bytes().all(|b| b.is_ascii_lowercase() || b",.:;".contains(&b));
    words.windows(3).filter(|three| three.iter().all(is_word)).map(|three| three.join(" ")).collect()
}

/// What people read in Japanese is Japanese: a sentence that goes past the messages would be English.
#[test]
fn no_english_sentence_is_in_a_japanese_report() {
    use crate::text::note::Note;
    assert_eq!(english("実行は past its time, and ended").len(), 3);
    let conclusions = |facts: &HuntFacts, extra: &Extra| {
        let conclusion = crate::analysis::conclude(facts);
        markdown::report(facts, &conclusion, extra, &[], Lang::Ja)
    };
    let mut reports = vec![];
    for class in Class::ALL {
        for integrity in Integrity::ALL {
            let mut bad = hung(3, Some(finding(*class)));
            bad.integrity_end = *integrity;
            reports.push(conclusions(&Hunt::new(2).push(bad).facts(), &Extra::default()));
        }
    }
    for (outcome, signal) in
        [(RunOutcome::Failed, None), (RunOutcome::Crashed, Some(9)), (RunOutcome::Slow, None)]
    {
        for (note, _) in Note::one_of_each() {
            let mut r = run(1);
            (r.outcome, r.signal, r.note, r.rc) = (outcome, signal, Some(note.said()), Some(3));
            let extra = Extra { notes: vec![note.said()], ..Extra::default() };
            reports.push(conclusions(&Hunt::new(0).push(r).facts(), &extra));
        }
    }
    let mut no_note = run(1);
    (no_note.outcome, no_note.rc) = (RunOutcome::Failed, Some(3));
    reports.push(conclusions(&Hunt::new(0).push(no_note).push(hung(2, None)).facts(), &Extra::default()));
    let found: Vec<String> = reports
        .iter()
        .flat_map(|report| report.lines())
        .filter(|line| !english(line).is_empty())
        .map(str::to_owned)
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

/// A lane with good runs and two that hung: one was read, one was not.
fn counted() -> crate::analysis::counters::LaneCounters {
    use crate::analysis::counters::{Moment, Ratio, Reading, RunCounters, lane};
    use crate::analysis::run_counters::Printed;
    let printed = |figures: &[(&str, f64)]| {
        let one = |(name, value): &(&str, f64)| Printed {
            tag: "[HZ4_MID_STATS_B1]".to_owned(),
            name: (*name).to_owned(),
            value: *value,
        };
        figures.iter().map(one).collect::<Vec<_>>()
    };
    let read = |moment, figures: &[(&str, f64)]| {
        let values = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Some(Reading { moment, values })
    };
    let mut runs = vec![];
    for (n, calls, lock) in [(1, 1000.0, 31.0), (2, 1010.0, 29.0), (3, 990.0, 40.0)] {
        let figures = [("malloc_calls", calls), ("malloc_lock_path", lock), ("malloc_tls_hit", 0.0)];
        let memory = read(Moment::Exit, &[("malloc_calls", calls), ("malloc_lock_path", lock)]);
        let counters = RunCounters {
            lines: 1,
            printed: printed(&figures),
            memory,
            passed_over: 1,
            ..Default::default()
        };
        runs.push(RunFacts { counters: Some(counters), ..run(n) });
    }
    let memory =
        read(Moment::Dump, &[("malloc_calls", 402.0), ("malloc_lock_path", 401.0), ("free_calls", 0.0)]);
    let counters = RunCounters { memory, missing: vec!["g_x".said()], ..Default::default() };
    runs.push(RunFacts { counters: Some(counters), ..hung(4, None) });
    let counters = RunCounters { not_read: Some("a reason".said()), ..Default::default() };
    runs.push(RunFacts { counters: Some(counters), ..hung(5, None) });
    runs.iter_mut().for_each(|run| run.arm = "stats".to_owned());
    let ratios = [
        Ratio { name: "lock path".into(), of: "malloc_lock_path".into(), to: "malloc_calls".into() },
        Ratio { name: "of frees".into(), of: "malloc_calls".into(), to: "free_calls".into() },
        Ratio { name: "of others".into(), of: "malloc_calls".into(), to: "no_such".into() },
    ];
    lane("stats", &runs.iter().collect::<Vec<_>>(), &ratios).expect("there are counters")
}

#[test]
fn counters_of_good_and_hung_runs() {
    let facts = Hunt::new(3).facts();
    let extra = Extra { lanes: vec![counted()], ..Extra::default() };
    let out = tempfile::tempdir().expect("a folder");
    let conclusion = write_hunt(out.path(), &facts, &extra).expect("it can be written");
    let section = |lang| {
        let page = markdown::report(&facts, &conclusion, &extra, &[], lang);
        let from = page.find(&Label::Counters {}.text(lang)).expect("the section");
        let to = page.find(&Label::Method {}.text(lang)).expect("the next one");
        page[from..to].to_owned()
    };
    let brief = |lang| counters::brief(&extra.lanes, lang);
    insta::assert_snapshot!(
        [section(Lang::En), section(Lang::Ja), brief(Lang::En), brief(Lang::Ja)].concat()
    );
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(out.path().join(name)).expect(name)).expect("JSON")
    };
    let verdict = &read("verdict.json")["counters"][0];
    assert_eq!((&verdict["lane"], &verdict["memory_checked"]), (&"stats".into(), &true.into()));
    assert_eq!(verdict["outside"], serde_json::json!(["malloc_calls", "malloc_lock_path"]));
    assert_eq!(read("counters.json")["lanes"][0]["runs"].as_array().map(Vec::len), Some(5));
}
