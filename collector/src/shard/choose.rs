//! The shard of this process, from its arguments and its environment.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::part::Shard;

/// A value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The whole job, whatever the environment says.
    Off,
    Part(Shard),
}

impl Wanted {
    /// Reads `3/4` or `off`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Wanted, String> {
        if text == "off" { Ok(Wanted::Off) } else { Shard::parse(text).map(Wanted::Part) }
    }
}

/// Where a shard comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    #[serde(rename = "--shard")]
    Argument,
    #[serde(rename = "SLURM_ARRAY_TASK_ID")]
    Slurm,
    #[serde(rename = "JOB_COMPLETION_INDEX")]
    Kubernetes,
    #[serde(rename = "HQ_TASK_ID")]
    HyperQueue,
}

impl Origin {
    /// The option or the variable.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Origin::Argument => "--shard",
            Origin::Slurm => SLURM_ID,
            Origin::Kubernetes => KUBERNETES_ID,
            Origin::HyperQueue => HYPERQUEUE_ID,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A shard, and why it is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) shard: Shard,
    pub(crate) origin: Origin,
}

/// A task's own part of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) shard: Shard,
    pub(crate) origin: Origin,
    /// Name of the machine.
    pub(crate) node: String,
}

const SLURM_ID: &str = "SLURM_ARRAY_TASK_ID";
const KUBERNETES_ID: &str = "JOB_COMPLETION_INDEX";
const HYPERQUEUE_ID: &str = "HQ_TASK_ID";

/// The shard of this process; none: it makes the whole job. `wanted` is `--shard` and `shards` is `--shards`.
///
/// HyperQueue sets its variable for every job, and its workers may run in a Slurm array. So its variable
/// counts only with `--shards`, and hides those of the engine around it.
///
/// # Errors
/// The environment names a task, but not which part of the whole it is. One line, with the remedy.
pub(crate) fn choose(
    wanted: Option<Wanted>,
    shards: Option<u32>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<Chosen>, String> {
    match wanted {
        Some(Wanted::Off) => return Ok(None),
        Some(Wanted::Part(shard)) => return Ok(Some(Chosen { shard, origin: Origin::Argument })),
        None => {}
    }
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let (origin, shard) = match shards {
        Some(of) if set(HYPERQUEUE_ID).is_some() => (Origin::HyperQueue, hyperqueue(&set, of)?),
        Some(of) if set(KUBERNETES_ID).is_some() => (Origin::Kubernetes, kubernetes(&set, of)?),
        Some(of) if set(SLURM_ID).is_some() => (Origin::Slurm, from_one(&set, SLURM_ID, of)?),
        Some(_) => {
            return Err(format!(
                "--shards is for a task of {SLURM_ID}, {KUBERNETES_ID} or {HYPERQUEUE_ID}, and none of these is \
                 set; give --shard i/n"
            ));
        }
        None if set(HYPERQUEUE_ID).is_some() => return Ok(None),
        None if set(KUBERNETES_ID).is_some() => {
            return Err(format!(
                "{KUBERNETES_ID} is set, so this is one pod of several; give --shards with the number of completions, or \
                 --shard off to make the whole"
            ));
        }
        None if set(SLURM_ID).is_some() => (Origin::Slurm, slurm(&set)?),
        None => return Ok(None),
    };
    Ok(Some(Chosen { shard, origin }))
}

fn number(set: &impl Fn(&str) -> Option<String>, name: &str) -> Result<u32, String> {
    let text = set(name).ok_or_else(|| format!("{name} is not set; give --shard i/n, or --shard off"))?;
    text.trim()
        .parse()
        .map_err(|_| format!("{name} is {text:?}, no number; give --shard i/n, or --shard off"))
}

/// A task whose ids count from 1.
fn from_one(set: &impl Fn(&str) -> Option<String>, name: &str, of: u32) -> Result<Shard, String> {
    let id = number(set, name)?;
    Shard::new(id, of).ok_or_else(|| {
        format!("{name} is {id}, and --shards {of} needs tasks from 1 to {of}; number them so, or give --shard i/n")
    })
}

fn hyperqueue(set: &impl Fn(&str) -> Option<String>, of: u32) -> Result<Shard, String> {
    from_one(set, HYPERQUEUE_ID, of)
}

/// The index of a pod counts from 0.
fn kubernetes(set: &impl Fn(&str) -> Option<String>, of: u32) -> Result<Shard, String> {
    let id = number(set, KUBERNETES_ID)?;
    let shard = id.checked_add(1).and_then(|index| Shard::new(index, of));
    shard.ok_or_else(|| {
        format!("{KUBERNETES_ID} is {id}, and --shards is {of}; give --shards with the number of completions")
    })
}

/// A task of an array without gaps. With a step, as in 0-6:2, tasks count by their places.
fn slurm(set: &impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let of = |name: &str| number(set, &format!("SLURM_ARRAY_TASK_{name}"));
    let (id, min, max, count) = (of("ID")?, of("MIN")?, of("MAX")?, of("COUNT")?);
    if count == 1 {
        return Err(format!(
            "{SLURM_ID} is {id}, the only task of its array; give --shards n if it makes a part again, or --shard off to \
             make the whole"
        ));
    }
    // Every task must decide alike. The place in a list such as 1,3,7 is known only where there is no gap.
    let step = set("SLURM_ARRAY_TASK_STEP").map_or(Ok(1), |_| of("STEP"))?;
    let whole = step > 0
        && u64::from(step) * u64::from(count.saturating_sub(1)) == u64::from(max.saturating_sub(min));
    let after = id.checked_sub(min).filter(|after| whole && count > 1 && after % step == 0);
    let shard = after.and_then(|after| Shard::new((after / step).checked_add(1)?, count));
    shard.ok_or_else(|| {
        format!(
            "the array has gaps ({SLURM_ID} {id}, from {min} to {max}, {count} tasks), so the place of this task is not \
             known; give --shards n with tasks from 1 to n, or --shard i/n, or --shard off"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Env<'a> = &'a [(&'a str, &'a str)];

    fn chosen(wanted: Option<&str>, shards: Option<u32>, env: Env<'_>) -> Result<Option<String>, String> {
        let of = |name: &str| env.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        let wanted = wanted.map(|text| Wanted::parse(text).unwrap());
        Ok(choose(wanted, shards, of)?.map(|chosen| format!("{} from {}", chosen.shard, chosen.origin)))
    }

    fn slurm(id: &str, min: &str, max: &str, count: &str, step: &str) -> [(String, String); 5] {
        let of = [("ID", id), ("MIN", min), ("MAX", max), ("COUNT", count), ("STEP", step)];
        of.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_owned()))
    }

    fn of_array(shards: Option<u32>, array: &[(String, String)]) -> Result<Option<String>, String> {
        let env: Vec<(&str, &str)> = array.iter().map(|(name, value)| (&**name, &**value)).collect();
        chosen(None, shards, &env)
    }

    #[test]
    fn arguments_come_first() {
        let array = slurm("3", "1", "4", "4", "1");
        let env: Vec<(&str, &str)> = array.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(chosen(Some("2/7"), None, &env).unwrap().as_deref(), Some("2/7 from --shard"));
        assert_eq!(chosen(Some("off"), None, &env), Ok(None));
        assert_eq!(chosen(None, None, &env).unwrap().as_deref(), Some("3/4 from SLURM_ARRAY_TASK_ID"));
        assert_eq!(chosen(None, None, &[]), Ok(None));
    }

    #[test]
    fn an_array_of_slurm_counts_from_wherever_it_begins() {
        let ok = |id, min, max, count, step| {
            of_array(None, &slurm(id, min, max, count, step))
                .unwrap()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(ok("0", "0", "3", "4", "1"), "1/4");
        assert_eq!(ok("13", "10", "13", "4", ""), "4/4");
        assert_eq!(ok("4", "0", "6", "4", "2"), "3/4");
    }

    #[test]
    fn an_array_that_does_not_tell_the_place_is_refused() {
        for (array, word) in [
            // All tasks of the list 1,3,7 are refused, the first too.
            (slurm("1", "1", "7", "3", "1"), "gaps"),
            (slurm("3", "1", "7", "3", "1"), "gaps"),
            (slurm("1", "1", "7", "3", ""), "gaps"),
            (slurm("1", "1", "4", "4", "0"), "gaps"),
            (slurm("3", "1", "9", "4", "1"), "gaps"),
            (slurm("2", "1", "4", "4", "3"), "gaps"),
            (slurm("9", "1", "4", "4", "1"), "gaps"),
            (slurm("2", "2", "2", "1", "1"), "the only task"),
            (slurm("x", "1", "4", "4", "1"), "no number"),
            (slurm("1", "", "4", "4", "1"), "SLURM_ARRAY_TASK_MIN is not set"),
            (slurm("1", "1", "4", "0", "1"), "gaps"),
            (slurm("4294967295", "0", "4294967295", "4294967295", "1"), "gaps"),
        ] {
            let why = of_array(None, &array).unwrap_err();
            assert!(why.contains(word) && why.contains("--shard off"), "{why}");
        }
        // A part that is made again, in an array of one task.
        let again = slurm("2", "2", "2", "1", "1");
        assert_eq!(of_array(Some(4), &again).unwrap().as_deref(), Some("2/4 from SLURM_ARRAY_TASK_ID"));
        assert!(of_array(Some(4), &slurm("0", "0", "3", "4", "1")).unwrap_err().contains("from 1 to 4"));
    }

    #[test]
    fn pods_count_from_0_and_tasks_of_hyperqueue_from_1() {
        let pod = |id, shards| chosen(None, shards, &[("JOB_COMPLETION_INDEX", id)]);
        assert_eq!(pod("0", Some(4)).unwrap().as_deref(), Some("1/4 from JOB_COMPLETION_INDEX"));
        assert_eq!(pod("3", Some(4)).unwrap().as_deref(), Some("4/4 from JOB_COMPLETION_INDEX"));
        assert!(pod("4", Some(4)).unwrap_err().contains("completions"));
        assert!(pod("0", None).unwrap_err().contains("give --shards"));
        let task = |id, shards| chosen(None, shards, &[("HQ_TASK_ID", id), ("SLURM_ARRAY_TASK_ID", "1")]);
        assert_eq!(task("4", Some(4)).unwrap().as_deref(), Some("4/4 from HQ_TASK_ID"));
        assert!(task("0", Some(4)).unwrap_err().contains("from 1 to 4"));
        assert_eq!(task("0", None), Ok(None), "HyperQueue sets it for every job");
        assert!(chosen(None, Some(4), &[]).unwrap_err().contains("give --shard i/n"));
        assert!(chosen(None, Some(4), &[("HQ_TASK_ID", "")]).unwrap_err().contains("none of these"));
    }
}
