//! The class of a hang, by the table in DESIGN. Each decider knows one family of classes. They are asked in
//! order of how much they prove. A decider that finds no case leaves the dump to the next one.
//!
//! - [`owned`]: locks that record their owner: rings and chains
//! - [`ownerless`]: futex words that record no owner: lost wakeups, inferred holders
//! - `ringed`: a list that leads back into itself, as evidence
//! - [`running`]: threads that run inside the allocator and do not leave it
//! - `settled`: rings of locks that closed after the first look
//! - [`shared`]: locks that another process holds
//! - [`spinning`]: locks on which threads spin without a wait in the kernel
//! - [`innocent`]: causes that need no mistake of the allocator
//! - [`vfork`]: children in the memory of their parent
//! - `hold`: whether a lock stayed with its holder
//! - `idle`: nothing hangs: a sleep that ends, a server without work
//! - [`other`]: stopped, the kernel, the benchmark, slow, unknown
//! - `moment`: what one moment can show
//! - `whose`: whose mistake it is: the allocator's, the program's
//! - `annotated`: the loop of the hot thread
//! - [`case`]: the answer of a decider, and what the deciders share

mod annotated;
mod case;
pub(crate) mod held;
mod hold;
mod idle;
mod innocent;
mod moment;
mod other;
mod owned;
mod ownerless;
mod ringed;
mod running;
mod settled;
mod shared;
mod spinning;
#[cfg(test)]
mod tests;
mod vfork;
mod whose;

use std::collections::BTreeSet;

use hangscope_protocol::record::{dump_reason, probe_outcome};

pub use super::why::Why;
use case::Case;
pub(crate) use case::{place, source, with_symbol};

use super::finding::{Finding, Hot, ThreadCounts, ThreadWait};
use super::graph::Graph;
use super::history::History;
use super::integrity;
use super::role;
use super::scene::{Motion, Scene, Thread};
use super::stack;
use super::stir::Stir;
use super::words::{Cause, Class, Confidence};
use crate::session::Dump;
use crate::session::trace::{Membership, Traces};
use crate::text::message::{Lang, say};

/// Explains the hang of a dump. `traces` are its stacks with names. Without them ([`Traces::default`]) the
/// class is `unknown` where stacks are needed. `history` holds the heartbeats before the dump.
pub fn analyse(dump: &Dump, traces: &Traces, history: &History) -> Finding {
    let scene = Scene::new(dump, traces, history);
    let finding = of(&scene);
    if dump.begin.reason == dump_reason::CORE {
        return of_one_moment(finding);
    }
    if finding.confidence == Confidence::Proven && finding.class != Class::Slow {
        return finding;
    }
    let settled = settled::settled(&scene).map(|(dump, traces)| {
        let mut finding = of(&Scene::new(&dump, &traces, history));
        finding.confidence = Confidence::Likely;
        finding.said.retain(|why| !matches!(why, Why::RingStill { .. }));
        finding.said_missing.push(Why::RingClosedLate {});
        finding.why = text(&finding.said);
        finding.missing = text(&finding.said_missing);
        finding
    });
    settled.filter(|finding| finding.class == Class::Deadlock).unwrap_or(finding)
}

/// A core shows one moment: what is proven needs a second look.
fn of_one_moment(mut finding: Finding) -> Finding {
    finding.confidence = Confidence::Likely;
    finding.said_missing.push(Why::OneMoment {});
    finding.missing = text(&finding.said_missing);
    finding
}

fn text(all: &[Why]) -> Vec<String> {
    all.iter().map(|why| why.text(Lang::En)).collect()
}

fn of(scene: &Scene<'_>) -> Finding {
    let (dump, traces) = (scene.dump, scene.traces);
    let graph = Graph::of(scene);
    let mut case = moment::judge(scene, decide(scene, &graph));
    vfork::judge(scene, &graph, &mut case);
    whose::judge(scene, &mut case);
    let list_ring = ringed::of(scene, &case);
    innocent::list_ring(scene, &mut case);
    case.why.extend(list_ring.iter().flat_map(ringed::why));
    innocent::own_retry(scene, &mut case);
    case.why.extend(resumed(scene));
    case.why.extend(stirred(dump));
    let holds = held::last(scene);
    case.why.extend(held::why(&holds));
    case.why.extend(parts(traces));
    inherited(scene, &mut case);
    if !scene.whole {
        case.unproven();
        case.missing.push(Why::ThreadsMissing {});
    }
    let (integrity, deleted_seen) = integrity::worst(&dump.dsos);
    let hot = hot(scene, &case);
    let ring = whose::ring(scene, &case);
    let hot_tid = hot.as_ref().map(|hot| hot.tid);
    let hot_loop = annotated::of(scene, case.class, hot_tid);
    let no_loop = hot_loop.is_none().then(|| annotated::why_none(scene, case.class, hot_tid));
    Finding {
        class: case.class,
        confidence: case.confidence,
        cause: case.cause,
        blame: case.blame,
        why: text(&case.why),
        missing: text(&case.missing),
        said: case.why,
        said_missing: case.missing,
        in_allocator: case.in_allocator,
        ring,
        lock: case.lock,
        hot,
        threads: counts(scene),
        spinning: case.spinning,
        waits: waits(scene),
        integrity,
        deleted_seen,
        holds,
        hot_loop,
        no_loop,
        list_ring,
    }
}

/// Threads that were blocked, answered the shim's signal, and had moved or ended by the second look. A signal
/// makes some calls return early, and that can end a wait whose wakeup was lost.
fn resumed(scene: &Scene<'_>) -> Option<Why> {
    let probes = scene.dump.probes.iter().map(|p| &p.record);
    // What is asked after the second look has no part in it.
    let second_ns = scene.dump.looks_ns[1];
    let asked = probes
        .filter(|p| p.was_blocked != 0 && p.outcome == probe_outcome::ANSWERED)
        .filter(|p| second_ns == 0 || p.asked_ns <= second_ns);
    let threads: Vec<&Thread<'_>> = asked
        .filter_map(|p| scene.threads.get(&p.tid))
        .filter(|t| matches!(t.motion, Motion::Moved | Motion::Left | Motion::Rewaits) && !t.woken_by_us)
        .collect();
    (!threads.is_empty()).then(|| say!(Why::Resumed { tids: case::tids(threads) }))
}

/// A forked child with one thread that waits for a lock without an owner: a thread of the parent may have
/// held it at the fork. No thread of the child can release it.
fn inherited(scene: &Scene<'_>, case: &mut Case) {
    let held = case.lock.as_ref().is_some_and(|lock| lock.owner_tid.is_none());
    let of_lock = scene.waiting().any(|(_, wait)| wait.kind.is_lock());
    let alone = scene.threads.len() == 1 && scene.gone.is_empty() && scene.whole;
    if case.cause.is_none() && scene.is_forked() && alone && held && of_lock {
        case.cause = Some(Cause::ForkInherited);
        case.why.push(Why::AloneInChild {});
        case.unproven();
    }
}

/// Says which DSOs make up the allocator, if there are several.
fn parts(traces: &Traces) -> Option<Why> {
    let parts = traces.allocator.iter().filter(|dso| dso.membership != Membership::Unproven);
    let names: Vec<&str> = parts.map(|dso| role::file_name(&dso.path)).collect();
    (names.len() > 1).then(|| say!(Why::AllocatorParts { count: names.len(), names: names.join(", ") }))
}

/// Evidence that the shim disturbed the scheduling of the process.
fn stirred(dump: &Dump) -> Option<Why> {
    Stir::of(&dump.identity).map(|Stir { strategy, seed }| say!(Why::Stirred { strategy, seed }))
}

fn decide(scene: &Scene<'_>, graph: &Graph) -> Case {
    other::stopped(scene)
        .or_else(|| owned::left(scene, graph))
        .or_else(|| owned::ring(scene, graph))
        .or_else(|| vfork::chain(scene, graph))
        .or_else(|| owned::root(scene, graph))
        .or_else(|| owned::refused(scene))
        .or_else(|| shared::elsewhere(scene, graph))
        .or_else(|| ownerless::free(scene))
        .or_else(|| ownerless::inferred(scene))
        .or_else(|| innocent::no_memory(scene))
        .or_else(|| spinning::lock(scene))
        .or_else(|| running::inside(scene))
        .or_else(|| other::in_kernel(scene))
        .or_else(|| idle::idle(scene))
        .or_else(|| other::outside(scene))
        .or_else(|| other::slow(scene))
        .unwrap_or_else(|| other::unknown(scene))
}

/// The culprit. Without a culprit the busiest thread: it is the next one to look at.
fn hot(scene: &Scene<'_>, case: &Case) -> Option<Hot> {
    let key = |t: &&Thread<'_>| ((t.cpu_share * 1e6) as u64, std::cmp::Reverse(t.tid()));
    let busiest = || scene.all().filter(|t| t.runs() || t.cpu_share > 0.01).max_by_key(key);
    let thread = match case.culprit {
        Some(tid) => scene.threads.get(&tid),
        None => busiest(),
    }?;
    // All stacks of the thread vote on the line in which it loops.
    let all = || thread.trace.into_iter().chain(thread.samples).filter(|t| !t.frames.is_empty());
    let inside = all().filter_map(|t| stack::telling_frame(&t.frames, scene.is));
    let outside = || all().filter_map(|t| stack::program_frame(&t.frames));
    let frame = case.culprit_at.clone().filter(|_| case.culprit.is_some());
    let frame = frame.or_else(|| case::most_common(inside)).or_else(|| case::most_common(outside()));
    let samples = thread.samples.iter().filter(|t| !t.frames.is_empty());
    let pcs: BTreeSet<u64> = samples.clone().filter_map(|t| t.frames.first()).map(|f| f.pc).collect();
    Some(Hot {
        tid: thread.tid(),
        cpu_share: thread.cpu_share,
        in_allocator: thread.inside,
        source: frame.as_ref().and_then(source),
        file: frame.as_ref().and_then(|f| f.file.clone()),
        function: frame.as_ref().and_then(stack::name),
        samples: samples.count() as u32,
        distinct_pcs: pcs.len() as u32,
        for_s: case.for_s.or_else(|| scene.for_s(thread)),
    })
}

fn counts(scene: &Scene<'_>) -> ThreadCounts {
    let mut counts = ThreadCounts::default();
    for thread in scene.threads.values() {
        counts.all += 1;
        counts.truncated_stacks +=
            u32::from(!thread.has_ended() && thread.trace.is_some_and(|t| t.truncated));
        match &thread.wait {
            Some(wait) if wait.futex => counts.futex_wait += 1,
            _ if thread.runs() => counts.running += 1,
            _ => counts.other += 1,
        }
    }
    counts
}

fn waits(scene: &Scene<'_>) -> Vec<ThreadWait> {
    let waits = scene.threads.values().filter_map(|t| t.wait.as_ref());
    waits
        .map(|wait| ThreadWait {
            tid: wait.tid,
            kind: wait.kind.as_str().to_owned(),
            address: wait.object,
            symbol: scene.symbol(wait).cloned(),
            owner: wait.owner.map(|owner| owner.tid()),
            detail: wait.detail.en().to_owned(),
            said: wait.detail.clone(),
        })
        .collect()
}
