//! `loop.txt`: the loop of the hot thread, instruction by instruction, with its source. The file is English.
//! Where there is no loop it has one line that says why.

use crate::analysis::hot_loop::{HotLoop, LoopInstruction, LoopRegister, LoopWord, RegisterHow};
use crate::evidence::threads_file::{Excerpt, ThreadsFile};
use crate::text::escape;
use crate::text::message::{Say as _, Text, counted, say};
use crate::text::view::View;

/// Most instructions of the short form.
const FEW: usize = 12;

pub(crate) fn text(file: &ThreadsFile) -> String {
    let Some(one) = &file.finding.hot_loop else {
        let why = file.finding.no_loop.as_ref().map_or("it was not looked for", |why| why.en());
        return format!("# no hot loop: {}\n", escape::line(why));
    };
    let mut text = format!("# {}\n# {}\n", escape::line(&place(one)), escape::line(one.summary.en()));
    if one.with_registers < one.inside {
        let with = one.with_registers;
        text += &format!("# of {} samples in the loop, {with} have registers\n", one.inside);
    }
    if one.more > 0 {
        text += &format!("# {} more instructions of the loop are left out\n", one.more);
    }
    text += "\nsamples   share  offset    instruction\n";
    for line in lines(one, Some(&file.excerpts)) {
        text += &format!("{}\n", escape::line(&line));
    }
    if !one.registers.is_empty() {
        text += &format!("\nregisters, in {} samples\n", one.with_registers);
        text += &block(one.registers.iter().map(register));
    }
    if !one.words.is_empty() {
        text += "\nwords that it reads in memory, in two readings\n";
        text += &block(one.words.iter().map(word));
    }
    if !file.excerpts.is_empty() {
        text += "\nsource\n";
        text += &block(file.excerpts.iter().flat_map(source));
    }
    text
}

fn block(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| format!("  {}\n", escape::line(&line))).collect()
}

/// `tid 8181 in `f` (f.c:87) of libhz4.so: 597 of 597 samples`.
pub(crate) fn place(one: &HotLoop) -> String {
    let function = one.function.as_deref().unwrap_or("?");
    let source = one.source.as_deref().map_or_else(String::new, |source| format!(" ({source})"));
    let dso = one
        .dso
        .as_deref()
        .map_or_else(String::new, |path| format!(" of {}", path.rsplit('/').next().unwrap_or(path)));
    format!("tid {} in `{function}`{source}{dso}: {} of {} samples", one.tid, one.inside, one.samples)
}

/// What the loop does, for a report.
pub(crate) fn sentence(one: &HotLoop) -> Text {
    let function = one.function.as_deref().unwrap_or("?");
    say!(View::LoopOf { tid: one.tid, function, summary: one.summary }).said()
}

/// The instructions, as few as a report shows: those with samples, and those beside them.
pub(crate) fn short(one: &HotLoop) -> Vec<String> {
    let mut shown = lines(one, None);
    if one.instructions.len() > FEW {
        let left_out = one.instructions.iter().filter(|i| i.samples == 0).count();
        let some = HotLoop {
            instructions: one.instructions.iter().filter(|i| i.samples > 0).take(FEW).cloned().collect(),
            ..one.clone()
        };
        shown = lines(&some, None);
        let left_out = left_out.max(one.instructions.len() - some.instructions.len());
        shown.push(format!("... (+{left_out})"));
    }
    shown
}

/// The instructions, each under its source line where that changes.
pub(crate) fn lines(one: &HotLoop, excerpts: Option<&[Excerpt]>) -> Vec<String> {
    let mut lines = vec![];
    let (mut last, mut said) = (None, std::collections::BTreeSet::new());
    for i in &one.instructions {
        let place = i.file.clone().zip(i.line);
        if place.is_some() && place != last {
            lines.push(source_line(
                i,
                excerpts.unwrap_or_default(),
                excerpts.is_none() || !said.insert(i.file.clone()),
            ));
            last = place;
        }
        let share = 100.0 * f64::from(i.samples) / f64::from(one.samples.max(1));
        let offset = match (i.offset, &i.dso_offset) {
            (Some(offset), _) => format!("+{offset:#x}"),
            (None, Some(offset)) => offset.clone(),
            (None, None) => i.pc.clone(),
        };
        let samples = if i.samples > 0 { format!("{:7} {share:5.1} %", i.samples) } else { " ".repeat(15) };
        lines.push(format!("{samples}  {offset:8}  {}", i.text));
    }
    lines
}

/// `f.c:87: while (...)`, or the place alone.
fn source_line(i: &LoopInstruction, excerpts: &[Excerpt], short: bool) -> String {
    let (file, line) = (i.file.as_deref().unwrap_or("?"), i.line.unwrap_or(0));
    let name = if short { file.rsplit('/').next().unwrap_or(file) } else { file };
    let of = |excerpt: &&Excerpt| excerpt.file == file;
    let text = excerpts
        .iter()
        .filter(of)
        .find_map(|excerpt| excerpt.lines.get(usize::try_from(line.checked_sub(excerpt.first)?).ok()?));
    let function = i.function.as_deref().filter(|f| Some(*f) != i.within.as_deref());
    let function = function.map_or_else(String::new, |f| format!(" in `{f}`"));
    match text {
        Some(text) => format!("{:17}{name}:{line}{function}:  {}", "", text.trim()),
        None => format!("{:17}{name}:{line}{function}", ""),
    }
}

/// `rax  constant  0x7f..  (g_bins+64)`.
pub(crate) fn register(register: &LoopRegister) -> String {
    let values = &register.values;
    let points_to = register.points_to.as_deref().map_or_else(String::new, |to| format!(" ({to})"));
    let what = match (register.how, &values[..]) {
        (RegisterHow::Constant, [value]) => format!("constant {value}{points_to}"),
        (RegisterHow::Counting, [from, to]) => format!("counting, from {from} to {to}"),
        (RegisterHow::Round, [first, rest @ ..]) => {
            // Only of the first value is it known what it points to.
            let all = [&[format!("{first}{points_to}")], rest].concat();
            format!("round through {} values: {}", all.len(), all.join(", "))
        }
        _ => "varying".to_owned(),
    };
    format!("{:4} {what}", register.name)
}

pub(crate) fn word(word: &LoopWord) -> String {
    let name = word.symbol.as_deref().map_or_else(String::new, |symbol| format!(" ({symbol})"));
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "not read".to_owned());
    let [first, second] = &word.values;
    let bytes = counted(&word.size.to_string(), "byte");
    format!("{}{name}, {bytes}: {}, {}", word.address, value(first), value(second))
}

/// The lines of an excerpt, `>` before those that are meant.
pub(crate) fn source(excerpt: &Excerpt) -> Vec<String> {
    let newer =
        if excerpt.newer { " (changed after the DSO was built: other lines are possible)" } else { "" };
    let mut lines = vec![format!("{}{newer}", excerpt.file)];
    lines.extend((excerpt.first..).zip(&excerpt.lines).map(|(n, line)| {
        let mark = if excerpt.marked.contains(&n) { '>' } else { ' ' };
        format!("{mark} {n:5}  {}", line.replace('\t', "    "))
    }));
    lines
}
