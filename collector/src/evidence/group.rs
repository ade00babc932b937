//! Groups threads with equal stacks: "15 threads:".

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::evidence::threads_file::{FramePart, ThreadPart};

/// Threads with the same stack.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// At least one, ascending by tid.
    pub(crate) threads: Vec<&'a ThreadPart>,
}

impl<'a> Group<'a> {
    /// The thread whose stack is printed for all.
    pub(crate) fn first(&self) -> &'a ThreadPart {
        self.threads[0]
    }
}

/// Groups threads by what they wait for and by function and line of every frame; threads without a stack by
/// the reason for that. The largest group is first; of equal groups, the one with the lowest tid.
pub(crate) fn groups(threads: &[ThreadPart]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = vec![];
    let mut at: HashMap<Key<'_>, usize> = HashMap::new();
    for thread in threads {
        match at.entry(Key::of(thread)) {
            Entry::Occupied(index) => groups[*index.get()].threads.push(thread),
            Entry::Vacant(index) => {
                index.insert(groups.len());
                groups.push(Group { threads: vec![thread] });
            }
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.threads.len()));
    groups
}

/// Equal for threads of one group.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    wait: Option<(&'a str, Option<&'a str>)>,
    truncated: bool,
    problem: Option<&'a str>,
    frames: Vec<CodePlace<'a>>,
}

/// Function, file, line; and the address, if the line is not known.
type CodePlace<'a> = (Option<&'a str>, Option<&'a str>, Option<u32>, Option<&'a str>);

impl<'a> Key<'a> {
    fn of(thread: &'a ThreadPart) -> Self {
        Key {
            wait: thread.wait.as_ref().map(|w| (w.kind.as_str(), w.address.as_deref())),
            truncated: thread.truncated,
            problem: thread.problem.as_deref(),
            frames: thread.frames.iter().map(place).collect(),
        }
    }
}

fn place(frame: &FramePart) -> CodePlace<'_> {
    let address = if frame.line.is_none() { Some(frame.pc.as_str()) } else { None };
    (frame.function.as_deref(), frame.file.as_deref(), frame.line, address)
}
