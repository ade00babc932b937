//! The screens as text, and keys in the order in which people press them.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{Act, App, End, Key};
use super::look::Look;
use super::{cells, screen};
use crate::analysis::Integrity;
use crate::live::model::{
    Counts, Dump, Ended, Job, Kind, Mark, OneProcess, Process, Run, SCHEMA, Stacks, Status, Threads,
};
use crate::text::message::{Lang, Text};

const PLAIN: Look = Look { lang: Lang::En, colour: false, unicode: false };

fn process(key: u64, label: &str) -> Process {
    Process {
        key,
        pid: 4000 + key as u32,
        run: None,
        label: label.to_owned(),
        command: "./bench 16 2000000 400 16 32768 90 65536".to_owned(),
        allocator: Some("hz4".to_owned()),
        integrity: Integrity::Intact,
        age_s: 7.5,
        hang_after_s: Some(15.0),
        stall_s: None,
        threads: Threads { all: 17, running: 16, sleeping: 1, ..Threads::default() },
        cpu: Some(15.97),
        rss_kib: 123_456,
        rss_history: vec![1000, 40_000, 90_000, 110_000, 120_000, 123_456],
        looks: 6,
        still: 0,
        dumping: false,
        dumps: 0,
        hung: false,
        class: None,
        headline: None,
        bundle: None,
        marks: vec![],
        ended: None,
    }
}

fn hung(key: u64) -> Process {
    let time = "2026-02-13T13:50:55.000Z".to_owned();
    let mark = Mark { time, pid: 4002, run: None, label: String::new(), text: "look here".to_owned() };
    Process {
        integrity: Integrity::Overwritten,
        age_s: 31.2,
        threads: Threads { all: 16, running: 1, futex: 15, ..Threads::default() },
        cpu: Some(1.0),
        still: 0,
        dumps: 1,
        hung: true,
        class: Some("owner-spinning".to_owned()),
        headline: Some(Text::Both {
            en: "15 of 16 workers wait for mutex `g_hz4_mid_sc_locks+160` (hz4_mid_malloc, hz4_mid.c:85), held by tid 8181."
                .to_owned(),
            ja: "16 スレッド中 15 スレッドが mutex `g_hz4_mid_sc_locks+160` (hz4_mid_malloc、hz4_mid.c:85) を待機。保持者は tid 8181。"
                .to_owned(),
        }),
        bundle: Some("/home/user/night/sessions/20260213T135024.000Z_4002/dump_1".to_owned()),
        marks: vec![mark],
        ..process(key, "night hz4 r90")
    }
}

fn dump() -> Dump {
    let stacks = |threads, what: [&str; 2], hot, frames: &[&str]| Stacks {
        threads,
        what: Text::Both { en: what[0].to_owned(), ja: what[1].to_owned() },
        hot,
        frames: frames.iter().map(|frame| (*frame).to_owned()).collect(),
    };
    Dump {
        number: 1,
        since_start_s: 15.0,
        stacks: vec![
            stacks(
                1,
                ["tid 8181 (bench): running", "スレッド 8181 (bench): 実行中"],
                true,
                &[
                    "#0  hz4_mid_sc_lock_acquire (hz4_mid.c:87) in libhakozuna_hz4.so",
                    "#1  hz4_mid_malloc (hz4_mid.c:85) in libhakozuna_hz4.so",
                    "#2  worker (bench.c:120) in bench",
                ],
            ),
            stacks(
                15,
                [
                    "15 threads (8170-8180, 8182-8185): pthread mutex (normal) g_hz4_mid_sc_locks+160, held by tid 8181",
                    "15 スレッド (8170-8180, 8182-8185): pthread の mutex (normal) g_hz4_mid_sc_locks+160 待ち (保持スレッドは tid 8181)",
                ],
                false,
                &[
                    "#0  __lll_lock_wait (lowlevellock.c:49) in libc.so.6",
                    "#1  hz4_mid_malloc (hz4_mid.c:85) in libhakozuna_hz4.so",
                ],
            ),
        ],
        left_out: 0,
    }
}

fn ended(key: u64, ended: Ended) -> Process {
    let threads = Threads { all: 3, disk: 1, other: 2, ..Threads::default() };
    Process {
        ended: Some(ended), age_s: 4.0, threads, cpu: None, ..process(key, "日本語のとても長いラベル")
    }
}

fn status(kind: Kind, processes: Vec<Process>) -> Status {
    let running = match kind {
        Kind::Collect => vec![],
        _ => vec![Run { name: "14".to_owned(), age_s: 12.0, capturing: true }],
    };
    let planned = (kind != Kind::Collect).then_some(50);
    let (low, high) = (0.0019, 0.3603);
    Status {
        schema: SCHEMA.to_owned(),
        job: Job {
            kind,
            name: "hz4".to_owned(),
            out: "/home/user/night".to_owned(),
            pid: 1,
            started: "2026-02-13T13:50:24.000Z".to_owned(),
            age_s: 151.0,
            planned,
            made: 13,
            hung: 1,
            low,
            high,
            running,
        },
        counts: Counts { sessions: 14, open: 2, dropped_frames: 3, ..Counts::default() },
        processes,
        left_out: 0,
    }
}

fn three() -> Status {
    let processes = vec![
        process(1, "night mimalloc r90"),
        hung(2),
        ended(3, Ended { rc: Some(0), ..Ended::default() }),
        Process { dumping: true, hang_after_s: None, allocator: None, ..process(4, "\x1b[2J\u{202e}evil\n") },
    ];
    status(Kind::Collect, processes)
}

/// The screen of a terminal of this size.
fn drawn(app: &mut App, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(app, frame)).unwrap();
    let mut text = String::new();
    for row in terminal.backend().buffer().content().chunks(width.into()) {
        let (mut line, mut at) = (String::new(), 0);
        while let Some(cell) = row.get(at) {
            line.push_str(cell.symbol());
            // The cell behind a wide letter is hidden by it.
            at += cells::width(cell.symbol()).max(1);
        }
        assert_eq!(cells::width(&line), usize::from(width), "{line:?}");
        text += &(line.trim_end().to_owned() + "\n");
    }
    text
}

fn told(look: Look, status: Status) -> App {
    let mut app = App::new(look);
    app.tell(status);
    app
}

const SIZES: [(u16, u16); 2] = [(80, 24), (160, 50)];

#[test]
fn the_table_and_a_process_in_both_sizes_and_languages() {
    for lang in Lang::ALL {
        let look = Look { lang, colour: false, unicode: lang == Lang::Ja };
        for size in SIZES {
            let mut app = told(look, three());
            let table = drawn(&mut app, size);
            app.press(Key::Home);
            assert_eq!(app.press(Key::Enter), Some(Act::Watch(Some(2))));
            let schema = SCHEMA.to_owned();
            app.tell_of(OneProcess { schema, process: Some(hung(2)), dump: Some(dump()) });
            let process = drawn(&mut app, size);
            app.press(Key::Char('?'));
            let help = drawn(&mut app, size);
            let name = format!("{lang:?}_{}x{}", size.0, size.1);
            insta::assert_snapshot!(format!("table_{name}"), table);
            insta::assert_snapshot!(format!("process_{name}"), process);
            if size == SIZES[0] {
                insta::assert_snapshot!(format!("help_{name}"), help);
            }
        }
    }
    let mut hunt = told(PLAIN, status(Kind::Hunt, vec![process(1, "hz4_run_14")]));
    insta::assert_snapshot!("hunt_80x24", drawn(&mut hunt, SIZES[0]));
}

#[test]
fn colour_adds_nothing_that_letters_do_not_say() {
    for size in SIZES {
        let mut plain = told(PLAIN, three());
        let mut coloured = told(Look { colour: true, ..PLAIN }, three());
        assert_eq!(drawn(&mut plain, size), drawn(&mut coloured, size));
    }
    let lines = |colour| screen::lines(&mut told(Look { colour, ..PLAIN }, three()), 80, 24);
    let styled = |colour| {
        let lines = lines(colour);
        let spans = lines.iter().flat_map(|line| line.spans.iter().map(|span| line.style.patch(span.style)));
        spans.filter(|style| *style != ratatui::style::Style::default()).count()
    };
    assert_eq!(styled(false), 0, "not even bold");
    assert!(styled(true) > 10);
}

#[test]
fn no_size_and_no_process_is_too_much() {
    let many =
        (0..5000).map(|key| process(key, &format!("{key} \u{5d0}\u{5d1}{}", "長い".repeat(50)))).collect();
    let mut all = [
        App::new(PLAIN),
        told(PLAIN, status(Kind::Collect, vec![])),
        told(PLAIN, three()),
        told(PLAIN, status(Kind::Matrix, many)),
    ];
    for app in &mut all {
        for keys in [&[Key::End][..], &[Key::Enter], &[Key::Char('?')], &[Key::Home, Key::Escape]] {
            keys.iter().for_each(|key| drop(app.press(*key)));
            for (width, height) in [(1, 1), (2, 3), (10, 4), (19, 8), (40, 10), (80, 24), (400, 120)] {
                drawn(app, (width, height));
            }
        }
    }
}

#[test]
fn the_selection_stays_with_its_process() {
    let mut app = told(PLAIN, three());
    // By state: the hung one, then those that run by age and key, then the one that has ended.
    assert_eq!(app.selected, Some(2));
    app.press(Key::Down);
    assert_eq!(app.selected, Some(1));
    let mut later = three();
    later.processes.insert(0, Process { hung: true, ..process(9, "new") });
    app.tell(later.clone());
    assert_eq!(app.selected, Some(1), "others come and go");
    later.processes.retain(|process| process.key != 1);
    app.tell(later);
    assert_eq!(app.selected, Some(1), "it is gone, and no other takes its place");
    assert_eq!(app.press(Key::Enter), None);
    assert_eq!(app.press(Key::Char('d')), None);
    assert!(drawn(&mut app, (80, 24)).contains("select a process first"));
    app.press(Key::Down);
    assert_eq!(app.selected, Some(4), "the next key goes to the one in its place");
    app.press(Key::Char('s'));
    assert_eq!(app.selected, Some(4));
}

#[test]
fn a_process_that_goes_while_it_is_open_is_told_of() {
    let one = |process: Option<Process>| OneProcess { schema: SCHEMA.to_owned(), process, dump: None };
    let mut app = told(PLAIN, three());
    app.press(Key::Enter);
    app.tell_of(one(Some(process(1, "another"))));
    assert!(drawn(&mut app, (80, 24)).contains("process 4002 "), "an answer about another one is late");
    app.tell_of(one(Some(ended(2, Ended { signal: Some(9), ..Ended::default() }))));
    assert!(drawn(&mut app, (80, 24)).contains("It has ended: SIGKILL."));
    assert_eq!(app.press(Key::Char('d')), None);
    app.tell_of(one(None));
    let screen = drawn(&mut app, (80, 24));
    assert!(screen.contains("not listed any more") && screen.contains("It has ended: SIGKILL."), "{screen}");
    app.ended(End::Killed);
    app.press(Key::Down);
    assert!(drawn(&mut app, (80, 24)).contains("The job was killed."));
    assert_eq!(app.press(Key::Escape), Some(Act::Watch(None)));
    assert_eq!(app.press(Key::Char('q')), Some(Act::Quit));
}

#[test]
fn a_mark_is_typed_and_nothing_in_it_is_a_command() {
    let mut app = told(PLAIN, three());
    app.press(Key::Char('m'));
    for key in "qd? x\x1b".chars().map(Key::Char).chain([Key::Backspace, Key::Char('y'), Key::Up]) {
        assert_eq!(app.press(key), None);
    }
    assert!(drawn(&mut app, (80, 24)).contains("mark 4002: qd? y_"));
    assert_eq!(app.press(Key::Enter), Some(Act::Mark(2, "qd? y".to_owned())));
    app.press(Key::Char('m'));
    assert_eq!(app.press(Key::Escape), None);
    assert_eq!(app.press(Key::Char('d')), Some(Act::Dump(2)));
    app.press(Key::Char('m'));
    assert_eq!(app.press(Key::Interrupt), Some(Act::Quit), "also while a mark is typed");
}
