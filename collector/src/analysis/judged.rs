//! Whose malloc a run shows. A verdict about an allocator needs a hello of the program that is judged, in
//! which malloc comes from the run's DSO. The hello of a launcher (`flock`, `env`, a shell) proves nothing
//! about what it starts.
//!
//! The program that is judged is, in a run that hangs, the one that hangs. In a run that came to its end it
//! is the program at the end of the chain: the one that was started by all the others, or that did nearly
//! all of the work.

use serde::{Deserialize, Serialize};

use crate::text::message::{Say as _, Text, messages, say};

messages! {
    /// A program in a list of the programs of a run.
    pub(crate) ProgramText {
        Proven { exe, pid } => "{exe} (pid {pid}, hello with the DSO)", "{exe} (pid {pid}、DSO の使用を確認)";
        Silent { exe, pid } => "{exe} (pid {pid}, no hello)", "{exe} (pid {pid}、応答なし)";
        Elsewhere { exe, pid, malloc } => "{exe} (pid {pid}, malloc from {malloc})",
            "{exe} (pid {pid}、malloc は {malloc})";
        Unproven { exe, pid, why } => "{exe} (pid {pid}, {why})", "{exe} (pid {pid}、{why})";
        Unseen {} => "programs that ended before they were seen", "観測する前に終了したプログラム";
        Nobody {} => "no program was seen", "プログラムを観測できなかった";
    }
}

/// A program did nearly all of the work if it used so many times the CPU time of another one. The other one
/// is counted with at least one clock tick.
const FAR_MORE: u64 = 100;
/// Longest list of programs that is kept with a run.
const MOST: usize = 24;

/// What a program said of its malloc.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Told {
    /// It said no hello.
    Nothing,
    /// malloc comes from this file, which is not the run's DSO.
    Elsewhere { malloc: String },
    /// Its hello is no proof for another reason.
    Unproven { why: String },
    /// malloc comes from the run's DSO: the same file by its identity, or the same bytes, or both.
    Proven { same_file: bool, same_bytes: bool },
}

/// A program of a run: an image of a process, from one exec to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) pid: u32,
    /// The process that started it.
    pub(crate) ppid: u32,
    pub(crate) exe: String,
    /// CPU time of its process, clock ticks.
    pub(crate) ticks: u64,
    /// No later program was seen in its process.
    pub(crate) last: bool,
    /// By its name it does little but start others.
    #[serde(default)]
    pub(crate) launcher: bool,
    pub(crate) told: Told,
}

/// What the children of the first process show that nobody has seen: from its `stat` after its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Children {
    /// The first process. 0: the run goes on.
    pub(crate) of: u32,
    /// It has waited for a child.
    pub(crate) any: bool,
    /// CPU time of those children, clock ticks.
    pub(crate) ticks: u64,
}

/// Why the hello of the judged program is no proof for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Doubt {
    /// No program of the run is known.
    Nobody,
    /// The judged program said no hello, or its malloc comes from elsewhere.
    NotProven,
    /// This program (an index) may be the one that counts, and it is not proven.
    Another(usize),
    /// The judged program started others, which ended before anybody saw them.
    Unseen,
}

/// The programs of a run, and the one that is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// In the order in which they came.
    pub(crate) programs: Vec<Program>,
    /// Index of the program that is judged.
    pub(crate) index: Option<usize>,
    /// None: its hello proves the DSO.
    pub(crate) doubt: Option<Doubt>,
}

impl Judged {
    /// Of a run whose processes go on, or that has ended. `children`: those of the first process, which are
    /// known after its end.
    pub(crate) fn at_end(programs: Vec<Program>, children: Children) -> Judged {
        let all = &programs;
        let worker = |at: usize| is_worker(all, at);
        let lasts = || (0..all.len()).filter(|at| all[*at].last);
        let key = |at: &usize| (worker(*at), all[*at].ticks, *at);
        let Some(index) = lasts().max_by_key(key) else {
            return Judged { programs, index: None, doubt: Some(Doubt::Nobody) }.shortened();
        };
        let judged = &all[index];
        let another = lasts().find(|at| {
            let other = &all[*at];
            let above = !worker(*at) && below(all, *at).any(|b| b == index || all[b].is_proven());
            !other.is_proven() && !above && !is_far_more(judged.ticks, other.ticks)
        });
        let unseen = if judged.pid == children.of {
            children.any
                && all.iter().all(|p| p.pid == judged.pid)
                && !is_far_more(judged.ticks, children.ticks)
        } else {
            // Nobody knows whether another process than the first one had children.
            children.of != 0 && judged.launcher && !is_far_more(judged.ticks, 0)
        };
        let doubt = match another {
            _ if !judged.is_proven() => Some(Doubt::NotProven),
            Some(at) => Some(Doubt::Another(at)),
            None if unseen => Some(Doubt::Unseen),
            None => None,
        };
        Judged { programs, index: Some(index), doubt }.shortened()
    }

    /// Of a run that hangs in process `pid`. `programs` are those of its live processes.
    pub(crate) fn at_hang(programs: Vec<Program>, pid: u32) -> Judged {
        let all = &programs;
        let index = (0..all.len()).rev().find(|at| all[*at].pid == pid && all[*at].last);
        let Some(index) = index else {
            return Judged { programs, index: None, doubt: Some(Doubt::Nobody) }.shortened();
        };
        let judged = &all[index];
        let another = (0..all.len()).find(|at| {
            let other = &all[*at];
            let leaf = other.last && other.pid != pid && below(all, *at).next().is_none();
            leaf && other.told == Told::Nothing && !is_far_more(judged.ticks, other.ticks)
        });
        let doubt = match another {
            _ if !judged.is_proven() => Some(Doubt::NotProven),
            another => another.map(Doubt::Another),
        };
        Judged { programs, index: Some(index), doubt }.shortened()
    }

    /// The judged program, if its hello proves the DSO.
    pub(crate) fn proven(&self) -> Option<&Program> {
        self.program().filter(|_| self.doubt.is_none())
    }

    /// The judged program said a hello that proves the DSO in it. Another program may be the one that counts.
    pub(crate) fn has_dso(&self) -> bool {
        self.program().is_some_and(Program::is_proven)
    }

    pub(crate) fn program(&self) -> Option<&Program> {
        self.programs.get(self.index?)
    }

    /// The program that lacks the proof; the judged one if none does.
    pub(crate) fn in_doubt(&self) -> Option<&Program> {
        match self.doubt {
            Some(Doubt::Another(at)) => self.programs.get(at),
            _ => self.program(),
        }
    }

    /// A program in front of the judged one, if there is one: the first that was started.
    pub(crate) fn launcher(&self) -> Option<&Program> {
        let judged = self.program()?;
        self.programs.first().filter(|first| (first.pid, &first.exe) != (judged.pid, &judged.exe))
    }

    /// The programs in the order in which they came, with what each told.
    pub(crate) fn chain(&self) -> Text {
        let unseen = (self.doubt == Some(Doubt::Unseen)).then(|| ProgramText::Unseen {}.said());
        let texts: Vec<Text> = self.programs.iter().map(|p| p.text().said()).chain(unseen).collect();
        match texts.is_empty() {
            true => ProgramText::Nobody {}.said(),
            false => Text::of(|lang| texts.iter().map(|t| t.text(lang)).collect::<Vec<_>>().join(" > ")),
        }
    }

    /// Keeps the programs that matter: the first ones, the judged one, and the one in doubt.
    fn shortened(mut self) -> Judged {
        if self.programs.len() <= MOST {
            return self;
        }
        let doubt = match self.doubt {
            Some(Doubt::Another(at)) => Some(at),
            _ => None,
        };
        let wanted = |at: usize| at < MOST - 2 || Some(at) == self.index || Some(at) == doubt;
        let kept: Vec<usize> = (0..self.programs.len()).filter(|at| wanted(*at)).collect();
        let place = |at: usize| kept.iter().position(|kept| *kept == at);
        self.index = self.index.and_then(place);
        if let Some(at) = doubt.and_then(place) {
            self.doubt = Some(Doubt::Another(at));
        }
        self.programs = kept.iter().map(|at| self.programs[*at].clone()).collect();
        self
    }
}

impl Program {
    pub(crate) fn is_proven(&self) -> bool {
        matches!(self.told, Told::Proven { .. })
    }

    fn text(&self) -> ProgramText {
        let (exe, pid) = (&self.exe, self.pid);
        match &self.told {
            Told::Proven { .. } => say!(ProgramText::Proven { exe, pid }),
            Told::Nothing => say!(ProgramText::Silent { exe, pid }),
            Told::Elsewhere { malloc } => say!(ProgramText::Elsewhere { exe, pid, malloc }),
            Told::Unproven { why } => say!(ProgramText::Unproven { exe, pid, why }),
        }
    }
}

fn is_far_more(ticks: u64, than: u64) -> bool {
    ticks >= FAR_MORE * than.max(1)
}

/// A program that starts nothing, or that works far more than all that it starts.
fn is_worker(all: &[Program], at: usize) -> bool {
    let most = below(all, at).map(|b| all[b].ticks).max();
    most.is_none_or(|most| is_far_more(all[at].ticks, most))
}

/// The programs of the processes that a program has started, and of those that these have started. What an
/// earlier or a later program of its process has started is not among them.
fn below(all: &[Program], at: usize) -> impl Iterator<Item = usize> {
    let next = (at + 1..all.len()).find(|next| all[*next].pid == all[at].pid).unwrap_or(all.len());
    let own_child = |child: usize| all[child].ppid == all[at].pid && (at..next).contains(&child);
    let mut pids: Vec<u32> = vec![];
    let mut found = vec![];
    loop {
        let is_new = |at: &usize| {
            let program = &all[*at];
            (own_child(*at) || pids.contains(&program.ppid)) && !pids.contains(&program.pid)
        };
        let new: Vec<usize> = (0..all.len()).filter(is_new).collect();
        if new.is_empty() {
            return found.into_iter();
        }
        pids.extend(new.iter().map(|at| all[*at].pid));
        found.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DSO: Told = Told::Proven { same_file: true, same_bytes: true };

    fn program(pid: u32, ppid: u32, exe: &str, ticks: u64, told: Told) -> Program {
        Program { pid, ppid, exe: exe.to_owned(), ticks, last: true, launcher: exe == "xargs", told }
    }

    fn at_end(programs: &[Program]) -> Judged {
        let any = programs.iter().any(|program| program.pid != programs[0].pid);
        Judged::at_end(programs.to_vec(), Children { of: programs[0].pid, any, ticks: 0 })
    }

    fn proven(judged: &Judged) -> Option<&str> {
        judged.proven().map(|program| program.exe.as_str())
    }

    #[test]
    fn the_hello_of_a_launcher_does_not_stand_for_what_it_starts() {
        let flock = program(10, 1, "flock", 0, DSO);
        let judged = at_end(&[flock.clone(), program(11, 10, "bench", 0, Told::Nothing)]);
        assert_eq!((judged.index, judged.doubt), (Some(1), Some(Doubt::NotProven)));
        let judged = at_end(&[flock.clone(), program(11, 10, "bench", 0, DSO)]);
        assert_eq!(proven(&judged), Some("bench"));
        assert_eq!(judged.launcher().unwrap().exe, "flock");
        // A launcher with a large start of its own is none the less a launcher.
        let python = program(10, 1, "python3", 30, DSO);
        let judged = at_end(&[python, program(11, 10, "bench", 0, Told::Nothing)]);
        assert_eq!(proven(&judged), None);
        // One of several programs that it starts, one after the other.
        let judged = at_end(&[
            flock.clone(),
            program(11, 10, "date", 0, DSO),
            program(12, 10, "bench", 100, Told::Nothing),
        ]);
        assert_eq!((judged.index, judged.doubt), (Some(2), Some(Doubt::NotProven)));
        let static_launcher = program(10, 1, "busybox", 1, Told::Nothing);
        let judged = at_end(&[static_launcher, program(11, 10, "bench", 9, DSO)]);
        assert_eq!(proven(&judged), Some("bench"));
    }

    #[test]
    fn a_program_that_executes_another_is_judged_by_the_last_one() {
        let env = Program { last: false, ..program(10, 1, "env", 0, DSO) };
        let judged = at_end(&[env.clone(), program(10, 1, "bench", 50, Told::Nothing)]);
        assert_eq!((judged.index, judged.doubt), (Some(1), Some(Doubt::NotProven)));
        let helper = program(9, 10, "helper", 0, DSO);
        let script = Program { last: false, ..program(10, 1, "sh", 0, DSO) };
        let judged = at_end(&[script, helper, program(10, 1, "bench", 5, Told::Nothing)]);
        assert_eq!((judged.index, judged.doubt), (Some(2), Some(Doubt::NotProven)));
        let judged = at_end(&[env, program(10, 1, "bench", 50, DSO)]);
        assert_eq!((proven(&judged), judged.launcher().unwrap().exe.as_str()), (Some("bench"), "env"));
    }

    #[test]
    fn a_small_helper_of_a_benchmark_is_not_judged() {
        let helper = program(11, 10, "helper", 1, Told::Nothing);
        let judged = at_end(&[program(10, 1, "bench", 100, DSO), helper.clone()]);
        assert_eq!(proven(&judged), Some("bench"));
        let judged = at_end(&[program(10, 1, "bench", 99, DSO), helper]);
        assert_eq!(proven(&judged), None);
        // Beside it in a pipeline.
        let all = |ticks| {
            [
                program(10, 1, "sh", 0, DSO),
                program(11, 10, "bench", ticks, DSO),
                program(12, 10, "tee", 1, Told::Nothing),
            ]
        };
        assert_eq!(at_end(&all(50)).doubt, Some(Doubt::Another(2)));
        assert_eq!(proven(&at_end(&all(200))), Some("bench"));
    }

    #[test]
    fn children_that_nobody_has_seen_leave_a_doubt() {
        let of = |ticks, children| Judged::at_end(vec![program(10, 1, "flock", ticks, DSO)], children);
        assert_eq!(of(0, Children { of: 10, any: true, ticks: 0 }).doubt, Some(Doubt::Unseen));
        assert_eq!(of(0, Children { of: 10, any: false, ticks: 0 }).doubt, None);
        assert_eq!(of(500, Children { of: 10, any: true, ticks: 2 }).doubt, None);
        assert_eq!(Judged::at_end(vec![], Children::default()).doubt, Some(Doubt::Nobody));
        let below = |exe| vec![program(10, 1, "sh", 0, DSO), program(11, 10, exe, 1, DSO)];
        let ended = |exe| Judged::at_end(below(exe), Children { of: 10, any: true, ticks: 9 });
        assert_eq!(ended("xargs").doubt, Some(Doubt::Unseen));
        assert_eq!(proven(&ended("bench")), Some("bench"));
        assert_eq!(proven(&Judged::at_end(below("xargs"), Children::default())), Some("xargs"), "it goes on");
    }

    #[test]
    fn of_a_hang_the_stuck_process_is_judged() {
        let flock = program(10, 1, "flock", 0, DSO);
        let stuck = |told| program(11, 10, "bench", 7, told);
        let judged = Judged::at_hang(vec![flock.clone(), stuck(Told::Nothing)], 11);
        assert_eq!((judged.index, judged.doubt), (Some(1), Some(Doubt::NotProven)));
        assert_eq!(proven(&Judged::at_hang(vec![flock.clone(), stuck(DSO)], 11)), Some("bench"));
        // The launcher has a dump, and what it started has no hello.
        let judged = Judged::at_hang(vec![flock, stuck(Told::Nothing)], 10);
        assert_eq!((judged.doubt, judged.has_dso()), (Some(Doubt::Another(1)), true));
        assert_eq!(Judged::at_hang(vec![stuck(DSO)], 99).doubt, Some(Doubt::Nobody));
    }

    #[test]
    fn a_long_list_keeps_what_matters() {
        let mut all = vec![program(10, 1, "make", 0, DSO)];
        all.extend((11..100).map(|pid| program(pid, 10, "cc", 1, DSO)));
        all.push(program(100, 10, "bench", 500, Told::Nothing));
        let judged = at_end(&all);
        assert!(judged.programs.len() <= MOST, "{}", judged.programs.len());
        assert_eq!(judged.program().unwrap().exe, "bench");
        assert_eq!(judged.doubt, Some(Doubt::NotProven));
    }
}
