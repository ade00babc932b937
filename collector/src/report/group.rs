//! Equal stacks together: "15 threads:".

use super::threads_file::{FramePart, ThreadPart};

/// Threads with the same stack.
#[derive(Debug)]
pub struct Group<'a> {
    /// By tid.
    pub threads: Vec<&'a ThreadPart>,
}

impl<'a> Group<'a> {
    /// The one whose stack stands for all.
    pub fn first(&self) -> &'a ThreadPart {
        self.threads[0]
    }
}

/// Groups threads by function and line of every frame (and, where there is no stack, by what they wait for and
/// why there is none); the largest group first, of equals the one with the smallest tid.
pub fn groups(threads: &[ThreadPart]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = vec![];
    for thread in threads {
        match groups.iter_mut().find(|g| same(g.first(), thread)) {
            Some(group) => group.threads.push(thread),
            None => groups.push(Group { threads: vec![thread] }),
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.threads.len()));
    groups
}

fn same(a: &ThreadPart, b: &ThreadPart) -> bool {
    let wait = |t: &ThreadPart| t.wait.as_ref().map(|w| (w.kind.clone(), w.address.clone()));
    wait(a) == wait(b)
        && a.truncated == b.truncated
        && a.problem == b.problem
        && a.frames.iter().map(key).eq(b.frames.iter().map(key))
}

/// Where there is a line, instructions on it are the same place; else the address says.
fn key(frame: &FramePart) -> (Option<&str>, Option<&str>, Option<u32>, Option<&str>) {
    let address = if frame.line.is_none() { Some(frame.pc.as_str()) } else { None };
    (frame.function.as_deref(), frame.file.as_deref(), frame.line, address)
}
