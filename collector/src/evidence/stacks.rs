//! `stacks.txt`: the frames of every thread, for a person. The file is English; `show` has the same lines
//! in both languages.

use crate::analysis::Finding;
use crate::evidence::group::groups;
use crate::evidence::threads_file::{self, FramePart, ThreadPart, ThreadsFile, WaitPart};
use crate::session::trace::ThreadTrace;
use crate::symbolize::problem::StackProblem;
use crate::text::escape;
use crate::text::message::{Lang, Say as _, Text, counted, in_both, ranges, say};
use crate::text::view::View;

pub(crate) fn text(file: &ThreadsFile) -> String {
    let mut text = format!(
        "# pid {}, {}, {:.1} s after the start; equal stacks are together\n",
        file.pid,
        counted(&file.threads.len().to_string(), "thread"),
        file.since_start_s
    );
    for note in &file.notes {
        text += &format!("# {}\n", escape::line(note));
    }
    for group in groups(&file.threads) {
        text.push('\n');
        text += heading(&group.threads, &file.finding).en();
        text.push('\n');
        for line in frames(group.first(), Lang::En) {
            text += &format!("  {line}\n");
        }
    }
    if file.threads.is_empty() {
        text += "\nno thread is in the dump\n";
    }
    text
}

/// `15 threads (8170, 8171, ...): pthread mutex (normal) g_locks+160, held by tid 8181`.
pub(crate) fn heading(threads: &[&ThreadPart], finding: &Finding) -> Text {
    let first = threads[0];
    let state = match &first.wait {
        Some(wait) => waiting(wait, &wait_text(first.tid, wait, finding)),
        None if matches!(first.state, Some('R')) || first.syscall.is_none() => View::Running {}.said(),
        None => say!(View::State { letter: first.state.unwrap_or('?') }).said(),
    };
    match threads {
        [one] => say!(View::OneThread { tid: one.tid, comm: one.comm, state }).said(),
        many => say!(View::Threads { count: many.len(), tids: tids(many), state }).said(),
    }
}

/// What a thread waits for, in both languages where the finding has them.
pub(crate) fn wait_text(tid: u32, wait: &WaitPart, finding: &Finding) -> Text {
    let known = finding.waits.iter().find(|known| known.tid == tid && known.said.en() == wait.detail);
    known.map_or_else(|| wait.detail.said(), |known| known.said.clone())
}

fn waiting(wait: &WaitPart, detail: &Text) -> Text {
    if wait.kind == "join" {
        // The text of a join says which thread it waits for. The address of that thread's tid says nothing
        // more.
        return detail.clone();
    }
    let text = match wait.symbol.as_ref().or(wait.address.as_ref()) {
        Some(object) => say!(View::WaitFor { detail, object }).said(),
        None => detail.clone(),
    };
    wait.owner.map_or(text.clone(), |owner| say!(View::HeldBy { wait: text, owner }).said())
}

fn tids(threads: &[&ThreadPart]) -> Text {
    let all: Vec<u32> = threads.iter().map(|t| t.tid).collect();
    ranges(&all)
}

/// The lines of a stack that is in no dump, in English.
pub(crate) fn of_trace(trace: &ThreadTrace) -> Vec<String> {
    let frames = threads_file::frames(Some(trace));
    let mut lines = numbered(&frames);
    lines.extend(trace.problem.as_ref().map(|problem| format!("({})", problem.en())));
    lines
}

/// A line for each frame, and one for what is missing of the stack.
pub(crate) fn frames(thread: &ThreadPart, lang: Lang) -> Vec<String> {
    let mut lines = numbered(&thread.frames);
    let remark = match (&thread.problem, thread.truncated) {
        (Some(problem), _) => Some(problem_text(problem)),
        (None, true) => Some(View::CutHere {}.said()),
        (None, false) if lines.is_empty() => Some(View::NoStack {}.said()),
        _ => None,
    };
    lines.extend(remark.map(|remark| format!("({})", remark.text(lang))));
    lines
}

/// A line for each frame. A name of a function may hold anything.
fn numbered(frames: &[FramePart]) -> Vec<String> {
    let line = |(i, frame)| format!("#{i:<3}{}", escape::line(&one(frame)));
    frames.iter().enumerate().map(line).collect()
}

fn problem_text(problem: &str) -> Text {
    let not_taken = View::NotTaken {}.said();
    if not_taken.en() == problem { not_taken } else { in_both::<StackProblem>(problem) }
}

/// `hz4_mid_malloc+0x1a (hz4_mid.c:85) in libhz4.so`.
fn one(frame: &FramePart) -> String {
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let dso = frame.dso.as_deref().map(file_name);
    let name = match (&frame.function, &dso, &frame.dso_offset) {
        (Some(function), ..) => match frame.offset {
            Some(offset) if frame.line.is_none() => format!("{function}+{offset:#x}"),
            _ => function.clone(),
        },
        (None, Some(dso), Some(offset)) => return format!("{dso}+{offset}"),
        (None, ..) => frame.pc.clone(),
    };
    let source = match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!(" ({}:{line})", file_name(file)),
        (Some(file), None) => format!(" ({})", file_name(file)),
        _ => String::new(),
    };
    let place = if frame.inlined {
        " [inlined]".to_owned()
    } else {
        dso.map(|d| format!(" in {d}")).unwrap_or_default()
    };
    format!("{name}{source}{place}")
}
