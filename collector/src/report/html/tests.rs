//! Pages from made up dumps and hunts.

use super::bundle::{self, Input};
use super::files::Files;
use super::strip::Kind;
use super::{hunt, matrix, night};
use crate::analysis::hot_loop::{HotLoop, LoopInstruction, LoopRegister, LoopWord, RegisterHow};
use crate::analysis::list_ring::{ListRing, RingBlock};
use crate::analysis::{Class, conclude};
use crate::evidence::threads_file::{Excerpt, ThreadsFile};
use crate::report::Extra;
use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, finding, hung, run};
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
fn keep(name: &str, page: &str, file: &ThreadsFile) {
    let Some(to) = std::env::var_os("KEEP_PAGES_IN") else { return };
    let to = std::path::Path::new(&to);
    std::fs::create_dir_all(to).unwrap();
    std::fs::write(to.join(format!("{name}.html")), page).unwrap();
    std::fs::write(to.join(format!("{name}.json")), serde_json::to_vec(file).unwrap()).unwrap();
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
fn is_harmless(page: &str) {
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
    let hang = matrix::Hang {
        run: "main ops hz4 2".said(),
        class: "deadlock".to_owned(),
        what: "`x`".said(),
        bundle: "hangs/ops_hz4_2".to_owned(),
    };
    let page = matrix::page(&matrix::Matrix {
        name: "night".to_owned(),
        lang: Lang::En,
        headline: "1 of 10 hung".said(),
        cells: vec![cell],
        hangs: vec![hang],
        remarks: vec![("Other ends".said(), vec!["x".said()])],
        method: vec!["y".said()],
        meta: vec![("kernel".to_owned(), "6.1".to_owned())],
    });
    is_harmless(&page);
    assert!(page.contains("href=\"hangs/ops_hz4_2/report.html\"") && page.contains("&lt;b&gt;hz4"));
    assert!(page.contains("<polyline") && page.contains("class=\"band\""));
    let of = run(1);
    let session = |n: u32, kind| night::Session {
        folder: format!("sessions/x_{n}"),
        pid: n,
        group: "bench".to_owned(),
        command: "./bench <x>".to_owned(),
        started: "2026-01-01T00:00:00.000Z".to_owned(),
        at: f64::from(n),
        seconds: of.seconds,
        kind,
        class: Some("deadlock".to_owned()),
        end: "exit 0".to_owned(),
        integrity: of.integrity().said(),
        pages: vec![format!("sessions/x_{n}/dump_1")],
    };
    let sessions = vec![session(1, Kind::Ok), session(2, Kind::Hung)];
    let page = night::page(&night::Night { name: "night".to_owned(), lang: Lang::Ja, sessions });
    is_harmless(&page);
    assert!(
        page.contains("1 of 2 sessions hung.") && page.contains("href=\"sessions/x_2/dump_1/report.html\"")
    );
}
