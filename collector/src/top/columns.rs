//! Which columns of the table have room, and how wide each is.

use super::words::TopWord;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Pid,
    Label,
    Allocator,
    Dso,
    Age,
    Bar,
    Threads,
    Cpu,
    Rss,
    Spark,
    State,
    Class,
    Command,
}

/// A column: the fewest columns of the terminal that it needs, those that it would like, and how long it
/// stays where room is short (the lowest goes first).
struct Wish {
    column: Column,
    least: usize,
    most: usize,
    stays: u8,
}

const WISHES: [Wish; 13] = {
    const fn wish(column: Column, least: usize, most: usize, stays: u8) -> Wish {
        Wish { column, least, most, stays }
    }
    [
        wish(Column::Pid, 7, 7, 10),
        wish(Column::Label, 7, 18, 8),
        wish(Column::Allocator, 6, 12, 5),
        wish(Column::Dso, 8, 11, 7),
        wish(Column::Age, 8, 9, 9),
        wish(Column::Bar, 4, 10, 3),
        wish(Column::Threads, 8, 15, 6),
        wish(Column::Cpu, 4, 4, 4),
        wish(Column::Rss, 5, 5, 4),
        wish(Column::Spark, 4, 12, 2),
        wish(Column::State, 6, 6, 10),
        wish(Column::Class, 8, 16, 1),
        wish(Column::Command, 24, 400, 0),
    ]
};

impl Column {
    pub(super) fn head(self) -> Option<TopWord> {
        Some(match self {
            Column::Pid => TopWord::Pid {},
            Column::Label => TopWord::LabelHead {},
            Column::Allocator => TopWord::Allocator {},
            Column::Dso => TopWord::Dso {},
            Column::Age => TopWord::Age {},
            Column::Threads => TopWord::Threads {},
            Column::Cpu => TopWord::Cpu {},
            Column::Rss => TopWord::Rss {},
            Column::State => TopWord::State {},
            Column::Class => TopWord::ClassHead {},
            Column::Command => TopWord::Command {},
            Column::Bar | Column::Spark => return None,
        })
    }

    /// Whether its text stands at the right.
    pub(super) fn is_right(self) -> bool {
        matches!(self, Column::Pid | Column::Age | Column::Cpu | Column::Rss)
    }
}

/// The columns for so much room, each with its width. One space stands between two.
pub(super) fn columns(room: usize) -> Vec<(Column, usize)> {
    let mut wishes: Vec<&Wish> = WISHES.iter().collect();
    let needs = |wishes: &[&Wish]| wishes.iter().map(|wish| wish.least + 1).sum::<usize>().saturating_sub(1);
    while needs(&wishes) > room && wishes.len() > 1 {
        let Some(at) = (0..wishes.len()).min_by_key(|at| wishes[*at].stays) else { break };
        wishes.remove(at);
    }
    let mut left = room.saturating_sub(needs(&wishes));
    let mut widths: Vec<(Column, usize)> = vec![];
    for wish in wishes {
        let more = (wish.most - wish.least).min(left);
        left -= more;
        widths.push((wish.column, (wish.least + more).min(room)));
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_whatever_the_room_is_and_go_in_their_order() {
        for room in 0..300 {
            let columns = columns(room);
            let sum: usize = columns.iter().map(|(_, width)| width + 1).sum::<usize>() - 1;
            assert!(sum <= room.max(1), "{room}: {columns:?}");
        }
        let has = |room, column| columns(room).iter().any(|(of, _)| *of == column);
        assert!(has(80, Column::Spark) && has(80, Column::Bar) && !has(80, Column::Class));
        assert!(has(160, Column::Command) && has(20, Column::State) && !has(20, Column::Cpu));
    }
}
