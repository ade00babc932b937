//! CPUs cut into sets of equal size, for runs side by side: whole cores, neighbours together.

use std::path::Path;

use super::cpus;

/// CPUs cut into sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuSets {
    /// Disjoint, of equal size, each in order.
    pub(crate) sets: Vec<Vec<usize>>,
    /// CPUs in none of the sets, in order.
    pub(crate) left_over: Vec<usize>,
    /// There are fewer cores than sets: CPUs of one core (SMT siblings) are in different sets.
    pub(crate) core_is_shared: bool,
}

/// There are fewer CPUs than sets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("--jobs {jobs} needs a processor for each run, and the runs may use only {} ({}): {}", cpus.len(),
    cpus::show(cpus), remedy(cpus.len()))]
pub(crate) struct TooFewCpus {
    pub(crate) jobs: usize,
    pub(crate) cpus: Vec<usize>,
}

fn remedy(here: usize) -> String {
    match here {
        1 => "give --cpus with more processors, or leave --jobs out".to_owned(),
        _ => format!("give --jobs {here} or fewer, or --cpus with more processors"),
    }
}

impl CpuSets {
    /// Cuts `cpus` into `jobs` sets, by the cores of this machine. Without a readable topology each CPU
    /// counts as a core.
    ///
    /// # Errors
    /// [`TooFewCpus`]
    pub(crate) fn cut(cpus: &[usize], jobs: usize) -> Result<CpuSets, TooFewCpus> {
        cut(&cores(Path::new("/sys/devices/system/cpu"), cpus), jobs)
    }
}

/// The cores of these CPUs, neighbours together: by package, then by shared cache of the last level, then by
/// their lowest CPU. A core has only those of its CPUs that are in `cpus`.
fn cores(sys: &Path, cpus: &[usize]) -> Vec<Vec<usize>> {
    let read = |cpu: usize, file: &str| {
        let text = std::fs::read_to_string(sys.join(format!("cpu{cpu}/{file}"))).ok()?;
        Some(text.trim().to_owned())
    };
    let first_of = |list: String| cpus::list(&list).ok()?.first().copied();
    let mut cores: Vec<(Place, Vec<usize>)> = vec![];
    for &cpu in cpus {
        let siblings = read(cpu, "topology/thread_siblings_list").and_then(first_of);
        let cache = (2..=4).rev().find_map(|level| read(cpu, &format!("cache/index{level}/shared_cpu_list")));
        let place = Place {
            package: read(cpu, "topology/physical_package_id").and_then(|id| id.parse().ok()),
            cache: cache.and_then(first_of),
            core: siblings.unwrap_or(cpu),
        };
        match cores.iter_mut().find(|(other, _)| *other == place) {
            Some((_, of_core)) => of_core.push(cpu),
            None => cores.push((place, vec![cpu])),
        }
    }
    cores.sort();
    cores.into_iter().map(|(_, cpus)| cpus).collect()
}

/// Where a core is. A cache and a core go by their lowest CPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    package: Option<u32>,
    cache: Option<usize>,
    core: usize,
}

/// Cuts cores into sets as large as possible. Two sets share no core, unless there are fewer cores than sets.
fn cut(cores: &[Vec<usize>], jobs: usize) -> Result<CpuSets, TooFewCpus> {
    let mut cpus: Vec<usize> = cores.concat();
    let most = cpus.len() / jobs.max(1);
    let single = || cores.concat().into_iter().map(|cpu| vec![cpu]).collect::<Vec<_>>();
    let whole = (1..=most).rev().find_map(|size| sets_of(cores, jobs, size));
    let shared = || (1..=most).rev().find_map(|size| sets_of(&single(), jobs, size));
    let core_is_shared = whole.is_none();
    let Some(mut sets) = whole.or_else(shared) else {
        cpus.sort_unstable();
        return Err(TooFewCpus { jobs, cpus });
    };
    sets.iter_mut().for_each(|set| set.sort_unstable());
    cpus.retain(|cpu| !sets.iter().any(|set| set.contains(cpu)));
    cpus.sort_unstable();
    Ok(CpuSets { sets, left_over: cpus, core_is_shared })
}

/// `jobs` sets of `size` CPUs, each of cores of its own; none: the cores are too few.
fn sets_of(cores: &[Vec<usize>], jobs: usize, size: usize) -> Option<Vec<Vec<usize>>> {
    let mut cores = cores.iter();
    let one = |_| {
        let mut set = vec![];
        while set.len() < size {
            let core = cores.next()?;
            set.extend(core.iter().take(size - set.len()));
        }
        Some(set)
    };
    (0..jobs).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cores of `width` CPUs as Intel numbers them: CPU i and i + cores are siblings.
    fn smt(count: usize, width: usize) -> Vec<Vec<usize>> {
        (0..count).map(|core| (0..width).map(|thread| core + thread * count).collect()).collect()
    }

    fn shown(cores: &[Vec<usize>], jobs: usize) -> (Vec<String>, String) {
        let cut = cut(cores, jobs).unwrap();
        assert!(!cut.core_is_shared);
        (cut.sets.iter().map(|set| cpus::show(set)).collect(), cpus::show(&cut.left_over))
    }

    fn sets(sets: &[&str], left_over: &str) -> (Vec<String>, String) {
        (sets.iter().map(|set| (*set).to_owned()).collect(), left_over.to_owned())
    }

    #[test]
    fn sets_are_equal_whole_cores_and_neighbours() {
        assert_eq!(shown(&smt(2, 1), 2), sets(&["0", "1"], ""));
        assert_eq!(shown(&smt(2, 1), 1), sets(&["0-1"], ""));
        assert_eq!(
            shown(&smt(32, 2), 4),
            sets(&["0-7,32-39", "8-15,40-47", "16-23,48-55", "24-31,56-63"], "")
        );
        assert_eq!(shown(&smt(8, 2), 3), sets(&["0-1,8-9", "2-3,10-11", "4-5,12-13"], "6-7,14-15"));
        assert_eq!(shown(&smt(7, 1), 3), sets(&["0-1", "2-3", "4-5"], "6"));
        assert_eq!(shown(&smt(5, 2), 5), sets(&["0,5", "1,6", "2,7", "3,8", "4,9"], ""));
        // Four cores with two CPUs each, eight with one.
        let hybrid: Vec<Vec<usize>> =
            (0..4).map(|core| vec![2 * core, 2 * core + 1]).chain((8..16).map(|cpu| vec![cpu])).collect();
        assert_eq!(shown(&hybrid, 2), sets(&["0-7", "8-15"], ""));
        assert_eq!(shown(&hybrid, 4), sets(&["0-3", "4-7", "8-11", "12-15"], ""));
        // A mask with holes: one CPU of some cores.
        let holes = vec![vec![0, 8], vec![3], vec![5, 13], vec![6]];
        assert_eq!(shown(&holes, 2), sets(&["0,3,8", "5-6,13"], ""));
        assert_eq!(shown(&holes, 3), sets(&["0", "3", "5"], "6,8,13"));
    }

    #[test]
    fn every_cut_is_disjoint_equal_and_keeps_siblings_together() {
        for (count, width) in [(1, 1), (3, 2), (6, 4), (13, 2), (16, 1), (9, 3)] {
            let cores = smt(count, width);
            for jobs in 1..=count {
                let cut = cut(&cores, jobs).unwrap();
                assert_eq!(cut.sets.len(), jobs);
                assert!(cut.sets.iter().all(|set| set.len() == cut.sets[0].len()), "{cut:?}");
                assert_eq!(cut.sets[0].len() % width, 0, "whole cores: {cut:?}");
                let mut all: Vec<usize> = cut.sets.concat();
                all.extend(&cut.left_over);
                all.sort_unstable();
                assert!(all.into_iter().eq(0..count * width), "{cut:?}");
                let of = |cpu: &usize| cut.sets.iter().position(|set| set.contains(cpu));
                assert!(cores.iter().all(|core| core.iter().all(|cpu| of(cpu) == of(&core[0]))), "{cut:?}");
                assert!(cut.left_over.len() < jobs * width, "as large as possible: {cut:?}");
            }
        }
    }

    #[test]
    fn fewer_cores_than_sets_share_cores_and_fewer_cpus_are_refused() {
        let shared = cut(&smt(1, 2), 2).unwrap();
        assert_eq!((shared.sets, shared.core_is_shared), (vec![vec![0], vec![1]], true));
        insta::assert_snapshot!(cut(&smt(2, 1), 3).unwrap_err(), @"--jobs 3 needs a processor for each run, and the runs may use only 2 (0-1): give --jobs 2 or fewer, or --cpus with more processors");
        insta::assert_snapshot!(cut(&[vec![7]], 2).unwrap_err(), @"--jobs 2 needs a processor for each run, and the runs may use only 1 (7): give --cpus with more processors, or leave --jobs out");
    }

    #[test]
    fn cores_are_read_from_the_topology_and_a_cpu_without_one_is_a_core() {
        let sys = tempfile::tempdir().unwrap();
        let write = |cpu: usize, file: &str, text: &str| {
            let path = sys.path().join(format!("cpu{cpu}/{file}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        };
        // Two packages, whose CPUs take turns in the numbers; CPU i and i + 4 are siblings.
        for cpu in 0..8 {
            let (package, core) = (cpu % 2, cpu % 4);
            write(cpu, "topology/physical_package_id", &package.to_string());
            write(cpu, "topology/thread_siblings_list", &format!("{core},{}", core + 4));
            write(cpu, "cache/index3/shared_cpu_list", &format!("{package},{}", package + 2));
        }
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(cores(sys.path(), &all), [[0, 4], [2, 6], [1, 5], [3, 7]]);
        assert_eq!(cores(sys.path(), &[1, 2, 6]), [vec![2, 6], vec![1]]);
        assert_eq!(cores(&sys.path().join("none"), &[3, 1]), [[1], [3]]);
        let here = cpus::Cpus::all().used;
        assert_eq!(CpuSets::cut(&here, 1).unwrap().sets, [here]);
    }
}
