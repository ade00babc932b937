//! Checks before the first run.

use std::collections::BTreeMap;

use super::config::PhaseName;
use super::lanes::Pairs;
use super::plan::Group;
use super::task::Task;
use crate::console::cancel::Cancel;
use crate::console::exit::Ended;
use crate::files::pin::Pinned;
use crate::hunt::Screen;
use crate::launch::program;
use crate::text::matrix::MatrixLine;
use crate::text::message::say;
use crate::verify;

/// Verifies the preload of every allocator in every program. Returns the shim's own share of the memory, KiB,
/// by allocator.
pub(super) fn verify_all(
    task: &Task,
    pinned: &[Pinned],
    pairs: &Pairs,
    cancel: &Cancel,
    screen: &Screen,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let (matrix, mut shim_kib) = (&task.matrix, BTreeMap::new());
    if matrix.verify_runs == 0 {
        return Ok(shim_kib);
    }
    let mut verified: Vec<(usize, &[String])> = vec![];
    for (at, lane) in matrix.lanes.iter().enumerate() {
        for (allocator, pinned) in pinned.iter().enumerate() {
            // Lanes with the same program differ in its arguments.
            let config = &pairs.get(Group { phase: PhaseName::Ops, lane: at, allocator }).config;
            let until = program::benchmark(&lane.command)
                .and_then(|benchmark| lane.command.iter().position(|word| std::ptr::eq(word, benchmark)));
            let words = &lane.command[..=until.unwrap_or(lane.command.len() - 1)];
            if verified.contains(&(allocator, words)) {
                continue;
            }
            verified.push((allocator, words));
            let folder = task.common.out.join("verify").join(format!("{}_{}", lane.name, config.name));
            let small = config.verify_args.as_ref();
            let small = small.and_then(|words| program::with_arguments(&lane.command, words));
            let request = verify::Request {
                command: small.as_ref().unwrap_or(&lane.command),
                so: &pinned.path,
                carrier: None,
                source: config.named(),
                system: config.system,
                name: &config.name,
                profile: &config.profile,
                shim: &config.shim,
                runs: matrix.verify_runs,
                cpus: config.cpus.as_ref(),
                env: &config.env,
                only: config.only.as_deref(),
                out: Some(&folder),
                times: verify::Times {
                    whole: small.as_ref().and_then(|_| lane.hang_after.time()),
                    ..verify::Times::default()
                },
            };
            let (allocator, lane) = (&config.name, &lane.name);
            match verify::verify(&request, cancel) {
                Ok(found) => {
                    if let Some(kib) = found.runs.iter().find_map(|run| run.shim_kib) {
                        shim_kib.entry(allocator.clone()).or_insert(kib);
                    }
                    if let Some(run) = found.runs.first() {
                        screen.say(&say!(MatrixLine::Verified { allocator, lane, proof: run.line() }));
                    }
                    if let Some(hang) = found.unfinished() {
                        screen.say(&say!(MatrixLine::VerifyHung { allocator, lane, what: hang.line() }));
                    }
                }
                Err(error) => {
                    let what = format!("matrix: {allocator} in lane {lane}: {error}");
                    return Err(Ended::new(error.status(), what).into());
                }
            }
        }
    }
    Ok(shim_kib)
}
