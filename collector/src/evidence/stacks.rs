//! `stacks.txt`: every thread's frames, for a person.

use crate::evidence::group::groups;
use crate::evidence::threads_file::{FramePart, ThreadPart, ThreadsFile};
use crate::text::message::ranges;

/// The text of the file.
pub(crate) fn text(file: &ThreadsFile) -> String {
    let mut text = format!(
        "# pid {}, {} threads, {:.1} s after the start; equal stacks are together\n",
        file.pid,
        file.threads.len(),
        file.since_start_s
    );
    for note in &file.notes {
        text += &format!("# {note}\n");
    }
    for group in groups(&file.threads) {
        text.push('\n');
        text += &heading(&group.threads);
        text.push('\n');
        for line in frames(group.first()) {
            text += &format!("  {line}\n");
        }
    }
    if file.threads.is_empty() {
        text += "\nno thread is in the dump\n";
    }
    text
}

/// `15 threads (8170, 8171, ...): pthread mutex (normal) g_locks+160, held by tid 8181`.
pub(crate) fn heading(threads: &[&ThreadPart]) -> String {
    let first = threads[0];
    let state = match &first.wait {
        Some(wait) => {
            // The text of a join has the tid of the other thread. The address of that tid adds nothing.
            let symbol = wait.symbol.as_ref().or(wait.address.as_ref()).filter(|_| wait.kind != "join");
            let symbol = symbol.map(|s| format!(" {s}")).unwrap_or_default();
            let owner = match (wait.owner, wait.kind.as_str()) {
                (Some(owner), kind) if kind != "join" => format!(", held by tid {owner}"),
                _ => String::new(),
            };
            format!("{}{symbol}{owner}", wait.detail)
        }
        None if matches!(first.state, Some('R')) || first.syscall.is_none() => "running".to_owned(),
        None => format!("state {}", first.state.unwrap_or('?')),
    };
    match threads {
        [one] => format!("tid {} ({}): {state}", one.tid, one.comm),
        many => format!("{} threads ({}): {state}", many.len(), tids(many)),
    }
}

fn tids(threads: &[&ThreadPart]) -> String {
    let all: Vec<u32> = threads.iter().map(|t| t.tid).collect();
    ranges(&all).en().to_owned()
}

/// One line for each frame, and one for what is missing of the stack.
pub(crate) fn frames(thread: &ThreadPart) -> Vec<String> {
    let mut lines: Vec<String> =
        thread.frames.iter().enumerate().map(|(i, frame)| format!("#{i:<3}{}", one(frame))).collect();
    match (&thread.problem, thread.truncated) {
        (Some(problem), _) => lines.push(format!("({problem})")),
        (None, true) => lines.push("(the stack is cut here)".to_owned()),
        (None, false) if lines.is_empty() => lines.push("(no stack)".to_owned()),
        _ => {}
    }
    lines
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
