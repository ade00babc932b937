//! The last times that a thread was held before the hang (`--stir`). A race is lost where a thread is held
//! between two of its steps, so the place of a hold is often a line of the race.
//!
//! Nothing is proven by it: it says what came before. A thread that loops in the hang is held in its loop
//! again and again. Those holds came after it, and are left out.

use std::collections::BTreeMap;

use hangscope_protocol::stir::hold_at;

use super::case;
use crate::analysis::finding::HoldPlace;
use crate::analysis::scene::Scene;
use crate::analysis::stack;
use crate::analysis::why::Why;
use crate::session::trace::{Frame, Held};
use crate::text::message::{Say as _, Text, messages, say};

/// Holds that are told.
const MOST: usize = 4;
/// A thread that was held so often at one place goes round.
const ROUNDS: u32 = 4;
/// Holds that ended earlier before the last one have nothing to do with the hang: several times the longest
/// hold.
const WINDOW_NS: u64 = 50_000_000;

messages! {
    /// Where a thread was held.
    pub(crate) HeldAt {
        BeforeInstruction {} => "before the atomic instruction at", "アトミック命令の直前";
        BehindInstruction {} => "behind the atomic instruction at", "アトミック命令の直後";
        Locked {} => "after it took a lock, at", "ロックを取得した直後";
        Unlocks {} => "before it released a lock, at", "ロックを解放する直前";
        Unlocked {} => "after it released a lock, at", "ロックを解放した直後";
        Sleeps {} => "between a check and its sleep, at", "条件の確認とスリープの間";
        Wakes {} => "before it woke threads, at", "スレッドを起こす直前";
        Yields {} => "before it gave up the processor, at", "CPU を譲る直前";
        Woken {} => "after its sleep, at", "スリープから起きた直後";
        Woke {} => "after it woke threads, at", "スレッドを起こした直後";
        Elsewhere {} => "at", "実行中";
    }
}

/// The words of a value of [`hold_at`].
pub(crate) fn at(at: u16) -> Text {
    match at {
        hold_at::BEFORE_INSTRUCTION => HeldAt::BeforeInstruction {},
        hold_at::BEHIND_INSTRUCTION => HeldAt::BehindInstruction {},
        hold_at::LOCKED => HeldAt::Locked {},
        hold_at::UNLOCKS => HeldAt::Unlocks {},
        hold_at::UNLOCKED => HeldAt::Unlocked {},
        hold_at::SLEEPS => HeldAt::Sleeps {},
        hold_at::WAKES => HeldAt::Wakes {},
        hold_at::YIELDS => HeldAt::Yields {},
        hold_at::WOKEN => HeldAt::Woken {},
        hold_at::WOKE => HeldAt::Woke {},
        _ => HeldAt::Elsewhere {},
    }
    .said()
}

/// Holds of the last [`WINDOW_NS`] before the hang, the last first: at most [`MOST`], those at lines that
/// threads come by most rarely. A lock that every call takes is held at all the time, and the slow path that
/// loses a race is not.
pub(super) fn last(scene: &Scene<'_>) -> Vec<HoldPlace> {
    let mut holds: Vec<&Held> = scene.traces.holds.iter().filter(|held| !goes_round(scene, held)).collect();
    // How soon a thread came by each line, at best.
    let mut soonest: BTreeMap<Line<'_>, u32> = BTreeMap::new();
    for held in &holds {
        let best = soonest.entry(line(scene, held)).or_insert(u32::MAX);
        *best = held.hold.waited_us.min(*best);
    }
    let last = holds.iter().map(|held| held.hold.began_ns).max().unwrap_or(0);
    holds.retain(|held| held.hold.began_ns.saturating_add(WINDOW_NS) >= last);
    holds.sort_by_key(|held| std::cmp::Reverse((soonest.get(&line(scene, held)), held.hold.began_ns)));
    // Each line once.
    let mut told: Vec<&Held> = vec![];
    for held in holds {
        if told.len() < MOST && told.iter().all(|other| line(scene, other) != line(scene, held)) {
            told.push(held);
        }
    }
    told.sort_by_key(|held| std::cmp::Reverse(held.hold.began_ns));
    told.into_iter().map(|held| place(scene, held)).collect()
}

/// A function and a line in it; the address where there are no names.
type Line<'h> = (Option<&'h str>, Option<u32>, u64);

fn line<'h>(scene: &Scene<'_>, held: &'h Held) -> Line<'h> {
    let at = frame(scene, held);
    let function = at.and_then(|frame| frame.function.as_deref());
    let address = if function.is_some() { 0 } else { held.hold.address };
    (function, at.and_then(|frame| frame.line), address)
}

/// Whether a thread that loops now was held in that loop.
fn goes_round(scene: &Scene<'_>, held: &Held) -> bool {
    let Some(thread) = scene.threads.get(&held.hold.tid) else { return false };
    let stacks = thread.trace.into_iter().chain(thread.samples);
    let mut now = stacks.flat_map(|stack| &stack.frames).filter_map(|frame| frame.function.as_ref());
    let there = frame(scene, held).and_then(|frame| frame.function.as_ref());
    held.hold.times >= ROUNDS && now.any(|function| Some(function) == there)
}

/// The frame that shows where: not that of an inlined atomic or of a wrapper of a lock.
fn frame<'h>(scene: &Scene<'_>, held: &'h Held) -> Option<&'h Frame> {
    stack::task_frame(&held.frames, &[], scene.is).or_else(|| held.frames.last())
}

fn place(scene: &Scene<'_>, held: &Held) -> HoldPlace {
    let frame = frame(scene, held);
    // The next function outwards, if it is the allocator's too.
    let outer = held.frames.iter().skip_while(|f| frame.is_some_and(|frame| !core::ptr::eq(*f, frame)));
    let caller = outer.skip_while(|f| f.inlined).nth(1).filter(|f| stack::counts(f, scene.is));
    let hold = &held.hold;
    let ended = hold.began_ns.saturating_add(hold.held_ns);
    let before_ns = scene.dump.begin.trigger_ns.saturating_sub(ended);
    HoldPlace {
        tid: hold.tid,
        held_ms: tenths(hold.held_ns as f64 / 1e6),
        before_s: tenths(before_ns as f64 / 1e9),
        at: hold.at,
        function: frame.and_then(stack::name),
        offset: frame.and_then(|frame| frame.offset),
        source: frame.and_then(case::source),
        file: frame.and_then(|frame| frame.file.clone()),
        line: frame.and_then(|frame| frame.line),
        caller: caller.and_then(stack::name),
        caller_source: caller.and_then(case::source),
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// The sentence of these holds; none if there are none.
pub(super) fn why(holds: &[HoldPlace]) -> Option<Why> {
    let one = |hold: &HoldPlace| {
        let place = match hold.called_from() {
            Some(caller) => say!(Why::HeldIn { place: hold.place(), caller }).said(),
            None => Text::Same(hold.place()),
        };
        say!(Why::HeldOne {
            tid: hold.tid,
            ms: format!("{:.1}", hold.held_ms),
            at: at(hold.at),
            place,
            before: format!("{:.1}", hold.before_s),
        })
        .said()
    };
    let all: Vec<Text> = holds.iter().map(one).collect();
    Text::joined(&all).map(|holds| say!(Why::HeldBefore { holds }))
}
