//! The file of a run's plan: written before the run, read after it. See [`hangscope_protocol::stir`].

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use hangscope_protocol::Record as _;
use hangscope_protocol::stir::{COUNTS, MAGIC, PlanHeader, SiteRecord, VERSION, count, patched, site};

use super::code::{self, Assembled};
use super::functions::Code;
use super::noise::Noise;
use super::sites;
use crate::files::atomic;

/// Makes the plans of a hunt: the allocator's code is decoded once.
#[derive(Debug)]
pub(crate) struct Planner {
    assembled: Assembled,
    /// Why no atomic instruction of the allocator can be replaced.
    pub(crate) no_sites: Option<String>,
}

impl Planner {
    /// For runs under this allocator; none: under libc's, whose code stays as it is.
    pub(crate) fn new(allocator: Option<&Path>) -> Planner {
        let empty = || Assembled { records: vec![], bytes: vec![], fixups: vec![], left_out: 0 };
        let Some(allocator) = allocator else { return Planner { assembled: empty(), no_sites: None } };
        let read = std::fs::read(allocator).map_err(|e| e.to_string());
        let assembled = read.and_then(|bytes| {
            let code = Code::read(&bytes).map_err(|e| e.to_string())?;
            let found = sites::find(&code);
            let mut assembled = code::assemble(&code, &found.sites);
            assembled.left_out += found.left_out;
            Ok(assembled)
        });
        match assembled {
            Ok(assembled) if assembled.records.is_empty() => {
                let no_sites = Some("it has no atomic instruction that can be replaced".to_owned());
                Planner { assembled: empty(), no_sites }
            }
            Ok(assembled) => Planner { assembled, no_sites: None },
            Err(why) => Planner { assembled: empty(), no_sites: Some(why) },
        }
    }

    /// Number of atomic instructions at which threads can be held, and of those at which they cannot.
    pub(crate) fn sites(&self) -> (usize, usize) {
        (self.assembled.records.len(), self.assembled.left_out)
    }

    /// The bytes of a plan, for a code of [`hangscope_protocol::stir::strategy`]; `None` if it holds no
    /// threads. `preferred` are offsets in the allocator, of instructions or of what follows them.
    pub(crate) fn bytes(&self, strategy: u32, seed: u32, preferred: &BTreeSet<u32>) -> Option<Vec<u8>> {
        let noise = Noise::of(strategy)?;
        let Assembled { records, bytes: code, fixups, .. } = &self.assembled;
        // Without instructions to hold at nothing is replaced.
        let used = noise.armed > 0;
        let sites = if used { records.len() } else { 0 };
        let (fixups, code) = if used { (&fixups[..], &code[..]) } else { (&[][..], &[][..]) };
        let counts_at = PlanHeader::SIZE.next_multiple_of(8);
        let sites_at = counts_at + COUNTS * 8;
        let hits_at = sites_at + sites * SiteRecord::SIZE;
        let fixups_at = hits_at + sites * 4;
        let code_at = fixups_at + fixups.len() * 4;
        // At most 4,096 sites of some hundred bytes each.
        let at = |offset: usize| offset as u32;
        let header = PlanHeader {
            magic: MAGIC,
            version: VERSION,
            seed,
            one_in: noise.one_in,
            call_sites: noise.call_sites,
            armed: noise.armed,
            every_ns: noise.every_ns,
            least_ns: noise.least_ns,
            octaves: noise.octaves,
            counts_at: at(counts_at),
            sites: at(sites),
            sites_at: at(sites_at),
            hits_at: at(hits_at),
            fixups: at(fixups.len()),
            fixups_at: at(fixups_at),
            code: at(code.len()),
            code_at: at(code_at),
        };
        let mut bytes = vec![0; code_at];
        header.put(&mut bytes);
        for (record, to) in
            records.iter().take(sites).zip(bytes[sites_at..].chunks_exact_mut(SiteRecord::SIZE))
        {
            let is_preferred = [record.at, record.next].iter().any(|at| preferred.contains(at));
            let flags = if is_preferred { site::PREFERRED } else { 0 };
            SiteRecord { flags, ..*record }.put(to);
        }
        for (fixup, to) in fixups.iter().zip(bytes[fixups_at..].chunks_exact_mut(4)) {
            to.copy_from_slice(&fixup.to_le_bytes());
        }
        bytes.extend(code);
        Some(bytes)
    }

    /// Writes the plan of a run, over an earlier one. False if the strategy holds no threads: then there is
    /// no file.
    pub(crate) fn write(
        &self,
        file: &Path,
        strategy: u32,
        seed: u32,
        preferred: &BTreeSet<u32>,
    ) -> Result<bool> {
        let Some(bytes) = self.bytes(strategy, seed, preferred) else { return Ok(false) };
        // Not over the bytes of the last one: a process that is still ending may have it mapped.
        atomic::write(file, &bytes)?;
        Ok(true)
    }
}

/// What a run has counted in its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Why no instruction was replaced, in the words of [`patched`].
    pub(crate) patched: u64,
    pub(crate) at_calls: u64,
    pub(crate) at_sites: u64,
    /// Time in holds, ns.
    pub(crate) held_ns: u64,
    /// Waits far longer than any hold explains, which ended.
    pub(crate) long_waits: u64,
    /// The longest of them, ns.
    pub(crate) longest_wait_ns: u64,
    pub(crate) live_sites: u64,
    /// Offset of each instruction at which threads were held, and how often.
    pub(crate) hits: Vec<(u32, u32)>,
}

impl Counts {
    /// Reads the plan of a run that is over.
    ///
    /// # Errors
    /// The file cannot be read, or is no plan.
    pub(crate) fn read(file: &Path) -> Result<Counts> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        match Counts::of(&bytes) {
            Some(counts) => Ok(counts),
            None => bail!("{} is no plan of holds", file.display()),
        }
    }

    fn of(bytes: &[u8]) -> Option<Counts> {
        let header = PlanHeader::get(bytes).filter(|h| (h.magic, h.version) == (MAGIC, VERSION))?;
        let numbers = <[u64; COUNTS]>::get(bytes.get(header.counts_at as usize..)?)?;
        let sites = bytes.get(header.sites_at as usize..)?.chunks_exact(SiteRecord::SIZE);
        let hits = bytes.get(header.hits_at as usize..)?.chunks_exact(4);
        let hits = sites.zip(hits).take(header.sites as usize).filter_map(|(site, hits)| {
            let hits = u32::get(hits).filter(|hits| *hits > 0)?;
            Some((SiteRecord::get(site)?.at, hits))
        });
        Some(Counts {
            patched: numbers[count::PATCHED],
            at_calls: numbers[count::AT_CALLS],
            at_sites: numbers[count::AT_SITES],
            held_ns: numbers[count::HELD_NS],
            long_waits: numbers[count::LONG_WAITS],
            longest_wait_ns: numbers[count::LONGEST_WAIT_NS],
            live_sites: numbers[count::LIVE_SITES],
            hits: hits.collect(),
        })
    }

    /// Why no instruction of the allocator was replaced; none if they were, or none was to be.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match self.patched {
            patched::THREADS => Some("another constructor had started threads"),
            patched::OTHER_BYTES => Some("the allocator in the process is another file"),
            patched::NO_ROOM => Some("there is no free memory within reach of the allocator"),
            patched::REFUSED => Some("the kernel refuses to make the allocator's code writable"),
            patched::NO_ALLOCATOR => Some("malloc is that of libc"),
            _ => None,
        }
    }
}
