//! The loader's list of images (`struct r_debug` and `struct link_map` of <link.h>). The list of the first
//! namespace is in the order of symbol search, as far as the images were there at the start of the program.

use object::elf;

use crate::elf::{Dynamic, Headers, symbols};
use crate::memory::Memory;

/// Images that are followed: a bound for a list that runs in a ring.
const MOST: usize = 4096;
/// Offset of `r_map` in `struct r_debug`: `r_version` is an int.
const R_MAP: u64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Load bias of the image (`l_addr`).
    pub bias: u64,
    /// Address of the path (`l_name`), which ends with a NUL.
    pub name: u64,
    /// Address of the dynamic section (`l_ld`): in a mapping of the image.
    pub dynamic: u64,
}

impl Linked {
    /// Address of the function that the image defines by this name (without a NUL).
    pub fn function(&self, memory: &impl Memory, name: &[u8]) -> Option<u64> {
        let dynamic = Dynamic::read(memory, self.dynamic, self.bias);
        symbols::function(memory, &dynamic, name).map(|value| value.wrapping_add(self.bias))
    }
}

/// Address of the first variable of this name in the order of symbol search, for a name without a NUL.
pub fn find_variable(memory: &impl Memory, r_debug: u64, name: &[u8]) -> Option<u64> {
    List::new(memory, r_debug).find_map(|linked| {
        let dynamic = Dynamic::read(memory, linked.dynamic, linked.bias);
        symbols::variable(memory, &dynamic, name).map(|value| value.wrapping_add(linked.bias))
    })
}

/// The list. It ends where an entry cannot be read.
pub struct List<'m, M> {
    memory: &'m M,
    next: u64,
    left: usize,
}

impl<'m, M: Memory> List<'m, M> {
    /// The list that `struct r_debug` at this address names: inside the process the address of `_r_debug`,
    /// from outside what [`r_debug`] gives.
    pub fn new(memory: &'m M, r_debug: u64) -> List<'m, M> {
        let next = r_debug.checked_add(R_MAP).and_then(|at| memory.word(at)).unwrap_or(0);
        List { memory, next, left: MOST }
    }
}

impl<M: Memory> Iterator for List<'_, M> {
    type Item = Linked;

    fn next(&mut self) -> Option<Linked> {
        if self.next == 0 {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        // l_addr, l_name, l_ld, l_next.
        let entry = self.memory.array::<32>(self.next)?;
        let (words, _) = entry.as_chunks::<8>();
        let &[bias, name, dynamic, next] = words else { return None };
        self.next = u64::from_le_bytes(next);
        let [bias, name, dynamic] = [bias, name, dynamic].map(u64::from_le_bytes);
        Some(Linked { bias, name, dynamic })
    }
}

/// Address of the first definition of a function in the order of symbol search, for a name without a NUL.
pub fn find_function(memory: &impl Memory, r_debug: u64, name: &[u8]) -> Option<u64> {
    List::new(memory, r_debug).find_map(|linked| linked.function(memory, name))
}

/// Address of the definition of a function that comes after the one at `before` in the order of symbol
/// search: what `dlsym(RTLD_NEXT)` gives to the image that has that one.
pub fn find_next_function(memory: &impl Memory, r_debug: u64, name: &[u8], before: u64) -> Option<u64> {
    let mut all = List::new(memory, r_debug).filter_map(|linked| linked.function(memory, name));
    all.by_ref().find(|address| *address == before)?;
    all.next()
}

/// Address of `struct r_debug`, from the bytes of `/proc/PID/auxv`: the program's dynamic section names it.
/// `None` for a static program, and before the loader has set it up.
pub fn r_debug(memory: &impl Memory, auxv: &[u8]) -> Option<u64> {
    const AT_PHDR: u64 = 3;
    const AT_PHNUM: u64 = 5;
    let (words, _) = auxv.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let value = |key: u64| {
        let pair = pairs.iter().find(|[k, _]| u64::from_le_bytes(*k) == key);
        pair.map(|[_, value]| u64::from_le_bytes(*value))
    };
    let table = value(AT_PHDR)?;
    let (mut bias, mut dynamic) = (0, None);
    for i in 0..value(AT_PHNUM)?.min(256) {
        let size = size_of::<elf::ProgramHeader64<object::LittleEndian>>() as u64;
        let header: elf::ProgramHeader64<object::LittleEndian> =
            crate::memory::structure(memory, table.wrapping_add(i * size))?;
        let vaddr = header.p_vaddr.get(object::LittleEndian);
        match header.p_type.get(object::LittleEndian) {
            elf::PT_PHDR => bias = table.wrapping_sub(vaddr),
            elf::PT_DYNAMIC => dynamic = Some(vaddr),
            _ => {}
        }
    }
    let debug = Dynamic::read(memory, bias.wrapping_add(dynamic?), bias).debug;
    (debug != 0).then_some(debug)
}

/// Address of `struct r_debug`, from the image whose file begins at address `start`: as the program names it,
/// or as the loader defines it. For a program that was started through its loader (`ld.so ./prog`): the
/// kernel knows only the loader then, and so does auxv.
pub fn r_debug_of_image(memory: &impl Memory, start: u64) -> Option<u64> {
    let headers = Headers::read(memory, start)?;
    let dynamic = Dynamic::read(memory, headers.dynamic()?, headers.bias);
    let named = Some(dynamic.debug).filter(|at| *at != 0 && is_r_debug(memory, *at));
    named.or_else(|| {
        let at = symbols::variable(memory, &dynamic, b"_r_debug")?.wrapping_add(headers.bias);
        is_r_debug(memory, at).then_some(at)
    })
}

/// Whether a structure with a version and a list is there.
fn is_r_debug(memory: &impl Memory, at: u64) -> bool {
    let version = memory.half(at).unwrap_or(0);
    (1..=2).contains(&version) && List::new(memory, at).next().is_some()
}
