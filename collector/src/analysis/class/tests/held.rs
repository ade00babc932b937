//! The last holds before a hang.

use hangscope_protocol::stir::{HoldRecord, hold_at};

use super::*;
use crate::session::trace::{Frame, Held};
use crate::text::message::Lang;

fn held(tid: u32, began_ms: u64, (times, waited_us): (u32, u32), at: u16, frames: &[&str]) -> Held {
    let hold = HoldRecord {
        began_ns: began_ms * 1_000_000,
        held_ns: 1_200_000,
        address: 0x7f00 + u64::from(tid),
        tid,
        at,
        reserved: 0,
        times,
        waited_us,
        stack: 0,
    };
    let frame = |name: &&str| Frame {
        function: Some((*name).to_owned()),
        offset: Some(0x1a),
        file: Some("/src/foo.c".to_owned()),
        line: Some(52),
        in_allocator: true,
        ..Frame::default()
    };
    Held { hold, frames: frames.iter().map(frame).collect() }
}

#[test]
fn holds_of_the_loop_itself_came_after_the_hang() {
    let mut make = Make::new();
    let spin = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
    make.runs(101, 0.9, spin, Sampled::OneCall(50));
    let trigger = make.dump.begin.trigger_ns / 1_000_000;
    make.traces.holds = vec![
        // Too early to have to do with it.
        held(104, trigger - 3000, (1, 2000), hold_at::LOCKED, &["foo_unlock"]),
        // Where all threads come by.
        held(106, trigger - 1905, (1, 5), hold_at::WAKES, &["foo_free_fast"]),
        held(105, trigger - 1910, (40, 3), hold_at::LOCKED, &["foo_malloc_fast"]),
        held(102, trigger - 1930, (1, 2000), hold_at::LOCKED, &["foo_unlock"]),
        held(103, trigger - 1920, (1, 2000), hold_at::BEFORE_INSTRUCTION, &["foo_lock", "span_put"]),
        // Held once where it loops now: this may be how it came there.
        held(101, trigger - 1900, (1, 2000), hold_at::WAKES, &["foo_refill"]),
        held(101, trigger - 2, (900, 2000), hold_at::BEHIND_INSTRUCTION, &["foo_refill"]),
    ];
    let finding = make.analyse();
    let held: Vec<u32> = finding.holds.iter().map(|hold| hold.tid).collect();
    assert_eq!(held, [101, 106, 103, 102]);
    let said = finding.said.iter().find(|why| matches!(why, Why::HeldBefore { .. })).expect("a sentence");
    insta::assert_snapshot!(said.en(), @"threads were held on purpose; before this hang, where threads come by most rarely: tid 101 for 1.2 ms before it woke threads, at `foo_refill+0x1a` (foo.c:52) (1.9 s before the dump); tid 106 for 1.2 ms before it woke threads, at `foo_free_fast+0x1a` (foo.c:52) (1.9 s before the dump); tid 103 for 1.2 ms before the atomic instruction at `span_put+0x1a` (foo.c:52) (1.9 s before the dump); tid 102 for 1.2 ms after it took a lock, at `foo_unlock+0x1a` (foo.c:52) (1.9 s before the dump) (holds.tsv)");
    insta::assert_snapshot!(said.text(Lang::Ja), @"攪乱のためにスレッドを意図的に止めていた。このハングの直前の停止のうち、スレッドが通ることの最も少ない位置のもの: tid 101 を `foo_refill+0x1a` (foo.c:52) で、スレッドを起こす直前に 1.2 ms 停止 (ダンプの 1.9 秒前); tid 106 を `foo_free_fast+0x1a` (foo.c:52) で、スレッドを起こす直前に 1.2 ms 停止 (ダンプの 1.9 秒前); tid 103 を `span_put+0x1a` (foo.c:52) で、アトミック命令の直前に 1.2 ms 停止 (ダンプの 1.9 秒前); tid 102 を `foo_unlock+0x1a` (foo.c:52) で、ロックを取得した直後に 1.2 ms 停止 (ダンプの 1.9 秒前) (holds.tsv)");
    // It proves nothing: the class is as without.
    make.traces.holds.clear();
    let without = make.analyse();
    assert_eq!((without.class, without.confidence), (finding.class, finding.confidence));
    assert!(without.holds.is_empty() && without.why.len() + 1 == finding.why.len());
}
