//! The loop of the hot thread, with what its samples show.
//!
//! - `says`: what the loop does, in one sentence
//! - `none`: why there is no loop

mod none;
mod says;

use std::collections::BTreeMap;

use hangscope_protocol::record::ARCH_X86_64;

use super::case::source;
use crate::analysis::hot_loop::{HotLoop, LoopInstruction, LoopRegister, LoopWord, RegisterHow};
use crate::analysis::scene::{Scene, Thread};
use crate::analysis::stack;
use crate::analysis::words::Class;
use crate::session::code::{CodeLine, LoopCode, RegisterValues};
use crate::session::trace::{Frame, Loop, LoopRead};
use crate::text::message::{Say as _, Text};
use none::NoLoop;

/// The loop of the hot thread; of another running thread, where the hot one has none.
pub(super) fn of(scene: &Scene<'_>, class: Class, hot: Option<u32>) -> Option<HotLoop> {
    if class == Class::Slow {
        return None;
    }
    let code = |thread: &&Thread<'_>| {
        let one = scene.traces.loops.get(&thread.tid());
        one.and_then(|one| one.code.as_ref()).is_some_and(stays)
    };
    // What sleeps is no loop: then those that spin for it have one.
    let hot = hot.and_then(|tid| scene.threads.get(&tid)).filter(|_| class != Class::SpinWait);
    let key = |t: &&Thread<'_>| (t.inside == Some(true), t.samples.len(), std::cmp::Reverse(t.tid()));
    let thread = hot.filter(code).or_else(|| scene.all().filter(code).max_by_key(key))?;
    let one = scene.traces.loops.get(&thread.tid())?;
    Some(hot_loop(scene, thread, one, one.code.as_ref()?))
}

/// The thread was in these instructions in most of its samples.
fn stays(code: &LoopCode) -> bool {
    let inside: u32 = code.instructions.iter().map(|line| line.samples).sum();
    inside.saturating_mul(2) > code.samples
}

/// Why there is none.
pub(super) fn why_none(scene: &Scene<'_>, class: Class, hot: Option<u32>) -> Text {
    let sampled = hot.is_some_and(|tid| scene.traces.loops.contains_key(&tid));
    match hot {
        _ if class == Class::Slow => NoLoop::Slow {}.said(),
        _ if scene.dump.identity.fixed.arch != ARCH_X86_64 => NoLoop::Machine {}.said(),
        _ if scene.traces.loops.is_empty() => NoLoop::NoSamples {}.said(),
        Some(tid) if scene.traces.loops.get(&tid).is_some_and(|one| one.code.is_some()) => {
            NoLoop::Elsewhere {}.said()
        }
        Some(_) if sampled => NoLoop::NoCode {}.said(),
        _ => NoLoop::NotSampled {}.said(),
    }
}

fn hot_loop(scene: &Scene<'_>, thread: &Thread<'_>, one: &Loop, code: &LoopCode) -> HotLoop {
    let hottest = code.instructions.iter().max_by_key(|line| (line.samples, std::cmp::Reverse(pc(line))));
    let mut functions: BTreeMap<String, u32> = BTreeMap::new();
    for line in &code.instructions {
        if let Some(name) = telling(line).and_then(stack::name) {
            *functions.entry(name).or_default() += line.samples;
        }
    }
    HotLoop {
        tid: thread.tid(),
        function: functions.into_iter().max_by_key(|(_, samples)| *samples).map(|(name, _)| name),
        source: hottest.and_then(telling).and_then(source),
        dso: hottest.and_then(telling).and_then(|frame| frame.dso.clone()),
        samples: code.samples,
        inside: code.instructions.iter().map(|line| line.samples).sum(),
        summary: says::summary(scene.traces, one, code),
        instructions: code.instructions.iter().map(instruction).collect(),
        registers: code.registers.iter().filter(|r| r.samples > 1).map(register).collect(),
        words: one.reads.iter().map(|read| word(scene, read)).collect(),
        with_registers: code.with_registers,
        more: code.more,
        followed: code.followed,
    }
}

fn pc(line: &CodeLine) -> u64 {
    line.frames.first().map_or(0, |frame| frame.pc)
}

/// The innermost frame that is not of the standard library of the language.
fn telling(line: &CodeLine) -> Option<&Frame> {
    let own = line.frames.iter().find(|frame| !stack::is_standard_library(frame));
    own.or_else(|| line.frames.first())
}

fn instruction(line: &CodeLine) -> LoopInstruction {
    let (frame, whole) = (telling(line), line.frames.last());
    LoopInstruction {
        pc: format!("{:#x}", pc(line)),
        dso_offset: whole.and_then(|frame| frame.dso_offset).map(|offset| format!("{offset:#x}")),
        offset: whole.and_then(|frame| frame.offset),
        within: whole.and_then(stack::name),
        text: line.text.clone(),
        samples: line.samples,
        function: frame.and_then(stack::name),
        file: frame.and_then(|frame| frame.file.clone()),
        line: frame.and_then(|frame| frame.line),
    }
}

fn register(values: &RegisterValues) -> LoopRegister {
    let how = match values {
        RegisterValues { distinct: 1, .. } => RegisterHow::Constant,
        RegisterValues { rises: true, .. } | RegisterValues { falls: true, .. } => RegisterHow::Counting,
        RegisterValues { values, .. } if !values.is_empty() => RegisterHow::Round,
        _ => RegisterHow::Varying,
    };
    LoopRegister {
        name: values.name.clone(),
        how,
        values: values.values.iter().map(|value| format!("{value:#x}")).collect(),
        points_to: values.points_to.clone(),
    }
}

fn word(scene: &Scene<'_>, read: &LoopRead) -> LoopWord {
    LoopWord {
        address: format!("{:#x}", read.address),
        symbol: scene.traces.addresses.get(&read.address).cloned(),
        size: read.size,
        values: [0, 1].map(|reading| read.value(reading).map(|value| format!("{value:#x}"))),
    }
}
