//! Kinds of hangs whose truth is known: a C program in `tests/kinds`, and what a hunt of it must say. A row of the table is a
//! test in `tests/all/kinds.rs`, and each test adds a line to the printed table (`target/kinds`).

mod forks;
mod launched;
mod locks;
mod progress;
mod run;
mod spinning;
mod views;
mod whose;
mod words;

pub use run::{build, check, check_started_through_loader, is_possible};

/// Where malloc comes from in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// The row's own file, built with -DALLOCATOR.
    Own,
    /// A library of a Debian package, such as `libjemalloc.so.2`.
    Debian(&'static str),
}

/// A second DSO of the row's own allocator, from the same file, built with -DCORE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    None,
    /// The first DSO needs it (DT_NEEDED), and finds it beside itself.
    Needed,
    /// The first DSO opens CORE_FILE, which it finds beside itself.
    Opened,
}

/// A kind of hang, and what must be said of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Number of the kind in the printed table.
    pub kind: u8,
    pub name: &'static str,
    /// File in `tests/kinds`.
    pub source: &'static str,
    pub allocator: Allocator,
    pub core: Core,
    /// Further arguments of the compiler, for both builds.
    pub flags: &'static [&'static str],
    /// The command before the program: `flock FILE env -i`.
    pub launcher: &'static [&'static str],
    pub args: &'static [&'static str],
    /// A command that fails where the row is not possible; `PROGRAM` stands for the built program. Empty: it is
    /// possible everywhere.
    pub needs: &'static [&'static str],
    /// Exit status of the hunt.
    pub status: i32,
    pub verdict: &'static str,
    /// Null in verdict.json where it is none.
    pub class: Option<&'static str>,
    pub cause: Option<&'static str>,
    /// `proven`: it must be. `likely`: it must not be proven. `either`: it depends on where the loop was
    /// sampled.
    pub confidence: &'static str,
    /// Symbol of the lock; none: not looked at.
    pub lock: Option<&'static str>,
    /// Name of the owner's thread; none: the finding must name no owner.
    pub owner: Option<&'static str>,
    /// Function of the culprit; none: not looked at.
    pub culprit: Option<&'static str>,
    /// What the headline must contain.
    pub says: &'static [&'static str],
    /// What neither the headline nor the evidence may contain.
    pub never: &'static [&'static str],
}

impl Kind {
    pub fn named(name: &str) -> &'static Kind {
        TABLE
            .iter()
            .copied()
            .flatten()
            .find(|k| k.name == name)
            .unwrap_or_else(|| panic!("no kind is named {name:?}"))
    }

    pub fn letter(&self) -> &'static str {
        match self.verdict {
            "allocator-bug" => "B",
            "dso-mixup" => "A",
            _ => "-",
        }
    }
}

/// A proven bug of the row's own allocator. Other rows start from this one.
const BUG: Kind = Kind {
    kind: 0,
    name: "",
    source: "",
    allocator: Allocator::Own,
    core: Core::None,
    flags: &[],
    launcher: &[],
    args: &[],
    needs: &[],
    status: 10,
    verdict: "allocator-bug",
    class: None,
    cause: None,
    confidence: "proven",
    lock: None,
    owner: None,
    culprit: None,
    says: &[],
    never: &[],
};

/// A proven bug of the program.
const HARNESS: Kind = Kind { verdict: "harness-bug", ..BUG };

/// One slice for each file of rows.
pub const TABLE: &[&[Kind]] = &[
    launched::ROWS,
    locks::ROWS,
    forks::ROWS,
    views::ROWS,
    spinning::ROWS,
    whose::ROWS,
    words::ROWS,
    progress::ROWS,
];
