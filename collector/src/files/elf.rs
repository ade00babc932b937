//! What an ELF file is: whether it can be preloaded, and into which programs.

use object::elf;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
    /// Path of its loader (PT_INTERP) as written in the file.
    pub(crate) interpreter: Option<String>,
    /// The build-id as hex; none if there is none.
    pub(crate) build_id: Option<String>,
    /// Whether its dynamic symbols define `malloc`.
    pub(crate) defines_malloc: bool,
}

/// Class and machine. Two files can be in one process only if both are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) bits: u8,
    pub(crate) machine: u16,
    pub(crate) little: bool,
}

impl Target {
    /// The target of this program.
    pub(crate) fn own() -> Target {
        let machine = if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
        Target { bits: usize::BITS as u8, machine: machine.0, little: cfg!(target_endian = "little") }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match elf::Machine(self.machine) {
            elf::EM_X86_64 => "x86-64",
            elf::EM_AARCH64 => "aarch64",
            elf::EM_386 => "i386",
            elf::EM_ARM => "arm",
            elf::EM_RISCV => "riscv",
            elf::EM_PPC64 => "ppc64",
            elf::EM_S390 => "s390",
            _ => return write!(f, "{}-bit machine {}", self.bits, self.machine),
        };
        write!(f, "{}-bit {name}", self.bits)?;
        if self.little { Ok(()) } else { f.write_str(" big-endian") }
    }
}

/// What an ELF file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SharedObject,
    /// A program that a loader starts.
    Program,
    /// A program without a loader: no DSO can be preloaded into it.
    StaticProgram,
    /// An object file, a core dump, or a shared object without a dynamic section.
    Other,
}

/// The file is not an ELF file, or cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotElf {
    /// The first bytes are not those of an ELF file.
    #[error("not an ELF file{0}")]
    Magic(&'static str),
    /// The first bytes are those of an ELF file.
    #[error("a damaged ELF file ({0})")]
    Damaged(String),
}

/// Reads the facts of an ELF file of any class and machine. No bytes make this panic.
pub(crate) fn read(bytes: &[u8]) -> Result<Elf, NotElf> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(NotElf::Magic(hint(bytes)));
    }
    let damaged = |e: object::Error| NotElf::Damaged(e.to_string());
    let mut facts = match bytes.get(libc::EI_CLASS).map(|class| elf::FileClass(*class)) {
        Some(elf::ELFCLASS64) => headers::<elf::FileHeader64<Endianness>>(bytes),
        Some(elf::ELFCLASS32) => headers::<elf::FileHeader32<Endianness>>(bytes),
        _ => return Err(NotElf::Damaged("no class".into())),
    }
    .map_err(damaged)?;
    // A DSO without section headers (sstrip) still loads. Its build-id and symbols are then unknown.
    if let Ok(file) = object::File::parse(bytes) {
        facts.build_id = file.build_id().ok().flatten().map(hex::encode);
        facts.defines_malloc =
            file.dynamic_symbols().any(|s| s.is_definition() && s.name_bytes() == Ok(b"malloc"));
    }
    Ok(facts)
}

/// What the file may be instead, for the message.
fn hint(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => " (it is empty)",
        [b'#', b'!', ..] => " but a script",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => " but an archive (.a)",
        _ if bytes.starts_with(b"/* GNU ld")
            || bytes.starts_with(b"INPUT")
            || bytes.starts_with(b"GROUP") =>
        {
            " but a linker script"
        }
        _ => "",
    }
}

fn headers<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<Elf> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let (mut interpreter, mut dynamic, mut pie) = (None, false, false);
    for segment in header.program_headers(endian, bytes)? {
        if let Some(path) = segment.interpreter(endian, bytes)? {
            interpreter = Some(String::from_utf8_lossy(path).into_owned());
        }
        if let Some(entries) = segment.dynamic(endian, bytes)? {
            dynamic = true;
            pie = entries.iter().any(|entry| {
                entry.tag(endian) == elf::DT_FLAGS_1
                    && Into::<u64>::into(entry.d_val(endian)) & elf::DF_1_PIE.0 != 0
            });
        }
    }
    let kind = match (header.e_type(endian), &interpreter) {
        (elf::ET_DYN, _) if dynamic && !pie => Kind::SharedObject,
        (elf::ET_EXEC | elf::ET_DYN, Some(_)) => Kind::Program,
        (elf::ET_EXEC, None) => Kind::StaticProgram,
        (elf::ET_DYN, None) if pie => Kind::StaticProgram,
        _ => Kind::Other,
    };
    let target = Target {
        bits: if header.is_class_64() { 64 } else { 32 },
        machine: header.e_machine(endian).0,
        little: endian == Endianness::Little,
    };
    Ok(Elf { target, kind, interpreter, build_id: None, defines_malloc: false })
}
