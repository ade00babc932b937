//! Where it hangs: stacks, the loop, the source, the ring.

use super::case::Case;
use super::size::{MOST_OF_ITEM, clipped, cut, item};
use crate::evidence::group::{Group, groups};
use crate::evidence::threads_file::ThreadPart;
use crate::evidence::{loop_file, stacks};
use crate::report::page::{Page, escaped};
use crate::report::same;
use crate::text::message::{Lang, say};
use crate::text::packet::Packet;

/// Most frames of a stack.
const MOST_FRAMES: usize = 24;
/// Names of generic functions are long, and their beginning says what they are.
const MOST_OF_FRAME: usize = 160;
/// Most groups of other threads.
const MOST_GROUPS: usize = 12;
/// Most blocks of a ring.
const MOST_BLOCKS: usize = 12;

pub(super) fn culprits(page: &mut Page, case: &Case) {
    let culprits = same::culprits(&case.hang.file);
    if culprits.is_empty() {
        return;
    }
    page.heading(&Packet::Culprit {});
    let groups = groups(&case.hang.file.threads);
    let of = |tid: u32| groups.iter().find(|group| group.threads.iter().any(|thread| thread.tid == tid));
    let mut shown: Vec<u32> = vec![];
    for thread in culprits {
        if !shown.contains(&thread.tid) {
            // With the threads that have the same stack.
            let equal = of(thread.tid).map_or_else(|| vec![thread], |group| group.threads.clone());
            stack(page, case, &equal, MOST_FRAMES);
            shown.extend(equal.iter().map(|thread| thread.tid));
        }
    }
}

/// The stacks of all other threads, equal ones together, in so many bytes.
pub(super) fn others(case: &Case, room: usize, lang: Lang) -> String {
    let file = &case.hang.file;
    let shown: Vec<u32> = same::culprits(file).iter().map(|thread| thread.tid).collect();
    let groups = groups(&file.threads);
    let is_shown = |group: &&Group<'_>| group.threads.iter().any(|thread| shown.contains(&thread.tid));
    let others: Vec<_> = groups.iter().filter(|group| !is_shown(group)).collect();
    if others.is_empty() {
        return String::new();
    }
    let mut page = Page::new(lang);
    page.heading(&Packet::Others {});
    for group in others.iter().take(MOST_GROUPS) {
        stack(&mut page, case, &group.threads, MOST_FRAMES);
    }
    if let Some(count) = others.len().checked_sub(MOST_GROUPS).filter(|more| *more > 0) {
        page.line(&say!(Packet::MoreStacks { count }));
    }
    cut(page.finish(), room, lang)
}

fn stack(page: &mut Page, case: &Case, threads: &[&ThreadPart], most: usize) {
    let lang = page.lang;
    let heading = stacks::heading(threads, &case.hang.file.finding);
    let heading = clipped(heading.text(lang), MOST_OF_ITEM).into_owned();
    let frames = stacks::frames(threads[0], lang);
    let more = (frames.len() > most).then(|| "  ...".to_owned());
    let frames = frames.iter().take(most).map(|frame| format!("  {}", clipped(frame, MOST_OF_FRAME)));
    page.block(std::iter::once(heading).chain(frames).chain(more));
}

/// What the hot thread does, instruction by instruction.
pub(super) fn hot_loop(page: &mut Page, case: &Case) {
    let Some(hot_loop) = &case.hang.file.finding.hot_loop else { return };
    page.heading(&Packet::Loop {});
    page.raw(&format!("{}\n\n", escaped(hot_loop.summary.text(page.lang))));
    let hot = case.hang.file.finding.hot.as_ref().filter(|hot| hot.tid == hot_loop.tid);
    if hot.is_some_and(|hot| hot.in_allocator == Some(false)) {
        page.line(&Packet::LoopOutside {});
        page.raw("\n");
    }
    let heading = format!("{}\nsamples   share  offset    instruction", loop_file::place(hot_loop));
    let listing = loop_file::lines(hot_loop, Some(&case.hang.file.excerpts));
    let heading = heading.lines().map(str::to_owned);
    page.block(heading.chain(listing).map(|line| clipped(&line, MOST_OF_FRAME).into_owned()));
    let registers = hot_loop.registers.iter().map(loop_file::register);
    let words = hot_loop.words.iter().map(loop_file::word);
    page.block(registers.chain(words).map(|line| clipped(&line, MOST_OF_FRAME).into_owned()));
}

pub(super) fn source(page: &mut Page, case: &Case) {
    let excerpts = &case.hang.file.excerpts;
    let hot = case.hang.file.finding.hot.as_ref();
    let place = hot.and_then(|hot| hot.file.as_deref().zip(hot.source.as_deref()));
    match place {
        Some((file, source)) if excerpts.is_empty() => {
            page.heading(&Packet::Source {});
            let line = source.rsplit(':').next().unwrap_or_default();
            page.line(&say!(Packet::NoSource { file: format!("`{}`", ending(file)), line }));
        }
        _ if excerpts.is_empty() => return,
        _ => page.heading(&Packet::Source {}),
    }
    for excerpt in excerpts {
        page.raw(&format!("`{}`:\n\n", ending(&excerpt.file)));
        let numbered = excerpt.lines.iter().zip(excerpt.first..);
        page.block(numbered.map(|(line, number)| {
            let mark = if excerpt.marked.contains(&number) { '>' } else { ' ' };
            clipped(&format!("{mark}{number:>5}  {line}"), MOST_OF_FRAME).into_owned()
        }));
    }
}

/// The last three parts of a path: where the file is in its project.
fn ending(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}

pub(super) fn ring(page: &mut Page, case: &Case) {
    let Some(ring) = &case.hang.file.finding.list_ring else { return };
    page.heading(&Packet::Ring {});
    page.raw(&format!("{}\n\n", escaped(ring.summary.text(page.lang))));
    if let Some(offset) = ring.next {
        item(page, &say!(Packet::RingNext { offset: format!("{offset:+}") }));
        page.raw("\n");
    }
    if ring.blocks.is_empty() {
        return;
    }
    page.line(&Packet::BlockTable {});
    page.raw("|---|---|---|---|---|\n");
    let joined = |all: &[String]| if all.is_empty() { "-".to_owned() } else { all.join(", ") };
    for block in ring.blocks.iter().take(MOST_BLOCKS) {
        let size = block.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        let freed: Vec<String> = block.freed_by.iter().map(|tid| format!("tid {tid}")).collect();
        page.row([
            block.address.as_str(),
            block.within.as_deref().unwrap_or("-"),
            &size,
            &joined(&block.pointed_by),
            &joined(&freed),
        ]);
    }
    page.raw("\n");
    page.line(&Packet::NotSeen {});
    let count = (ring.nodes as usize).saturating_sub(ring.blocks.len().min(MOST_BLOCKS));
    if count > 0 {
        page.line(&say!(Packet::MoreBlocks { count }));
    }
}
