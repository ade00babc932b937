//! The loop of the hot thread, and the sentence that says what it does.

use hangscope_protocol::record::ARCH_AARCH64;

use super::*;
use crate::analysis::hot_loop::{HotLoop, RegisterHow};
use crate::session::code::{CodeLine, Compared, LoopCode, RegisterValues, WordUse};
use crate::session::trace::{Frame, Loop, LoopRead, ReadHow};
use crate::text::message::Lang;

/// `mov (%rax),%ecx; test %ecx,%ecx; jne`, with 40 samples at the second instruction.
fn code(uses: Vec<WordUse>) -> LoopCode {
    let frame = |at: u64, line| Frame {
        pc: 0x40_0000 + at,
        function: Some("foo_refill".to_owned()),
        offset: Some(at),
        file: Some("/src/foo.c".to_owned()),
        line: Some(line),
        dso: Some("/opt/libfoo.so".to_owned()),
        ..Frame::default()
    };
    let line = |at, line, text: &str, samples| CodeLine {
        frames: vec![frame(at, line)],
        text: text.to_owned(),
        samples,
    };
    LoopCode {
        instructions: vec![
            line(0, 87, "mov (%rax),%ecx", 0),
            line(2, 87, "test %ecx,%ecx", 40),
            line(4, 88, "jne foo_refill", 0),
        ],
        samples: 41,
        with_registers: 40,
        followed: true,
        uses,
        ..LoopCode::default()
    }
}

fn reads_lock() -> WordUse {
    let compared = Some(Compared::Number(0));
    WordUse { address: LOCK, size: 4, atomic: None, compared, samples: 40, value: Some(1), varies: false }
}

/// The loop of thread 101, which reads [`LOCK`]: the readings, and its code.
fn found(readings: [u32; 2], code: LoopCode) -> HotLoop {
    let words = readings.map(|word| vec![word, 0]);
    let read = LoopRead { address: LOCK, size: 4, how: ReadHow::Load, words, points_to: None };
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(41));
    make.traces.loops.insert(101, Loop { reads: vec![read], code: Some(code), ..Loop::default() });
    make.analyse().hot_loop.expect("there is a loop")
}

fn says(readings: [u32; 2], code: LoopCode) -> String {
    found(readings, code).summary.en().to_owned()
}

#[test]
fn a_loop_says_what_it_reads_and_what_never_changed() {
    let one = found([1, 1], code(vec![reads_lock()]));
    assert_eq!((one.tid, one.inside, one.samples), (101, 40, 41));
    assert_eq!((one.function.as_deref(), one.source.as_deref()), (Some("foo_refill"), Some("foo.c:87")));
    assert_eq!(one.words[0].values, [Some("0x1".to_owned()), Some("0x1".to_owned())]);
    insta::assert_snapshot!(Lang::ALL.map(|lang| one.summary.text(lang)).join("\n"), @r"
    3 instructions, reads `g_foo_locks+160` and compares it with 0; the value never changed in 40 samples
    3 命令、`g_foo_locks+160` を読み、0 と比較する。値は 40 サンプルの間、変化していない
    ");
}

#[test]
fn a_loop_says_no_more_than_was_seen() {
    let with = |change: fn(&mut WordUse)| {
        let mut used = reads_lock();
        change(&mut used);
        code(vec![used])
    };
    let endless = LoopCode { endless: true, ..code(vec![]) };
    let around = LoopCode { followed: false, more: 2, ..code(vec![]) };
    let rises = RegisterValues {
        name: "rcx".to_owned(),
        samples: 40,
        distinct: 40,
        values: vec![7, 90_000],
        rises: true,
        falls: false,
        points_to: None,
    };
    let counts = LoopCode { registers: vec![rises], ..code(vec![]) };
    let all = [
        says([1, 1], with(|used| (used.samples, used.value) = (0, None))),
        says([1, 1], with(|used| (used.value, used.varies) = (None, true))),
        // What samples further on held may be of another way into the loop.
        says([1, 1], with(|used| used.value = None)),
        says([1, 2], with(|_| {})),
        // The samples had another value than the memory has now.
        says([2, 2], with(|_| {})),
        says([1, 1], with(|used| used.compared = None)),
        says([1, 1], with(|used| used.compared = Some(Compared::Bits(4)))),
        says([1, 1], with(|used| used.atomic = Some("lock cmpxchg".to_owned()))),
        says([1, 2], with(|used| used.atomic = Some("lock xadd".to_owned()))),
        says([1, 1], code(vec![])),
        says([1, 1], endless),
        says([1, 1], around),
        says([1, 1], counts),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    3 instructions, reads `g_foo_locks+160` and compares it with 0; the value was 1 in both readings
    3 instructions, reads `g_foo_locks+160` and compares it with 0; the value changes
    3 instructions, reads `g_foo_locks+160` and compares it with 0
    3 instructions, reads `g_foo_locks+160` and compares it with 0; the value changes
    3 instructions, reads `g_foo_locks+160` and compares it with 0
    3 instructions, reads `g_foo_locks+160`; the value never changed in 40 samples
    3 instructions, reads `g_foo_locks+160` and tests its bits 4; the value never changed in 40 samples
    3 instructions, tries to change `g_foo_locks+160` with `lock cmpxchg`; the value never changed in 40 samples
    3 instructions, changes `g_foo_locks+160` with `lock xadd`; the value changes
    3 instructions, reads several words, among them `g_foo_locks+160`
    3 instructions, no branch leads out of the loop
    5 instructions around the samples, which could not be followed: what they read is not known
    3 instructions, `rcx` counts up, from 7 to 90000 in 40 samples
    ");
}

#[test]
fn registers_stay_count_go_round_or_vary() {
    let register = |distinct, values: &[u64], rises| RegisterValues {
        name: "rax".to_owned(),
        samples: 40,
        distinct,
        values: values.to_vec(),
        rises,
        falls: false,
        points_to: None,
    };
    let once = RegisterValues { samples: 1, ..register(1, &[1], false) };
    let registers = vec![
        register(1, &[5], false),
        register(40, &[1, 99], true),
        register(3, &[1, 2, 3], false),
        register(30, &[], false),
        once,
    ];
    let one = found([1, 1], LoopCode { registers, ..code(vec![]) });
    let how: Vec<RegisterHow> = one.registers.iter().map(|register| register.how).collect();
    use RegisterHow::{Constant, Counting, Round, Varying};
    assert_eq!(how, [Constant, Counting, Round, Varying], "one sample shows nothing");
}

#[test]
fn without_a_loop_there_is_a_reason() {
    let none = |make: &mut Make| {
        let found = make.analyse();
        assert_eq!(found.hot_loop, None);
        found.no_loop.expect("a reason").en().to_owned()
    };
    assert_eq!(none(&mut held_by(102)), "no thread ran when samples were taken: all of them wait");
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(40));
    make.traces.loops.insert(101, Loop::default());
    assert_eq!(none(&mut make), "the code of the samples is not known, or no branch leads back to a sample");
    make.dump.identity.fixed.arch = ARCH_AARCH64;
    assert_eq!(none(&mut make), "code of this processor is not disassembled (only x86-64 is)");
}
