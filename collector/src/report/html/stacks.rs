//! The stacks of all threads, equal ones together, with a search.

use maud::{Markup, html};

use super::piece::said;
use super::words::Html;
use crate::evidence::group::{Group, groups};
use crate::evidence::stacks;
use crate::evidence::threads_file::ThreadsFile;
use crate::text::escape;
use crate::text::message::{Lang, say};

/// Stands for the number of stacks that match: the script puts it in.
const SHOWN: &str = "\u{2044}";
/// Stacks that are open from the start: those of the culprits, and of the largest groups.
const OPEN: usize = 3;

pub(super) fn section(file: &ThreadsFile) -> Option<Markup> {
    if file.threads.is_empty() {
        return None;
    }
    let groups = groups(&file.threads);
    let telling: Vec<u32> = crate::report::same::culprits(file).iter().map(|thread| thread.tid).collect();
    let is_telling = |group: &Group<'_>| group.threads.iter().any(|thread| telling.contains(&thread.tid));
    let mut order: Vec<&Group<'_>> = groups.iter().collect();
    order.sort_by_key(|group| !is_telling(group));
    Some(html! {
        div.search hidden {
            label for="search" { (said(&Html::Search {})) }
            input id="search" type="search" autocomplete="off" spellcheck="false" aria-describedby="found";
            output id="found" for="search" aria-live="polite" {
                (said(&say!(Html::Found { stacks: SHOWN, groups: groups.len(), threads: file.threads.len() })))
            }
        }
        div.stacks id="stack-list" data-groups=(groups.len()) data-threads=(file.threads.len()) {
            @for (n, group) in order.into_iter().enumerate() {
                (one(file, group, n < OPEN || is_telling(group), is_telling(group)))
            }
        }
    })
}

fn one(file: &ThreadsFile, group: &Group<'_>, open: bool, telling: bool) -> Markup {
    let first = group.first();
    let tids: Vec<String> = group.threads.iter().map(|thread| thread.tid.to_string()).collect();
    let heading = stacks::heading(&group.threads, &file.finding);
    let lines = |lang| stacks::frames(first, lang);
    let en = lines(Lang::En);
    let ja = lines(Lang::Ja);
    let mut files: Vec<&str> = first.frames.iter().filter_map(|frame| frame.file.as_deref()).collect();
    files.dedup();
    html! {
        details.stack open[open] data-tids=(tids.join(" ")) {
            summary {
                @if telling { span.badge.alarm { (said(&Html::LookHere {})) } " " }
                (said(&heading))
            }
            ol.frames {
                @for (n, line) in en.iter().enumerate() {
                    @let own = first.frames.get(n).is_some_and(|frame| frame.in_allocator);
                    li class=[own.then_some("own")] {
                        @match ja.get(n).filter(|ja| *ja != line) {
                            None => code { (shown(line)) },
                            Some(ja) => { span lang="en" { (shown(line)) } span lang="ja" { (shown(ja)) } },
                        }
                    }
                }
            }
            @if !files.is_empty() { p.unseen { @for file in &files { (escape::line(file)) " " } } }
        }
    }
}

/// A line of a stack without its number: the list counts.
fn shown(line: &str) -> Markup {
    let rest = line
        .strip_prefix('#')
        .and_then(|rest| rest.split_once(' '))
        .map_or(line, |(_, rest)| rest.trim_start());
    super::piece::name(rest)
}
