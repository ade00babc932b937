//! `hangscope history`, and the options of the jobs that write to it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate};
use serde_json::json;

use crate::analysis::stats::Rate;
use crate::analysis::verdict::percent;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::console::table::table;
use crate::console::wrap::wrap;
use crate::files::{atomic, pin, private};
use crate::history::model::Workload;
use crate::history::query::{Filter, HungRun, Period, SignatureRow, Size};
use crate::history::seen::{day, short};
use crate::history::trend::{Trend, trends};
use crate::history::{JobRow, OF_SHARD, Recorder, Store, StoreError, default_file, refuse_foreign};
use crate::text::history::HistoryLine;
use crate::text::message::{Lang, Say as _, Text, say};

/// Whether a job's runs are remembered: of hunt, matrix and collect.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// Remember the runs in this file [default: hangscope/history.db in XDG_DATA_HOME, else in
    /// ~/.local/share].
    #[arg(long, value_name = "FILE", conflicts_with = "no_history", value_parser = absolute)]
    history: Option<PathBuf>,
    /// Do not remember the runs.
    #[arg(long)]
    no_history: bool,
}

/// Some jobs change their folder before they begin to write.
fn absolute(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|error| error.to_string())
}

impl HistoryArgs {
    /// Begins to write, unless the user does not want it or has no home folder. A shard writes to a file in its
    /// own folder, `shard`, unless the user gives another one: `merge` brings all of them to the user's.
    pub(super) fn begin(&self, job: JobRow, shard: Option<&Path>) -> anyhow::Result<Recorder> {
        let own = match shard.filter(|_| self.history.is_none() && !self.no_history) {
            Some(folder) => {
                atomic::make_dir(folder)?;
                Some(folder.join(OF_SHARD))
            }
            None => self.file(),
        };
        // What is wrong with the user's file is not to be found out after an hour.
        if let Some(file) = &self.history {
            refuse_foreign(file).map_err(|error| {
                usage(format!("{error}; give another file with --history FILE, or --no-history"))
            })?;
        }
        Ok(match own {
            Some(file) => Recorder::begin(file, job),
            None if self.no_history => Recorder::none(),
            None => Recorder::without_home(),
        })
    }

    /// The user's file; none: the user does not want it, or has no home folder.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.history.clone().or_else(default_file).filter(|_| !self.no_history)
    }
}

/// Says what is known of earlier hangs, and what could not be remembered.
pub(super) fn tell(earlier: &[Text], notes: &[Text]) {
    earlier.iter().for_each(|line| out::line(line.text(out::lang())));
    notes.iter().for_each(|note| out::error_line(format!("hangscope: {}", note.text(out::lang()))));
}

/// Show what ran before: how often each build hung, and which hangs are one bug.
///
/// hunt, matrix and collect remember their runs in one SQLite file: which build of which allocator ran, under
/// which command, lane and label, how the run ended, and the signature of a hang. The signature is made of
/// the class, the name of the lock and the innermost functions of the allocator. It stays the same in other
/// builds, so a hang is known again.
///
/// A run counts for the rate of a build if its malloc was proven to be that build, the DSO stayed intact, and
/// the run came to an end or hung.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope history\n  \
    hangscope history --name hz4 --by week\n  \
    hangscope history --so ./libhakozuna_hz4.so         # this build alone\n  \
    hangscope history --signature bf8e87a307a7          # each hang of one bug, with its evidence\n  \
    hangscope history --import night/history.db         # add the runs of another machine\n\n\
    To forget everything, remove the file (its name is in the first line).")]
pub(crate) struct Args {
    /// The file [default: hangscope/history.db in XDG_DATA_HOME, else in ~/.local/share].
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Only this allocator.
    #[arg(long)]
    name: Option<String>,
    /// Only this build: the file of a DSO, or the beginning of a SHA-1 or build-id.
    #[arg(long, value_name = "SO")]
    so: Option<String>,
    /// Only this lane of matrices.
    #[arg(long)]
    lane: Option<String>,
    /// Only runs with this label.
    #[arg(long)]
    label: Option<String>,
    /// Only runs from this day on, as 2026-02-13 (UTC).
    #[arg(long, value_name = "DATE", value_parser = date)]
    since: Option<f64>,
    /// Only hangs with this signature, or one that begins so. Lists each of them.
    #[arg(long, value_name = "ID")]
    signature: Option<String>,
    /// Count the runs of a build apart by time.
    #[arg(long, value_name = "PERIOD", default_value = "build")]
    by: Period,
    /// All rows, however many.
    #[arg(long)]
    all: bool,
    /// Add the runs of another history, of another machine. Twice is no more than once.
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
    /// Only one line of JSON on stdout: schema, file, size, trends, signatures; with --signature hangs, and no
    /// trends.
    #[arg(long)]
    json: bool,
}

/// Most builds of one workload, most workloads and most signatures without `--all`.
const MOST_ROWS: usize = 20;

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    private::keep(false);
    let Some(file) = args.history.clone().or_else(default_file) else {
        return Err(usage("no home folder is known (HOME): give --history FILE"));
    };
    let ours = |error: StoreError| anyhow::anyhow!("history: {error}; give another file with --history FILE");
    let store = if args.import.is_empty() {
        Store::open_to_read(&file).map_err(ours)?
    } else {
        let mut store = Store::open_to_add(&file).map_err(ours)?;
        for other in &args.import {
            let runs = store.import(other).context("history: --import")?;
            out::say(&say!(HistoryLine::Imported { file: other.display(), runs }));
        }
        store
    };
    let shown = Shown::read(&store, &filter(&args)?, &args).map_err(ours)?;
    match args.json {
        true => out::json(&shown.json(&file))?,
        false => out::text(shown.text(&file, args.all, out::lang())),
    }
    Ok(Status::NoHang)
}

fn filter(args: &Args) -> anyhow::Result<Filter> {
    let build = args.so.as_ref().map(|so| {
        let is_digits = so.len() >= 4 && so.bytes().all(|byte| byte.is_ascii_hexdigit());
        match std::fs::read(so) {
            Ok(bytes) => Ok(pin::sha1_hex(&bytes)),
            Err(_) if is_digits => Ok(so.to_ascii_lowercase()),
            Err(e) => Err(usage(format!(
                "cannot read {so}: {e}; give a DSO, or 4 or more digits of a SHA-1 or build-id"
            ))),
        }
    });
    Ok(Filter {
        allocator: args.name.clone(),
        build: build.transpose()?,
        lane: args.lane.clone(),
        label: args.label.clone(),
        signature: args.signature.clone(),
        since: args.since,
    })
}

/// The beginning of a day in UTC, seconds since the epoch.
fn date(text: &str) -> Result<f64, String> {
    let date =
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| "give a day as 2026-02-13".to_owned())?;
    Ok(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() as f64)
}

/// What is shown.
struct Shown {
    size: Size,
    /// Of `--since`.
    after: Option<f64>,
    /// None with `--signature`.
    trends: Vec<Trend>,
    signatures: Vec<SignatureRow>,
    /// None without `--signature`.
    hangs: Option<Vec<HungRun>>,
}

impl Shown {
    fn read(store: &Store, filter: &Filter, args: &Args) -> Result<Shown, StoreError> {
        Ok(Shown {
            size: store.size()?,
            // A rate of runs that hung is none.
            trends: match args.signature {
                Some(_) => vec![],
                None => trends(store.groups(filter, args.by)?),
            },
            after: args.since,
            signatures: store.signatures(filter)?,
            hangs: args.signature.is_some().then(|| store.hangs(filter)).transpose()?,
        })
    }

    fn json(&self, file: &Path) -> serde_json::Value {
        json!({
            "schema": "hangscope/history/1",
            "file": file.display().to_string(),
            "size": self.size,
            "trends": self.trends,
            "signatures": self.signatures,
            "hangs": self.hangs,
        })
    }

    fn text(&self, file: &Path, all: bool, lang: Lang) -> String {
        let Some(since) = self.size.since else {
            return say!(HistoryLine::Nothing { file: file.display() }).text(lang) + "\n";
        };
        let Size { runs, hangs, jobs, .. } = self.size;
        let head = say!(HistoryLine::Head { file: file.display(), runs, hangs, jobs, since: day(since) });
        let mut text = head.text(lang) + "\n";
        if self.trends.is_empty() && self.hangs.as_ref().is_none_or(Vec::is_empty) {
            return text + "\n" + &HistoryLine::NothingMatches {}.text(lang) + "\n";
        }
        if let Some(hangs) = &self.hangs {
            text += &format!("\n{}", signatures(&self.signatures, all, lang));
            return text + "\n" + &each(hangs, all, lang);
        }
        let shown = if all { self.trends.len() } else { MOST_ROWS };
        for trend in self.trends.iter().take(shown) {
            text += &format!("\n{}", of_trend(trend, self.after, all, lang));
        }
        text += &more(self.trends.len(), shown, lang);
        if !self.signatures.is_empty() {
            text += &format!(
                "\n{}\n{}",
                HistoryLine::Hangs {}.text(lang),
                signatures(&self.signatures, all, lang)
            );
        }
        text
    }
}

/// `2 rows more`, if there are more than are shown.
fn more(of: usize, shown: usize, lang: Lang) -> String {
    match of.saturating_sub(shown) {
        0 => String::new(),
        more => say!(HistoryLine::More { more }).text(lang) + "\n",
    }
}

fn of_trend(trend: &Trend, after: Option<f64>, all: bool, lang: Lang) -> String {
    let title = say!(HistoryLine::Of { allocator: trend.allocator, workload: workload(&trend.workload) });
    let by_time = trend.builds.iter().any(|build| !build.group.period.is_empty());
    let mut head =
        vec![HistoryLine::Build {}, HistoryLine::BuildId {}, HistoryLine::First {}, HistoryLine::Last {}];
    if by_time {
        head = vec![HistoryLine::Period {}, HistoryLine::Build {}, HistoryLine::BuildId {}];
    }
    head.extend([HistoryLine::Runs {}, HistoryLine::Hung {}, HistoryLine::Rate {}, HistoryLine::Died {}]);
    let mut rows = vec![head.iter().map(|cell| cell.text(lang)).collect::<Vec<_>>()];
    // The last builds are the ones of today.
    let left_out = if all { 0 } else { trend.builds.len().saturating_sub(MOST_ROWS) };
    for build in &trend.builds[left_out..] {
        let group = &build.group;
        let dash = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| short(text).to_owned());
        let names = [dash(group.build.sha1.as_deref()), dash(group.build.build_id.as_deref())];
        let mut row: Vec<String> = match by_time {
            true => std::iter::once(group.period.clone()).chain(names).collect(),
            false => names.into_iter().chain([day(group.first), day(group.last)]).collect(),
        };
        row.extend([
            group.runs.to_string(),
            group.hung.to_string(),
            build
                .rate
                .map_or_else(|| HistoryLine::NoneCounts {}.text(lang), |rate| interval(rate).text(lang)),
            (group.crashed + group.failed).to_string(),
        ]);
        rows.push(row);
    }
    let mut text = title.text(lang) + "\n" + &table(&rows);
    text += &more(left_out, 0, lang);
    if let (Some(said), false) = (changed(trend), by_time) {
        let said = match after {
            Some(after) => say!(HistoryLine::Since { day: day(after), said }).said(),
            None => said,
        };
        let lines = wrap(&format!("  {}", said.text(lang)), out::style().width);
        text += &(lines.join("\n") + "\n");
    }
    text
}

fn interval(rate: Rate) -> HistoryLine {
    let (hung, of, low, high) = (rate.hung, rate.of, percent(rate.low), percent(rate.high));
    say!(HistoryLine::Interval { hung, of, low, high })
}

/// Where a build began to hang.
fn changed(trend: &Trend) -> Option<Text> {
    let change = trend.change.as_ref()?;
    let said = |at: usize| {
        let build = &trend.builds[at];
        let sha1 = short(build.group.build.sha1.as_deref().unwrap_or("?"));
        let rate = build.rate.map(|rate| interval(rate).said()).unwrap_or_default();
        Text::of(|lang| format!("{sha1} ({})", rate.text(lang)))
    };
    let (hung, before) = (said(change.hung), said(change.before));
    if change.apart {
        return Some(say!(HistoryLine::Apart { hung, before }).said());
    }
    let build = short(trend.builds[change.before].group.build.sha1.as_deref().unwrap_or("?"));
    Some(say!(HistoryLine::NotApart { hung, before, build }).said())
}

fn workload(of: &Workload) -> Text {
    let mut parts = vec![];
    if !of.lane.is_empty() {
        parts.push(say!(HistoryLine::Lane { lane: of.lane }).said());
    }
    if !of.label.is_empty() {
        parts.push(say!(HistoryLine::Label { label: of.label }).said());
    }
    if !of.stir.is_empty() {
        parts.push(say!(HistoryLine::Stirred { stir: of.stir }).said());
    }
    parts.push(of.command.said());
    Text::of(|lang| parts.iter().map(|part| part.text(lang)).collect::<Vec<_>>().join(", "))
}

fn signatures(rows: &[SignatureRow], all: bool, lang: Lang) -> String {
    let head = [
        HistoryLine::Signature {},
        HistoryLine::Times {},
        HistoryLine::FirstSeen {},
        HistoryLine::LastSeen {},
        HistoryLine::What {},
    ];
    let mut cells = vec![head.iter().map(|cell| cell.text(lang)).collect::<Vec<_>>()];
    let shown = if all { rows.len() } else { MOST_ROWS };
    for row in rows.iter().take(shown) {
        let at = |time: f64, build: &crate::history::model::Build| {
            format!("{} {} {}", day(time), build.name, short(build.sha1.as_deref().unwrap_or("?")))
        };
        let bare = if row.bare { format!(" {}", HistoryLine::Bare {}.text(lang)) } else { String::new() };
        cells.push(vec![
            row.id.clone().unwrap_or_else(|| "-".to_owned()),
            row.times.to_string(),
            at(row.first, &row.first_build),
            at(row.last, &row.last_build),
            format!("{}{bare}", row.words),
        ]);
    }
    table(&cells) + &more(rows.len(), shown, lang)
}

/// Each hang, the last first.
fn each(hangs: &[HungRun], all: bool, lang: Lang) -> String {
    let head = [HistoryLine::When {}, HistoryLine::Build {}, HistoryLine::Node {}, HistoryLine::Bundle {}];
    let mut cells = vec![head.iter().map(|cell| cell.text(lang)).collect::<Vec<_>>()];
    let shown = if all { hangs.len() } else { MOST_ROWS };
    for hang in hangs.iter().take(shown) {
        let when = DateTime::from_timestamp(hang.started as i64, 0)
            .map(|time| time.format("%Y-%m-%d %H:%M").to_string());
        let there = Path::new(&hang.bundle).is_dir();
        let bundle = &hang.bundle;
        cells.push(vec![
            when.unwrap_or_default(),
            format!("{} {}", hang.build.name, short(hang.build.sha1.as_deref().unwrap_or("?"))),
            hang.node.clone(),
            if there { bundle.clone() } else { say!(HistoryLine::Gone { bundle }).text(lang) },
        ]);
    }
    table(&cells) + &more(hangs.len(), shown, lang)
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("history: {what}")).into()
}

#[cfg(test)]
mod tests;
