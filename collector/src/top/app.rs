//! The state of the view. It does no I/O and has no clock.

use super::look::Look;
use super::order::Sort;
use super::words::TopWord;
use crate::live::model::{Dump, OneProcess, Process, Status};
use crate::text::escape;
use crate::text::message::{Say as _, Text, say};

/// Most characters of a mark.
const MOST_MARK: usize = 200;

/// A key that has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C.
    Interrupt,
    Char(char),
}

/// What the outside must do after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Quit,
    /// Ask for a dump of the process with this key.
    Dump(u64),
    /// Write a remark to the process with this key.
    Mark(u64, String),
    /// From now on ask for this process, too; for none.
    Watch(Option<u64>),
}

/// How the job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ended,
    Killed,
}

/// An open process.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// As it was told last.
    pub(super) process: Process,
    pub(super) dump: Option<Dump>,
    /// Lines that are scrolled away.
    pub(super) scrolled: usize,
    /// The job does not list it any more.
    pub(super) gone: bool,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(super) look: Look,
    /// The last that was told, its processes in the order of the screen.
    pub(super) told: Option<Status>,
    pub(super) end: Option<End>,
    /// For how long the job has not answered, seconds; 0: it answers.
    pub(super) silent_s: f64,
    pub(super) sort: Sort,
    /// Key of the selected process.
    pub(super) selected: Option<u64>,
    /// Where it is, or was.
    at: usize,
    /// The first process on the screen.
    pub(super) first: usize,
    pub(super) opened: Option<Opened>,
    pub(super) help: bool,
    /// A remark that is being typed, and its process.
    pub(super) typing: Option<(u64, u32, String)>,
    pub(super) message: Option<Text>,
    /// Lines of the screen that scroll, as drawn last.
    pub(super) page: usize,
    /// Most lines that can be scrolled away in an open process, as drawn last.
    pub(super) most_scrolled: usize,
}

impl App {
    pub(crate) fn new(look: Look) -> App {
        App {
            look,
            told: None,
            end: None,
            silent_s: 0.0,
            sort: Sort::default(),
            selected: None,
            at: 0,
            first: 0,
            opened: None,
            help: false,
            typing: None,
            message: None,
            page: 1,
            most_scrolled: 0,
        }
    }

    /// Process id of a process with this key; 0 if it is not known any more.
    pub(super) fn pid_of(&self, key: u64) -> u32 {
        let opened = self.opened.as_ref().map(|opened| &opened.process);
        let mut all = self.processes().iter().chain(opened);
        all.find(|process| process.key == key).map_or(0, |process| process.pid)
    }

    fn processes(&self) -> &[Process] {
        self.told.as_ref().map_or(&[], |told| &told.processes)
    }

    /// Takes what the job tells.
    pub(crate) fn tell(&mut self, mut status: Status) {
        self.silent_s = 0.0;
        self.sort.sort(&mut status.processes);
        self.told = Some(status);
        self.settle();
    }

    /// Takes what the job tells of the open process.
    pub(crate) fn tell_of(&mut self, one: OneProcess) {
        let Some(opened) = &mut self.opened else { return };
        match one.process {
            Some(process) if process.key == opened.process.key => {
                opened.process = process;
                opened.dump = one.dump;
            }
            Some(_) => {}
            None => opened.gone = true,
        }
    }

    /// The job does not answer, for so many seconds.
    pub(crate) fn is_silent(&mut self, seconds: f64) {
        self.silent_s = seconds;
    }

    pub(crate) fn ended(&mut self, end: End) {
        self.end = Some(end);
        self.message = None;
    }

    /// Shows a line.
    pub(crate) fn show(&mut self, line: Text) {
        self.message = Some(line);
    }

    fn say(&mut self, line: &TopWord) {
        self.show(line.said());
    }

    /// Finds the selected process again. The selection goes to no other process by itself.
    fn settle(&mut self) {
        let processes = self.told.as_ref().map_or(&[][..], |told| &told.processes);
        match self.selected {
            None => self.selected = processes.first().map(|process| process.key),
            Some(key) => match processes.iter().position(|process| process.key == key) {
                Some(at) => self.at = at,
                None => self.at = self.at.min(processes.len()),
            },
        }
    }

    /// The selected process, if the job still lists it; the open one while one is open.
    fn subject(&self) -> Option<&Process> {
        match &self.opened {
            Some(opened) => Some(&opened.process),
            None => self.processes().iter().find(|process| Some(process.key) == self.selected),
        }
    }

    /// Takes a key.
    pub(crate) fn press(&mut self, key: Key) -> Option<Act> {
        if key == Key::Interrupt {
            return Some(Act::Quit);
        }
        if self.typing.is_some() {
            return self.type_mark(key);
        }
        self.message = None;
        if self.help {
            self.help = false;
            return None;
        }
        match key {
            Key::Char('q') => return Some(Act::Quit),
            Key::Char('?' | 'h') => self.help = true,
            Key::Char('d') => return self.ask_dump(),
            Key::Char('m') => self.begin_mark(),
            Key::Escape if self.opened.is_some() => {
                self.opened = None;
                return Some(Act::Watch(None));
            }
            Key::Escape => return Some(Act::Quit),
            Key::Char('s') if self.opened.is_none() => {
                self.sort = self.sort.next();
                let sort = self.sort;
                self.told.iter_mut().for_each(|told| sort.sort(&mut told.processes));
                self.settle();
            }
            Key::Enter if self.opened.is_none() => return self.open(),
            key => self.go(key),
        }
        None
    }

    fn open(&mut self) -> Option<Act> {
        let Some(process) = self.subject().cloned() else {
            self.say_nobody();
            return None;
        };
        let key = process.key;
        self.opened = Some(Opened { process, dump: None, scrolled: 0, gone: false });
        Some(Act::Watch(Some(key)))
    }

    fn say_nobody(&mut self) {
        self.say(&TopWord::SelectFirst {});
    }

    fn ask_dump(&mut self) -> Option<Act> {
        let Some(process) = self.subject() else {
            self.say_nobody();
            return None;
        };
        let (key, pid) = (process.key, process.pid);
        let is_over = process.ended.is_some() || self.end.is_some();
        if is_over || self.opened.as_ref().is_some_and(|opened| opened.gone) {
            self.say(&say!(TopWord::HasEnded { pid }));
            return None;
        }
        self.say(&say!(TopWord::AskedDump { pid }));
        Some(Act::Dump(key))
    }

    fn begin_mark(&mut self) {
        match self.subject().map(|process| (process.key, process.pid)) {
            Some((key, pid)) => self.typing = Some((key, pid, String::new())),
            None => self.say_nobody(),
        }
    }

    fn type_mark(&mut self, key: Key) -> Option<Act> {
        let (process, pid, mut text) = self.typing.take()?;
        match key {
            Key::Escape => return None,
            Key::Enter => return Some(Act::Mark(process, text)),
            Key::Backspace => drop(text.pop()),
            Key::Char(c) if !escape::is_hidden(c) && text.chars().count() < MOST_MARK => text.push(c),
            _ => {}
        }
        self.typing = Some((process, pid, text));
        None
    }

    /// Moves the selection, or scrolls.
    fn go(&mut self, key: Key) {
        let page = self.page.max(1);
        let to = |at: usize, last: usize| match key {
            Key::Up | Key::Char('k') => Some(at.saturating_sub(1)),
            Key::Down | Key::Char('j') => Some((at + 1).min(last)),
            Key::PageUp => Some(at.saturating_sub(page)),
            Key::PageDown => Some((at + page).min(last)),
            Key::Home | Key::Char('g') => Some(0),
            Key::End | Key::Char('G') => Some(last),
            _ => None,
        };
        if let Some(opened) = &mut self.opened {
            if let Some(scrolled) = to(opened.scrolled, self.most_scrolled) {
                opened.scrolled = scrolled.min(self.most_scrolled);
            }
            return;
        }
        let processes = self.told.as_ref().map_or(&[][..], |told| &told.processes);
        let Some(last) = processes.len().checked_sub(1) else { return };
        // From a process that is gone, the next key goes to the one in its place.
        let is_there = processes.iter().any(|process| Some(process.key) == self.selected);
        let at = self.at.min(last);
        let next = if is_there { to(at, last) } else { to(at, last).map(|_| at) };
        if let Some(next) = next {
            self.at = next;
            self.selected = Some(processes[next].key);
        }
    }

    /// Where the window of `lines` processes begins, so that the selected one is in it.
    pub(super) fn window(&mut self, lines: usize) -> usize {
        let len = self.processes().len();
        let at = self.at.min(len.saturating_sub(1));
        if at < self.first {
            self.first = at;
        } else if at >= self.first + lines.max(1) {
            self.first = at + 1 - lines.max(1);
        }
        self.first = self.first.min(len.saturating_sub(lines));
        self.page = lines.max(1);
        self.first
    }
}
