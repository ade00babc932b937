use std::collections::{BTreeMap, HashMap};

use hangscope_protocol::record::PROBE_REGS;

use super::machine::{Code, Machine, Text};
use super::space::{LINE, Lines, Space};
use super::{Load, Seen, follow};

const CODE: u64 = 0x40_0000;
const STACK: u64 = 0x7f00_0000_0000;
const RSI: usize = 4;
const RDI: usize = 5;
const RBP: usize = 6;
const RDX: usize = 1;

struct Bytes(Vec<u8>);

impl Text for Bytes {
    fn code(&self, pc: u64) -> Option<&[u8]> {
        self.0.get(usize::try_from(pc.checked_sub(CODE)?).ok()?..).filter(|rest| !rest.is_empty())
    }

    fn is_kernels(&self, _pc: u64) -> bool {
        false
    }
}

/// A thread in made-up code and memory.
struct Made {
    code: Vec<u8>,
    regs: Vec<(usize, u64)>,
    /// 64-bit numbers by address.
    memory: BTreeMap<u64, u64>,
    /// Bytes of the stack from [`STACK`] on.
    stack: Vec<u8>,
}

fn made(code: &[u8], regs: &[(usize, u64)], memory: &[(u64, u64)]) -> Made {
    Made {
        code: code.to_vec(),
        regs: regs.to_vec(),
        memory: memory.iter().copied().collect(),
        stack: vec![0; 64],
    }
}

struct Ran {
    seen: Seen,
    /// Where the frames of the sample returned to.
    returned_to: Vec<u64>,
    /// Steps of locks.
    barriers: usize,
    /// It changed memory other than its own stack.
    stores: bool,
    /// What it stored there was not known.
    guesses: bool,
    /// Requests for memory.
    requests: usize,
}

fn run(made: &Made) -> Ran {
    let text = Bytes(made.code.clone());
    let mut code = Code::of(&text);
    let mut lines = Lines::default();
    let mut line_of = |at: u64| {
        let mut line = [0; LINE];
        for (i, word) in line.chunks_mut(8).enumerate() {
            word.copy_from_slice(&made.memory.get(&(at + i as u64 * 8)).copied().unwrap_or(0).to_le_bytes());
        }
        Some(line)
    };
    let space = Space {
        stack: (STACK, &made.stack),
        own: STACK..STACK + 0x1000,
        lines: &mut lines,
        line_of: &mut line_of,
        written: HashMap::new(),
        stores: false,
        guesses: false,
    };
    let mut regs = [None; PROBE_REGS];
    regs[7] = Some(STACK);
    for (register, value) in &made.regs {
        regs[*register] = Some(*value);
    }
    let mut machine = Machine::new(&mut code, space, &regs, CODE);
    let seen = follow(&mut machine, &mut 1_000_000);
    let Space { stores, guesses, .. } = machine.space;
    let Machine { barriers, returned_to, requests, .. } = machine;
    Ran { seen, barriers, stores, guesses, requests, returned_to }
}

fn often(made: &Made) -> Vec<(u64, bool)> {
    run(made).seen.often().into_iter().map(|Load { address, atomic, .. }| (address, atomic)).collect()
}

fn nodes(made: &Made) -> Option<Vec<u64>> {
    run(made).seen.ring.map(|ring| ring.nodes)
}

/// Whether the loop turns and changes nothing.
fn only_reads(made: &Made) -> bool {
    let ran = run(made);
    ran.seen.turns && !ran.stores
}

/// `mov eax, 1; xchg [rdi], eax; test eax, eax; jne` back to the begin.
const SWAP: &[u8] = &[0xb8, 1, 0, 0, 0, 0x87, 0x07, 0x85, 0xc0, 0x75, 0xf5];
/// `mov rax, [rdi]; mov rdi, rax; test rdi, rdi; jne` back to the begin.
const WALK: &[u8] = &[0x48, 0x8b, 0x07, 0x48, 0x89, 0xc7, 0x48, 0x85, 0xff, 0x75, 0xf5];

#[test]
fn a_spin_lock_is_the_word_that_the_loop_swaps() {
    let held = made(SWAP, &[(RDI, 0x1040)], &[(0x1040, 1)]);
    assert_eq!(often(&held), [(0x1040, true)]);
    assert_eq!(nodes(&held), None);
    // A free lock is taken, and the loop ends.
    assert_eq!(often(&made(SWAP, &[(RDI, 0x1040)], &[])), []);
    // `mov rax, [rdi]; cmp rax, rsi; jne`: a ticket that is not called.
    let ticket = [0x48, 0x8b, 0x07, 0x48, 0x39, 0xf0, 0x75, 0xf8];
    assert_eq!(often(&made(&ticket, &[(RDI, 0x1040), (RSI, 9)], &[(0x1040, 4)])), [(0x1040, false)]);
}

#[test]
fn a_loop_that_only_reads_is_told_from_one_that_stores() {
    let ticket = [0x48, 0x8b, 0x07, 0x48, 0x39, 0xf0, 0x75, 0xf8];
    assert!(only_reads(&made(&ticket, &[(RDI, 0x1040), (RSI, 9)], &[(0x1040, 4)])));
    assert!(!only_reads(&made(&ticket, &[(RDI, 0x1040), (RSI, 4)], &[(0x1040, 4)])), "it leaves the loop");
    assert!(!only_reads(&made(SWAP, &[(RDI, 0x1040)], &[(0x1040, 1)])));
    // `inc qword [rdi]; jmp` to the begin; the same on the own stack; `jmp` to itself.
    let counts = [0x48, 0xff, 0x07, 0xeb, 0xfb];
    assert!(!only_reads(&made(&counts, &[(RDI, 0x1040)], &[])));
    assert!(only_reads(&made(&counts, &[(RDI, STACK + 16)], &[])));
    assert!(only_reads(&made(&[0xeb, 0xfe], &[], &[])));
}

#[test]
fn a_compare_and_exchange_fails_on_a_held_word() {
    // `xor eax, eax; lock cmpxchg [rdi], esi; pause; jne` back to the begin: `pause` keeps the flags.
    let code = [0x31, 0xc0, 0xf0, 0x0f, 0xb1, 0x37, 0xf3, 0x90, 0x75, 0xf6];
    let held = made(&code, &[(RDI, 0x1000), (RSI, 77)], &[(0x1000, 42)]);
    assert_eq!(often(&held), [(0x1000, true)]);
    assert!(run(&held).barriers >= 3, "each try is a step of a lock");
    assert_eq!(often(&made(&code, &[(RDI, 0x1000), (RSI, 77)], &[])), []);
}

#[test]
fn a_list_that_comes_back_is_a_ring() {
    let ring = [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x1000)];
    assert_eq!(nodes(&made(WALK, &[(RDI, 0x1000)], &ring)).map(|nodes| nodes.len()), Some(3));
    let itself = made(WALK, &[(RDI, 0x1000)], &[(0x1000, 0x1000)]);
    assert_eq!(nodes(&itself), Some(vec![0x1000]));
    let ends = [(0x1000, 0x2000), (0x2000, 0x3000)];
    assert_eq!(nodes(&made(WALK, &[(RDI, 0x1000)], &ends)), None);
}

#[test]
fn a_list_that_is_walked_again_from_its_head_is_no_ring() {
    // `mov rdi, [rsi]; test rdi, rdi; je` to the begin; `mov rdi, [rdi]; jmp` to the test.
    let code = [0x48, 0x8b, 0x3e, 0x48, 0x85, 0xff, 0x74, 0xf8, 0x48, 0x8b, 0x3f, 0xeb, 0xf6];
    let list = [(0x900, 0x1000), (0x1000, 0x2000), (0x2000, 0x3000)];
    assert_eq!(nodes(&made(&code, &[(RSI, 0x900), (RDI, 0x2000)], &list)), None);
}

#[test]
fn a_walk_down_a_tree_and_up_again_is_no_ring() {
    // `mov rax, [rdi]; mov rdi, rax; mov rax, [rdi+8]; mov rdi, rax; jmp` to the begin.
    let code = [0x48, 0x8b, 0x07, 0x48, 0x89, 0xc7, 0x48, 0x8b, 0x47, 0x08, 0x48, 0x89, 0xc7, 0xeb, 0xf1];
    let tree = [(0x1000, 0x1040), (0x1048, 0x1000)];
    assert_eq!(nodes(&made(&code, &[(RDI, 0x1000)], &tree)), None);
    // One load for both ways: `mov rax, [rdi]; test rax, rax; jne +4; mov rax, [rdi+8]; mov rdi, rax; jmp`.
    let code = [
        0x48, 0x8b, 0x07, 0x48, 0x85, 0xc0, 0x75, 0x04, 0x48, 0x8b, 0x47, 0x08, 0x48, 0x89, 0xc7, 0xeb, 0xef,
    ];
    assert_eq!(nodes(&made(&code, &[(RDI, 0x1000)], &tree)), None);
}

#[test]
fn an_encoded_list_and_a_pointer_on_the_stack_are_followed_too() {
    // `mov rax, [rdi]; xor rax, rdx; mov rdi, rax; jmp` to the begin.
    let code = [0x48, 0x8b, 0x07, 0x48, 0x31, 0xd0, 0x48, 0x89, 0xc7, 0xeb, 0xf5];
    let key = 0x5555_5555;
    let ring = [(0x1000, 0x2000 ^ key), (0x2000, 0x1000 ^ key)];
    assert_eq!(nodes(&made(&code, &[(RDI, 0x1000), (RDX, key)], &ring)).map(|nodes| nodes.len()), Some(2));
    // `mov rax, [rbp-8]; mov rax, [rax]; mov [rbp-8], rax; jmp` to the begin.
    let code = [0x48, 0x8b, 0x45, 0xf8, 0x48, 0x8b, 0x00, 0x48, 0x89, 0x45, 0xf8, 0xeb, 0xf3];
    let mut slot = made(&code, &[(RBP, STACK + 16)], &[(0x1000, 0x2000), (0x2000, 0x1000)]);
    slot.stack[8..16].copy_from_slice(&0x1000u64.to_le_bytes());
    assert_eq!(nodes(&slot).map(|nodes| nodes.len()), Some(2));
}

#[test]
fn what_is_not_known_ends_the_way() {
    // `mov rax, fs:[0x28]; test rax, rax; jne` to the begin; `mov rcx, [rdi]; jmp` to the begin.
    let code = [
        0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0, 0x48, 0x85, 0xc0, 0x75, 0xf2, 0x48, 0x8b, 0x0f, 0xeb,
        0xed,
    ];
    assert_eq!(often(&made(&code, &[(RDI, 0x1000)], &[])), []);
}

#[test]
fn a_return_out_of_the_sample_s_frame_is_told_from_one_of_a_call() {
    // `call` over the next instruction; `ret`; there: `ret`.
    let code = [0xe8, 1, 0, 0, 0, 0xc3, 0xc3];
    let mut here = made(&code, &[], &[]);
    here.stack[..8].copy_from_slice(&(CODE + 0x100).to_le_bytes());
    let returned = run(&here).returned_to;
    assert_eq!(returned, [CODE + 0x100]);
}

/// Compilers write two pointers at once in this way.
#[test]
fn numbers_are_known_on_their_way_through_vector_registers() {
    // `movq xmm0, rdi; punpcklqdq xmm0, xmm0; movups [rsi], xmm0; movdqa xmm1, [rsi]; movq [rsi+32], xmm1;
    // movhps [rsi+40], xmm1`
    let mut code = vec![0x66, 0x48, 0x0f, 0x6e, 0xc7, 0x66, 0x0f, 0x6c, 0xc0, 0x0f, 0x11, 0x06];
    code.extend([0x66, 0x0f, 0x6f, 0x0e, 0x66, 0x0f, 0xd6, 0x4e, 0x20, 0x0f, 0x17, 0x4e, 0x28]);
    // `mov rax, [rsi+32]; cmp rax, rdi; jne; mov rax, [rsi+40]; cmp rax, rdi; jne` to `hlt`; `ret`
    code.extend([0x48, 0x8b, 0x46, 0x20, 0x48, 0x39, 0xf8, 0x75, 0x0a]);
    code.extend([0x48, 0x8b, 0x46, 0x28, 0x48, 0x39, 0xf8, 0x75, 0x01, 0xc3, 0xf4]);
    let returns_to = |code: &[u8]| {
        let mut here = made(code, &[(RDI, 0x1234_5678), (RSI, 0x5000)], &[]);
        here.stack[..8].copy_from_slice(&(CODE + 0x100).to_le_bytes());
        run(&here).returned_to
    };
    assert_eq!(returns_to(&code), [CODE + 0x100]);
    // `paddq xmm0, xmm0` in place of `punpcklqdq`: not computed, so what is stored is not known.
    code[7] = 0xd4;
    let Ran { guesses, returned_to, .. } = run(&made(&code, &[(RDI, 0x1234_5678), (RSI, 0x5000)], &[]));
    assert!(guesses && returned_to.is_empty());
}

#[test]
fn requests_for_memory_fail_and_yields_succeed() {
    // `mov eax, 9; syscall; cmp rax, -12; je` to the begin.
    let mmap = [0xb8, 9, 0, 0, 0, 0x0f, 0x05, 0x48, 0x83, 0xf8, 0xf4, 0x74, 0xf3];
    let ran = run(&made(&mmap, &[], &[]));
    assert!(ran.barriers > 100 && ran.requests == ran.barriers, "it goes round");
    // `mov eax, 24; syscall; test eax, eax; je` to the begin.
    let yields = [0xb8, 24, 0, 0, 0, 0x0f, 0x05, 0x85, 0xc0, 0x74, 0xf5];
    let ran = run(&made(&yields, &[], &[]));
    assert!(ran.barriers > 100 && ran.requests == 0);
    // Another call is not followed.
    let read = [0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x85, 0xc0, 0x74, 0xf5];
    assert_eq!(run(&made(&read, &[], &[])).barriers, 1);
}
