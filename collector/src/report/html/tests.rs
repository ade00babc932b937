//! Pages from made up dumps and hunts.

use super::bundle::{self, Input};
use super::files::Files;
use super::{hunt, matrix, night};
use crate::analysis::hot_loop::{HotLoop, LoopInstruction, LoopRegister, LoopWord, RegisterHow};
use crate::analysis::list_ring::{ListRing, RingBlock};
use crate::analysis::signature::Signature;
use crate::analysis::{Class, Integrity, conclude};
use crate::evidence::threads_file::{Excerpt, ThreadsFile};
use crate::report::Extra;
use crate::report::night::model::{self, Evidence, Found, Night, Outcome, Run, Source};
use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, finding, hung};
use crate::text::message::{Lang, Say as _};

const WAITS: &[&str] = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
const SPINS: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];

/// A holder that loops, and so many threads that wait for it.
fn looping(waiters: u32) -> ThreadsFile {
    let mut make = Make::new();
    for tid in 0..waiters {
        make.futex(1001 + tid, &mutex(LOCK, 1000, 0), WAITS);
    }
    make.runs(1000, 0.9, SPINS, Sampled::OneCall(50));
    make.file()
}

fn page(file: &ThreadsFile) -> String {
    let files = Files::default();
    let samples = "bench-1000;clone3;worker;foo_malloc;foo_refill 50\n";
    let input =
        Input { file, around: None, samples: Some(samples), files, name: "hang_run_8", lang: Lang::En };
    bundle::page(&input)
}

/// Leaves a page for the check in a browser (`tests/page`), where KEEP_PAGES_IN names a folder.
pub(crate) fn keep_page(name: &str, page: &str) {
    let Some(to) = std::env::var_os("KEEP_PAGES_IN") else { return };
    let to = std::path::Path::new(&to);
    std::fs::create_dir_all(to).unwrap();
    std::fs::write(to.join(format!("{name}.html")), page).unwrap();
}

/// The same for the page of a hang.
fn keep(name: &str, page: &str, file: &ThreadsFile) {
    keep_page(name, page);
    if let Some(to) = std::env::var_os("KEEP_PAGES_IN") {
        let file = serde_json::to_vec(file).unwrap();
        std::fs::write(std::path::Path::new(&to).join(format!("{name}.json")), file).unwrap();
    }
}

/// A loop and a ring, as the analysis describes them. `name` stands wherever a program may put a name.
fn with_details(file: &mut ThreadsFile, name: &str) {
    let instruction = |pc: &str, samples, line| LoopInstruction {
        pc: pc.to_owned(),
        dso_offset: None,
        offset: Some(0x10),
        text: "mov (%rax),%rax".to_owned(),
        samples,
        within: Some(name.to_owned()),
        function: Some(name.to_owned()),
        file: Some(format!("/src/{name}")),
        line: Some(line),
    };
    let register = LoopRegister {
        name: "rax".to_owned(),
        how: RegisterHow::Round,
        values: vec!["0x7f00".to_owned(), "0x7f40".to_owned()],
        points_to: Some(name.to_owned()),
    };
    let word = LoopWord {
        address: "0x7f00".to_owned(),
        symbol: Some(name.to_owned()),
        size: 8,
        values: [Some("0x1".to_owned()), None],
    };
    file.finding.hot_loop = Some(HotLoop {
        tid: 1000,
        function: Some(name.to_owned()),
        source: Some("foo.c:87".to_owned()),
        dso: None,
        samples: 50,
        inside: 50,
        summary: format!("2 instructions, reads {name}").said(),
        instructions: vec![instruction("0x10", 40, 87), instruction("0x14", 10, 88)],
        registers: vec![register],
        words: vec![word],
        with_registers: 50,
        more: 2,
        followed: true,
    });
    let block = |n: u32| RingBlock {
        address: format!("0x7f{n:02}"),
        within: Some(name.to_owned()),
        size: Some(64),
        pointed_by: vec![name.to_owned()],
        freed_by: vec![1000],
    };
    file.finding.list_ring = Some(ListRing {
        tid: 1000,
        function: Some(name.to_owned()),
        source: None,
        nodes: 3,
        next: Some(0),
        head: Some(name.to_owned()),
        both_looks: true,
        summary: format!("the list at {name} is a ring of 3 blocks").said(),
        blocks: (0..3).map(block).collect(),
    });
    file.excerpts = vec![Excerpt {
        file: format!("/src/{name}"),
        first: 86,
        lines: vec![name.to_owned(), "loop {".to_owned(), name.to_owned()],
        marked: vec![87],
        newer: true,
    }];
}

/// What is in a page between its tags, and what is in them.
pub(crate) fn is_harmless(page: &str) {
    for bad in [
        "<script>",
        "<img",
        "onerror=\"",
        "\u{202e}",
        "\x1b",
        "http://",
        "https://",
        " style=",
        "javascript:",
    ] {
        assert!(
            !page.contains(bad),
            "{bad:?}: {}",
            &page[page.find(bad).unwrap().saturating_sub(200)..][..400]
        );
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
}

#[test]
fn a_page_says_the_lock_the_holder_and_the_line() {
    let mut file = looping(15);
    with_details(&mut file, "mid_shelf[4]");
    let page = page(&file);
    is_harmless(&page);
    let head = &page[..page.find("id=\"waits\"").unwrap()];
    for said in ["B: allocator bug", "owner-spinning", "g_foo_locks+160", "tid 1000", "foo.c:87", "15 of 17"]
    {
        assert!(head.contains(said), "{said}: {head}");
    }
    for part in [
        "loop-table",
        "data-graph=\"ring\"",
        "data-nodes=\"3\"",
        "flame-samples",
        "flame-threads",
        "stack-list",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("data-owner=\"1000\"") && page.contains("data-lock=\"0x7f00000000a0\""));
    assert!(page.len() < 120_000, "{}", page.len());
}

#[test]
fn hostile_names_are_text() {
    const NASTY: &str =
        "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\u{202e}\x1b[31m`$(x)`</style></title>";
    let long = "q".repeat(4096);
    for name in [NASTY, &long] {
        let mut file = looping(3);
        with_details(&mut file, name);
        file.exe = name.to_owned();
        file.command = vec![name.to_owned()];
        file.label = name.to_owned();
        file.notes = vec![name.to_owned()];
        for thread in &mut file.threads {
            thread.comm = name.to_owned();
            for frame in &mut thread.frames {
                (frame.function, frame.file, frame.dso) =
                    (Some(name.to_owned()), Some(format!("/{name}")), Some(format!("/{name}")));
            }
            if let Some(wait) = &mut thread.wait {
                (wait.symbol, wait.kind) = (Some(name.to_owned()), name.to_owned());
            }
        }
        for dso in &mut file.dsos {
            dso.path = format!("/{name}");
            dso.reason = name.to_owned();
        }
        let samples = format!("{};{} 5\n", name.replace([';', '\n'], ":"), name.replace(';', ":"));
        let input = Input {
            file: &file,
            around: None,
            samples: Some(&samples),
            files: Files::default(),
            name,
            lang: Lang::Ja,
        };
        let page = bundle::page(&input);
        is_harmless(&page);
        assert!(page.len() < 2_000_000, "{}", page.len());
        keep(if name == NASTY { "hostile_marks" } else { "hostile_long" }, &page, &file);
    }
}

#[test]
fn a_thousand_threads_are_not_too_many() {
    let mut make = Make::new();
    for tid in 0..1000 {
        let lock = LOCK + u64::from(tid % 40) * 64;
        let own = format!("f{tid}@bench:bench.c:{tid}");
        let stack = ["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", &own, "worker@bench:bench.c:40"];
        make.futex(1001 + tid, &mutex(lock, 1000, 0), &stack);
    }
    make.runs(1000, 0.9, SPINS, Sampled::OneCall(50));
    let file = make.file();
    let page = page(&file);
    keep("thousand_threads", &page, &file);
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert_eq!(page.matches("class=\"stack\"").count(), 1002);
}

#[test]
fn a_hunt_has_its_runs_and_its_hangs() {
    let facts = Hunt::new(49).push(hung(50, Some(finding(Class::OwnerSpinning)))).facts();
    let conclusion = conclude(&facts);
    let snapshots = [("hang_run_50".to_owned(), looping(15))];
    let extra = Extra::default();
    let input = hunt::Input {
        facts: &facts,
        conclusion: &conclusion,
        extra: &extra,
        snapshots: &snapshots,
        files: Files::default(),
        name: "out",
        lang: Lang::En,
    };
    let page = hunt::page(&input);
    is_harmless(&page);
    assert!(page.contains("href=\"hang_run_50/report.html\""));
    let strip = page.split("class=\"strip\"").nth(1).unwrap();
    assert_eq!(strip.matches("class=\"ok\"").count(), 49);
    // In the strip; the legend has one more.
    assert_eq!(page.matches("class=\"hung\"").count(), 2);
    assert!(page.contains("<circle") && page.contains("Reproduced"));
}

#[test]
fn a_matrix_and_a_night_are_pages() {
    let cell = matrix::Cell {
        phase: "ops".to_owned(),
        lane: "main".to_owned(),
        allocator: "<b>hz4".to_owned(),
        row: vec!["10 / 10 / 10".said(); 9],
        hung: 1,
        values: (1..=10).map(|n| f64::from(n) * 1e5).collect(),
        spread: crate::analysis::stats::spread(&[1e5, 2e5, 3e5]),
        curves: vec![vec![(0.0, 100.0), (1.0, 200.0)]],
    };
    let signature = Some(Signature::of(&finding(Class::Deadlock)));
    let run = |n: u32, outcome| Run {
        name: format!("pid {n}").said(),
        group: "<i>main".to_owned(),
        allocator: Some("<b>hz4".to_owned()),
        build: Some("ab<c".to_owned()),
        command: "./bench <x>".to_owned(),
        at: Some(f64::from(n)),
        seconds: 1.0,
        outcome,
        end: "exit 0".to_owned(),
        counts: true,
        in_rate: true,
        no_memory: false,
        stuck_s: None,
        ops: Some(1e6),
        rss_kib: Some(4096),
        integrity: Integrity::Deleted,
        class: Some("deadlock".to_owned()),
        hang: (outcome == Outcome::Hung)
            .then(|| model::Hang { signature: signature.clone(), sentence: "`<x>`".said() }),
        evidence: vec![Evidence { folder: "hangs/ops_hz4_2".to_owned(), page: true }],
    };
    let found = |source| Found {
        name: "night".to_owned(),
        source,
        runs: vec![run(1, Outcome::Ok), run(2, Outcome::Hung)],
        damaged: vec![],
        left_out: None,
    };
    let page = matrix::page(&matrix::Matrix {
        name: "night".to_owned(),
        lang: Lang::En,
        headline: "1 of 10 hung".said(),
        cells: vec![cell],
        night: Night::of(found(Source::Matrix)),
        remarks: vec![("Other ends".said(), vec!["x".said()])],
        method: vec!["y".said()],
        meta: vec![("kernel".to_owned(), "6.1".to_owned())],
    });
    is_harmless(&page);
    assert!(page.contains("href=\"hangs/ops_hz4_2/report.html\"") && page.contains("&lt;b&gt;hz4"));
    assert!(page.contains("<polyline") && page.contains("class=\"band\""));
    let page = night::page(&Night::of(found(Source::Sessions)), Lang::Ja);
    is_harmless(&page);
    assert!(page.contains("1 of 2 sessions hung.") && page.contains("href=\"hangs/ops_hz4_2/report.html\""));
    assert!(page.contains("&lt;i&gt;main") && page.contains("&lt;b&gt;hz4") && page.contains("ab&lt;c"));
}
