//! Merges of shards that were made up.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::analysis::shards::{Machine, PartEnd};
use crate::analysis::{Class, RunFacts, RunOutcome, conclude};
use crate::console::exit::Status;
use crate::hunt::run_files;
use crate::report::VerdictFile;
use crate::shard::choose::Origin;
use crate::shard::settings::Settings;
use crate::shard::{Record, Shard};
use crate::testkit::hunt::{Hunt, finding, hung, run};
use crate::text::message::Lang;

/// Runs of the whole.
const RUNS: u32 = 12;

/// A run of the whole. Runs 6 and 9 hang.
fn made(number: u32) -> RunFacts {
    let hangs = [6, 9].contains(&number);
    if hangs { hung(number, Some(finding(Class::OwnerSpinning))) } else { run(number) }
}

fn settings() -> Settings {
    let pairs = [("dso hz4", "aaaa"), ("command", "./bench 16"), ("hang_after", "15s"), ("arms", "pinned")];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The folder of a job that is cut into `of` shards.
struct Job {
    dir: tempfile::TempDir,
    of: u32,
}

impl Job {
    /// All shards, with all of their runs.
    fn whole(of: u32) -> Job {
        let job = Job { dir: tempfile::tempdir().unwrap(), of };
        (1..=of).for_each(|index| _ = job.shard(index, |_| {}));
        job
    }

    fn folder(&self, index: u32) -> PathBuf {
        Shard { index, of: self.of }.folder(&self.dir.path().join("night"))
    }

    /// Writes a shard; `edit` changes its record before.
    fn shard(&self, index: u32, edit: impl Fn(&mut Record)) -> PathBuf {
        let folder = self.folder(index);
        self.shard_in(&folder, index, edit);
        folder
    }

    fn shard_in(&self, folder: &Path, index: u32, edit: impl Fn(&mut Record)) {
        let shard = Shard { index, of: self.of };
        atomic::make_dir(folder).unwrap();
        let counts = (shard.count(RUNS), RUNS);
        let mut record = Record::begin(crate::shard::Job::Hunt, (shard, Origin::Slurm), counts, settings());
        record.start.machine = machine(index);
        record.hunt = Some(Hunt::new(0).facts());
        record.end(shard.count(RUNS), PartEnd::AllMade);
        edit(&mut record);
        record.write(folder).unwrap();
        let node = Some(record.start.machine.node.clone());
        let runs: Vec<RunFacts> =
            shard.runs(RUNS).map(|number| RunFacts { node: node.clone(), ..made(number) }).collect();
        write_runs(folder, &runs);
        for run in runs.iter().filter(|run| run.outcome == RunOutcome::Hung) {
            let bundle = folder.join(format!("hang_run_{}", run.run));
            atomic::make_dir(&bundle).unwrap();
            fs::write(bundle.join("stacks.txt"), format!("of run {}", run.run)).unwrap();
        }
        fs::write(folder.join("progress.log"), "[RUN]\n").unwrap();
        fs::write(folder.join("hz4_so.sha1"), "aaaa  hz4.so\n").unwrap();
    }

    fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn merge(&self, name: &str) -> anyhow::Result<Merged> {
        merge(&[self.dir.path().join("night")], &self.out(name), None)
    }

    /// The line of the error, with names in place of the temporary folder.
    fn refused(&self) -> String {
        let error = self.merge("refused").unwrap_err();
        assert_eq!(crate::console::exit::status_of(&error), Status::Usage, "{error}");
        assert!(!self.out("refused").exists(), "nothing is written");
        let dir = fs::canonicalize(self.dir.path()).unwrap();
        error.to_string().replace(&format!("{}/", dir.display()), "")
    }
}

fn machine(index: u32) -> Machine {
    Machine { node: format!("n{index}"), kernel: "6.1".into(), glibc: "2.36".into(), cpu: "a model".into() }
}

fn write_runs(folder: &Path, runs: &[RunFacts]) {
    let lines: String = runs.iter().map(|run| run_files::object(run).to_string() + "\n").collect();
    fs::write(folder.join("runs.jsonl"), lines).unwrap();
}

fn verdict(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("verdict.json")).unwrap()).unwrap()
}

fn evidence(out: &Path) -> Vec<String> {
    let all = verdict(out)["evidence"].clone();
    all.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn shards_have_the_verdict_of_the_hunt_in_one_piece() {
    for of in [1, 3, 4, 12] {
        let job = Job::whole(of);
        let merged = job.merge("whole").unwrap();
        assert_eq!(merged.status(), Status::Hang);
        let mut facts = Hunt::new(0).facts();
        (facts.planned, facts.runs) = (RUNS, (1..=RUNS).map(made).collect());
        facts.stop_at_first = false;
        // Findings come from the bundles, which have none here.
        facts.runs.iter_mut().filter_map(|run| run.hang.as_mut()).for_each(|hang| hang.finding = None);
        let conclusion = conclude(&facts);
        let piece = serde_json::to_value(VerdictFile::of(&facts, &conclusion)).unwrap();
        let whole = verdict(&job.out("whole"));
        for key in [
            "runs", "rate", "per_hour", "ops", "verdict", "letter", "headline", "hangs", "crashes", "stopped",
        ] {
            assert_eq!(whole[key], piece[key], "{key} of {of}");
        }
        let own = evidence(&job.out("whole"));
        assert_eq!(own[0], format!("the runs of all {of} shard{} (shards/)", if of == 1 { "" } else { "s" }));
        let tsv = fs::read_to_string(job.out("whole").join("runs.tsv")).unwrap();
        let numbers: Vec<&str> = tsv.lines().skip(1).map(|row| row.split('\t').next().unwrap()).collect();
        assert_eq!(numbers, (1..=RUNS).map(|run| run.to_string()).collect::<Vec<_>>());
        for run in [6, 9] {
            let file = job.out("whole").join(format!("hang_run_{run}/stacks.txt"));
            assert_eq!(fs::read_to_string(file).unwrap(), format!("of run {run}"));
        }
        let report = fs::read_to_string(job.out("whole").join("report.md")).unwrap();
        let row = format!("| 1/{of} | all runs made | {0} / {0} |", Shard { index: 1, of }.count(RUNS));
        assert!(report.contains("## Shards") && report.contains(&row), "{report}");
        let japanese = fs::read_to_string(job.out("whole").join("report.ja.md")).unwrap();
        assert!(japanese.contains("## シャード") && japanese.contains("全実行が完了"), "{japanese}");
        assert!(
            fs::read_to_string(job.out("whole").join("report.html")).unwrap().contains("Hangs by machine")
        );
        assert_eq!(crate::report::reread::facts(&job.out("whole")).unwrap().shards, Some(merged.joined));
    }
}

#[test]
fn the_order_of_the_folders_changes_nothing() {
    let job = Job::whole(4);
    fs::remove_dir_all(job.folder(3)).unwrap();
    job.merge("parent").unwrap();
    let bytes = |name: &str| fs::read(job.out(name).join("verdict.json")).unwrap();
    let jsonl = |name: &str| fs::read(job.out(name).join("runs.jsonl")).unwrap();
    for (at, order) in [[1, 2, 4], [1, 4, 2], [2, 1, 4], [2, 4, 1], [4, 1, 2], [4, 2, 1]].iter().enumerate() {
        let name = format!("order_{at}");
        merge(&order.map(|index| job.folder(index)), &job.out(&name), None).unwrap();
        assert_eq!((bytes(&name), jsonl(&name)), (bytes("parent"), jsonl("parent")), "{order:?}");
    }
    // A shard that is named twice is one.
    let twice = [job.folder(4), job.dir.path().join("night"), job.folder(4)];
    merge(&twice, &job.out("twice"), None).unwrap();
    assert_eq!(bytes("twice"), bytes("parent"));
}

#[test]
fn what_is_missing_is_named_and_proves_nothing() {
    let job = Job::whole(4);
    // The shards without a hang.
    fs::remove_dir_all(job.folder(2)).unwrap();
    fs::remove_dir_all(job.folder(1)).unwrap();
    let merged = job.merge("whole").unwrap();
    assert_eq!(merged.joined.missing, [1, 2]);
    assert_eq!(merged.status(), Status::Failed, "no hang, and not whole");
    let lines = evidence(&job.out("whole"));
    assert_eq!(lines[0], "2 of 4 shards; missing: 1, 2. Their runs are in no count");
    assert!(lines[1].starts_with("6 of 12 planned runs made"), "{lines:?}");
    let verdict = verdict(&job.out("whole"));
    let change = verdict["would_change_it"].to_string();
    assert!(change.contains("the runs of shard 1, 2 would complete it: --shard i/4"), "{change}");
    assert_eq!((&verdict["stopped"], &verdict["shards"]["missing"][1]), (&"interrupted".into(), &2.into()));
    let report = fs::read_to_string(job.out("whole").join("report.md")).unwrap();
    assert!(report.contains("| 2/4 | missing | - |"), "{report}");
}

#[test]
fn shards_of_different_jobs_are_refused_by_name() {
    let set = |name: &'static str, value: &'static str| {
        move |record: &mut Record| {
            let mut settings = settings();
            settings.insert(name.to_owned(), value.to_owned());
            let counts = (record.planned, record.runs);
            let other = Record::begin(record.job, (record.shard, record.from), counts, settings);
            let hunt = record.hunt.take();
            *record = other;
            record.hunt = hunt;
        }
    };
    let job = Job::whole(4);
    job.shard(3, set("dso hz4", "bbbb"));
    insta::assert_snapshot!(job.refused(), @"merge: dso hz4 is not the same: aaaa in night/shard_1_of_4, bbbb in night/shard_3_of_4; give shards of one job only");
    job.shard(3, set("hang_after", "10s"));
    insta::assert_snapshot!(job.refused(), @"merge: hang_after is not the same: 15s in night/shard_1_of_4, 10s in night/shard_3_of_4; give shards of one job only");
    job.shard(3, set("env HZ4_X", "1"));
    insta::assert_snapshot!(job.refused(), @"merge: env HZ4_X is not the same: not set in night/shard_1_of_4, 1 in night/shard_3_of_4; give shards of one job only");
    job.shard(3, |record| record.job = crate::shard::Job::Matrix);
    assert!(job.refused().contains("the job is not the same: a hunt in"));
    let other = Job { of: 8, dir: tempfile::tempdir().unwrap() };
    job.shard(3, |_| {});
    other.shard_in(&job.dir.path().join("night/shard_7_of_8"), 7, |_| {});
    assert!(job.refused().contains("the number of shards is not the same: 4 in"), "{}", job.refused());
}

#[test]
fn a_shard_twice_is_refused_unless_one_is_an_earlier_part_of_it() {
    let job = Job::whole(4);
    let copy = job.dir.path().join("night/from_another_disk");
    job.shard_in(&copy, 2, |record| record.end(1, PartEnd::Interrupted));
    let first = RunFacts { node: Some("n2".into()), ..made(2) };
    let broken_off = RunFacts { outcome: RunOutcome::Interrupted, ..made(6) };
    write_runs(&copy, &[first.clone(), broken_off]);
    let merged = job.merge("whole").unwrap();
    assert_eq!(merged.joined.parts[1].made, 3);
    assert!(merged.notes[0].en().contains("is an earlier part of"), "{:?}", merged.notes);
    write_runs(&copy, &[RunFacts { seconds: 2.5, ..first }]);
    insta::assert_snapshot!(job.refused(), @"merge: shard 2/4 is there twice with different runs: night/from_another_disk and night/shard_2_of_4; leave one out");
    fs::remove_dir_all(&copy).unwrap();
    // A run of another shard, and one twice.
    write_runs(&job.folder(3), &[made(3), made(4)]);
    insta::assert_snapshot!(job.refused(), @"merge: shard 3/4 (night/shard_3_of_4) has run 4, which belongs to another shard; leave it out");
    write_runs(&job.folder(3), &[made(3), made(3)]);
    insta::assert_snapshot!(job.refused(), @"merge: shard 3/4 (night/shard_3_of_4) has run 3 twice in its runs.jsonl; leave it out");
}

#[test]
fn a_damaged_or_unfinished_shard_counts_with_what_its_runs_prove() {
    let job = Job::whole(4);
    // Killed while it wrote the line of its third run.
    job.shard(1, |record| (record.made, record.start.end, record.start.ended) = (0, None, None));
    let jsonl = job.folder(1).join("runs.jsonl");
    let text = fs::read_to_string(&jsonl).unwrap();
    fs::write(&jsonl, &text[..text.len() - 9]).unwrap();
    // A line of rubbish; a whole line that is gone; a record that is gone.
    let jsonl = job.folder(2).join("runs.jsonl");
    let text = fs::read_to_string(&jsonl).unwrap();
    fs::write(&jsonl, "\u{fffd}{]\n".to_owned() + &text).unwrap();
    let jsonl = job.folder(3).join("runs.jsonl");
    let text = fs::read_to_string(&jsonl).unwrap();
    fs::write(&jsonl, text.split_inclusive('\n').skip(1).collect::<String>()).unwrap();
    fs::write(job.folder(4).join("shard.json"), "{\"schema\":").unwrap();
    let merged = job.merge("whole").unwrap();
    let of = |index: usize| {
        let part = &merged.joined.parts[index];
        (part.end, part.made, part.damaged_lines)
    };
    assert_eq!(of(0), (PartEnd::Unfinished, 2, 1));
    assert_eq!(of(1), (PartEnd::AllMade, 3, 1));
    assert_eq!(of(2), (PartEnd::RunsLost, 2, 1));
    assert_eq!(merged.joined.missing, [4]);
    assert!(!merged.joined.is_whole() && merged.status() == Status::Hang, "the hang of run 6 is proven");
    let note = merged.notes[0].en();
    assert!(
        note.contains("shard_4_of_4: shard.json is damaged: ") && note.ends_with("; it is left out"),
        "{note}"
    );
    let lines = evidence(&job.out("whole"));
    assert!(lines[1].starts_with("not all runs were made in shard 1: killed"), "{lines:?}");
    assert!(lines[2].starts_with("runs lost: shard 3 made more runs"), "{lines:?}");
    assert!(lines[3].starts_with("1 line of runs.jsonl of shard 1 could not be read"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("7 of 12 planned runs made")), "{lines:?}");
}

#[test]
fn shards_whose_runs_are_lost_are_not_all_runs() {
    let job = Job::whole(4);
    fs::write(job.folder(1).join("runs.jsonl"), "").unwrap();
    fs::remove_file(job.folder(3).join("runs.jsonl")).unwrap();
    let merged = job.merge("whole").unwrap();
    assert_eq!(merged.joined.with(PartEnd::RunsLost), [1, 3]);
    let lines = evidence(&job.out("whole"));
    assert!(
        lines[0].starts_with("all 4 shards are there, but not all lines of runs of shard 1, 3"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("runs lost: shard 1, 3"), "{lines:?}");
    for (file, row) in
        [("report.md", "| 1/4 | runs lost | 0 / 3 |"), ("report.ja.md", "| 1/4 | 実行の記録が欠落 | 0 / 3 |")]
    {
        let report = fs::read_to_string(job.out("whole").join(file)).unwrap();
        assert!(report.contains(row), "{report}");
    }
    assert_eq!(verdict(&job.out("whole"))["stopped"], "interrupted");
    // A run that nobody has planned proves nothing.
    let job = Job::whole(4);
    write_runs(&job.folder(2), &[made(2), made(6), RunFacts { run: 98, ..made(2) }]);
    let part = job.merge("whole").unwrap().joined.parts.remove(1);
    assert_eq!((part.end, part.made, part.damaged_lines), (PartEnd::RunsLost, 2, 1));
}

#[test]
fn an_out_in_a_shard_is_refused() {
    let job = Job::whole(2);
    let shard = job.folder(1);
    std::os::unix::fs::symlink(&shard, job.out("link")).unwrap();
    for out in [
        shard.join("whole"),
        shard.join("a/b"),
        job.out("link/whole"),
        job.folder(2).join("../shard_1_of_2/a"),
    ] {
        let error = merge(&[job.dir.path().join("night")], &out, None).unwrap_err();
        assert_eq!(crate::console::exit::status_of(&error), Status::Usage, "{error}");
        assert!(error.to_string().contains("a shard that is joined: give an --out outside of it"), "{error}");
    }
    assert!(!shard.join("whole").exists() && !shard.join("a").exists());
    merge(&[shard], &job.dir.path().join("night/whole"), None).unwrap();
}

#[test]
fn what_the_group_shall_read_is_copied_where_a_link_has_another_mode() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let job = Job::whole(1);
    let (shards, _) = read::all(&[job.folder(1)]);
    let set = |run: u32, mode: u32| {
        let file = job.folder(1).join(format!("hang_run_{run}/stacks.txt"));
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    };
    set(6, 0o600);
    set(9, 0o640);
    for (out, for_group, linked) in [("own", false, [true, true]), ("group", true, [false, true])] {
        files::bring(&shards, &job.out(out), for_group).unwrap();
        let number = |folder: &Path, run| {
            fs::metadata(folder.join(format!("hang_run_{run}/stacks.txt"))).unwrap().ino()
        };
        let same = [6, 9].map(|run| number(&job.folder(1), run) == number(&job.out(out), run));
        assert_eq!(same, linked, "{out}");
    }
}

#[test]
fn hangs_of_one_machine_are_said_with_p_and_as_no_proof() {
    let job = Job::whole(2);
    for index in [1, 2] {
        let shard = Shard { index, of: 2 };
        let runs: Vec<RunFacts> =
            shard.runs(RUNS).map(|n| if index == 2 { hung(n, None) } else { run(n) }).collect();
        let node = |run: RunFacts| RunFacts { node: Some(format!("n{index}")), ..run };
        write_runs(&job.folder(index), &runs.into_iter().map(node).collect::<Vec<_>>());
    }
    job.merge("whole").unwrap();
    let line = evidence(&job.out("whole")).remove(1);
    insta::assert_snapshot!(line, @"all 6 hangs come from n2: 6 of 6 runs there, 0 of 6 on the other machines. By chance this has p = 0.002 (Fisher, one-sided, times 2 machines). It may be this machine, and it proves nothing (runs.jsonl)");
    let verdict = verdict(&job.out("whole"));
    assert_eq!(
        (&verdict["one_node"]["node"], &verdict["nodes"][1]["runs"]["hung"]),
        (&"n2".into(), &6.into())
    );
}

#[test]
fn shards_that_stopped_at_a_hang_say_what_that_does_to_the_rate() {
    let job = Job::whole(4);
    job.shard(2, |record| record.end(2, PartEnd::FirstHang));
    write_runs(&job.folder(2), &[made(2), made(6)]);
    let merged = job.merge("whole").unwrap();
    assert!(merged.joined.is_whole());
    let line = evidence(&job.out("whole")).remove(1);
    assert!(
        line.starts_with("shard 2 stopped at a first hang of its own")
            && line.contains("tends to be too high")
    );
    assert_eq!(verdict(&job.out("whole"))["stopped"], "first-hang");
    // Nobody went on.
    let alone = merge(&[job.folder(2)], &job.out("alone"), None).unwrap();
    let said = alone.shard_lines(Lang::En).join("\n");
    assert!(said.contains("shard 2 stopped at a first hang of its own. The runs"), "{said}");
    // The hang of a last run cuts nothing off.
    write_runs(&job.folder(2), &[made(2), made(10), made(6)]);
    job.shard(2, |record| record.end(3, PartEnd::FirstHang));
    let merged = job.merge("last").unwrap();
    assert!(merged.shard_lines(Lang::En).iter().all(|line| !line.contains("first hang")));
    assert_eq!(verdict(&job.out("last"))["stopped"], "all-made");
}

#[test]
fn a_folder_that_is_taken_or_has_no_shard_is_refused() {
    let job = Job::whole(2);
    job.merge("whole").unwrap();
    let again = job.merge("whole").unwrap_err().to_string();
    assert!(again.contains("is not empty: give another --out"), "{again}");
    let empty = tempfile::tempdir().unwrap();
    let none = merge(&[empty.path().to_owned()], &empty.path().join("out"), None).unwrap_err().to_string();
    assert!(none.contains("has no shard: give folders with shard.json"), "{none}");
    let gone = merge(&[empty.path().join("gone")], &empty.path().join("out"), None).unwrap_err().to_string();
    assert!(gone.starts_with("merge: cannot read"), "{gone}");
}

fn good(number: u32) -> RunFacts {
    run(number)
}

/// A shard of a matrix of the system's malloc in two lanes, two runs each. Run 2 hangs in the second lane.
fn matrix_shard(dir: &Path, index: u32) {
    const TEXT: &str = "[[allocator]]\nname = \"system\"\n[[lane]]\nname = \"main\"\ncommand = [\"/bin/true\"]\n\
        [[lane]]\nname = \"guard\"\ncommand = [\"/bin/true\"]\n[phase.ops]\nruns = 2\nwarmup = 1\n";
    let shard = Shard { index, of: 2 };
    let folder = shard.folder(dir);
    for sub in ["hangs", "main", "guard", "dso"] {
        atomic::make_dir(&folder.join(sub)).unwrap();
    }
    let settings = Settings::from([("seed".to_owned(), "7".to_owned())]);
    let mut record = Record::begin(crate::shard::Job::Matrix, (shard, Origin::Argument), (2, 4), settings);
    record.start.machine = machine(index);
    record.dsos.insert("system".to_owned(), Hunt::new(0).facts().dso);
    record.seed = Some(7);
    record.end(2, PartEnd::AllMade);
    record.write(&folder).unwrap();
    fs::write(folder.join("matrix.toml"), TEXT).unwrap();
    fs::write(folder.join("meta.txt"), "machine: n\n").unwrap();
    let entry = |lane: &str, run: u32, warmup: bool| {
        let hangs = lane == "guard" && run == 2 && !warmup;
        let node = Some(format!("n{index}"));
        let facts = RunFacts { node, ..if hangs { hung(run, None) } else { good(run) } };
        let bundle = hangs.then(|| format!("hangs/guard_ops_system_{run}"));
        fs::write(
            folder.join(lane).join(format!("ops_system_{}{run}.out", if warmup { "warmup" } else { "" })),
            "",
        )
        .unwrap();
        serde_json::json!({
            "allocator": "system", "lane": lane, "phase": "ops", "run": run,
            "status": if hangs { "HANG" } else { "OK" }, "class": null, "seconds": facts.seconds, "ops_s": facts.ops,
            "max_rss_kib": facts.max_rss_kib, "rc": facts.rc, "bundle": bundle,
            "warmup": warmup, "marks": [], "shim_kib": null, "facts": facts,
        })
    };
    let entries =
        ["guard", "main"].map(|lane| [entry(lane, index, true), entry(lane, index, false)]).concat();
    let lines: String = entries.iter().map(|entry| entry.to_string() + "\n").collect();
    fs::write(folder.join("runs.jsonl"), lines).unwrap();
}

#[test]
fn shards_of_a_matrix_are_one_matrix() {
    let dir = tempfile::tempdir().unwrap();
    let night = dir.path().join("night");
    [2, 1].iter().for_each(|index| matrix_shard(&night, *index));
    let (whole, other) = (dir.path().join("whole"), dir.path().join("other"));
    let merged = merge(std::slice::from_ref(&night), &whole, None).unwrap();
    assert_eq!(merged.status(), Status::Hang);
    let samples = fs::read_to_string(whole.join("samples.csv")).unwrap();
    let rows: Vec<String> =
        samples.lines().skip(1).map(|row| row.split(',').take(5).collect::<Vec<_>>().join(" ")).collect();
    let expected =
        ["system main ops 1 OK", "system guard ops 1 OK", "system main ops 2 OK", "system guard ops 2 HANG"];
    assert_eq!(rows, expected);
    // Warm-up runs of both shards are kept, and are in no table.
    assert_eq!(fs::read_to_string(whole.join("runs.jsonl")).unwrap().matches("\"warmup\":true").count(), 4);
    for file in
        ["main/ops.tsv", "main/ops_system_warmup2.out", "summary.ja.md", "shards/shard_2_of_2/meta.txt"]
    {
        assert!(whole.join(file).exists(), "{file}");
    }
    let file = verdict(&whole);
    assert_eq!((&file["matrix"]["made"], &file["matrix"]["not_made"]), (&4.into(), &0.into()));
    let summary = fs::read_to_string(whole.join("summary.md")).unwrap();
    assert!(summary.contains("| 2/2 | all runs made | 2 / 2 | 1 | n2 |"), "{summary}");
    assert!(summary.contains("- the runs of all 2 shards (shards/)"), "{summary}");
    let folders = [2, 1].map(|index| Shard { index, of: 2 }.folder(&night));
    merge(&folders, &other, None).unwrap();
    let bytes = |out: &Path| fs::read(out.join("verdict.json")).unwrap();
    assert_eq!(bytes(&whole), bytes(&other));
    // One is missing.
    fs::remove_dir_all(&folders[0]).unwrap();
    let part = dir.path().join("part");
    assert_eq!(merge(&[night], &part, None).unwrap().status(), Status::Failed);
    assert_eq!(verdict(&part)["matrix"]["not_made"], 2);
}
