use std::collections::{BTreeMap, BTreeSet};

use hangscope_protocol::record::{PROBE_REGS, ProbeRecord};
use iced_x86::{Decoder, DecoderOptions, Instruction};

use super::registers::Registers;
use super::uses::Turns;
use super::{cycle, text};
use crate::session::Probe;
use crate::session::code::{Compared, WordUse};
use crate::symbolize::follow::{Executed, Way};
use crate::testkit::fake_shim::zero;

const CODE: u64 = 0x1000;
const WORD: u64 = 0x5000;
const RCX: usize = 2;
const RDX: usize = 1;
const RAX: usize = 0;
const RBP: usize = 6;
const RSP: usize = 7;

/// The instructions of some code, by address.
fn decoded(bytes: &[u8]) -> BTreeMap<u64, Instruction> {
    let decoder = Decoder::with_ip(64, bytes, CODE, DecoderOptions::NONE);
    decoder.into_iter().map(|i| (i.ip(), i)).collect()
}

/// A way that executes all of the code in turn, and begins again; its first instruction reads the word.
fn turning(code: &BTreeMap<u64, Instruction>) -> Way {
    let next = code.keys().copied().skip(1).chain([CODE]);
    let executed = |(pc, next): (&u64, u64)| (*pc, Executed { times: 9, next: BTreeSet::from([next]) });
    Way {
        executed: code.keys().zip(next).map(executed).collect(),
        loaded: BTreeMap::from([(CODE, BTreeSet::from([WORD]))]),
        ..Way::default()
    }
}

fn sample(pc: u64, set: &[(usize, u64)]) -> (u64, Probe) {
    let mut regs = [0; PROBE_REGS];
    set.iter().for_each(|(register, value)| regs[*register] = *value);
    (pc, Probe { record: ProbeRecord { regs, ..zero() }, stack: vec![] })
}

/// How the loop with this code uses the word.
fn used(bytes: &[u8], samples: &[(u64, Probe)]) -> (WordUse, bool) {
    let code = decoded(bytes);
    let way = turning(&code);
    let registers = Registers { samples: samples.iter().map(|(pc, probe)| (*pc, probe)).collect() };
    let mut turns = Turns::of(&way, &mut |pc| code.get(&pc).copied());
    let all = turns.uses(&code.keys().copied().collect(), &registers);
    let [one] = &all[..] else { panic!("{all:?}") };
    (one.clone(), turns.is_endless())
}

#[test]
fn a_word_that_is_loaded_and_compared() {
    // movzbl (%rax),%ecx; test %cl,%cl; jne
    let code = [0x0f, 0xb6, 0x08, 0x84, 0xc9, 0x75, 0xf9];
    // The upper bits of a register are no part of the word.
    let same: Vec<_> = [0x1003, 0x1005, 0x1000].map(|pc| sample(pc, &[(RCX, 0x701)])).into();
    let (one, endless) = used(&code, &same);
    let wanted = WordUse {
        address: WORD,
        size: 1,
        atomic: None,
        compared: Some(Compared::Number(0)),
        samples: 3,
        value: Some(1),
        varies: false,
    };
    assert_eq!((one, endless), (wanted, false));
    let changes = [sample(0x1003, &[(RCX, 1)]), sample(0x1003, &[(RCX, 2)])];
    let (one, _) = used(&code, &changes);
    assert_eq!((one.samples, one.value, one.varies), (2, None, true));
}

#[test]
fn what_only_code_that_was_not_followed_may_have_put_there_is_no_change() {
    // mov (%rax),%ecx; inc %edx; jmp: samples right after the load agree; those after the next may be of a
    // way into the loop that was not followed.
    let code = [0x8b, 0x08, 0xff, 0xc2, 0xeb, 0xfa];
    let samples = [sample(0x1002, &[(RCX, 1)]), sample(0x1002, &[(RCX, 1)]), sample(0x1004, &[(RCX, 9)])];
    let (one, _) = used(&code, &samples);
    assert_eq!((one.samples, one.value, one.varies), (3, None, false));
}

/// The words that the loop uses, and whether it has no loads.
fn uses(bytes: &[u8], samples: &[(u64, Probe)]) -> (usize, bool) {
    let code = decoded(bytes);
    let way = turning(&code);
    let registers = Registers { samples: samples.iter().map(|(pc, probe)| (*pc, probe)).collect() };
    let mut turns = Turns::of(&way, &mut |pc| code.get(&pc).copied());
    (turns.uses(&code.keys().copied().collect(), &registers).len(), turns.has_no_loads(&registers))
}

#[test]
fn a_load_that_moves_has_no_one_word() {
    // mov (%rax),%ecx; jmp
    let code = [0x8b, 0x08, 0xeb, 0xfc];
    let at = |values: [u64; 2]| uses(&code, &values.map(|v| sample(CODE, &[(RAX, v), (RSP, 0x70_0000)])));
    assert_eq!(at([WORD, WORD]), (1, false));
    assert_eq!(at([WORD, WORD + 64]), (0, false), "the loop runs on another word at times");
    // mov (%rdx),%rax; mov (%rax),%ecx; jmp: what other samples held may be of another word.
    let code = decoded(&[0x48, 0x8b, 0x02, 0x8b, 0x08, 0xeb, 0xf9]);
    let mut way = turning(&code);
    way.loaded = BTreeMap::from([(0x1003, BTreeSet::from([WORD]))]);
    let held = [sample(0x1005, &[]), sample(0x1005, &[])];
    let registers = Registers { samples: held.iter().map(|(pc, probe)| (*pc, probe)).collect() };
    let mut turns = Turns::of(&way, &mut |pc| code.get(&pc).copied());
    let [one] = &turns.uses(&code.keys().copied().collect(), &registers)[..] else { panic!() };
    assert_eq!((one.address, one.samples), (WORD, 0));
}

#[test]
fn barriers_are_no_changes_and_the_own_stack_is_no_load() {
    // lock orl $0,(%rax); jmp. lock addl $1,(%rax); jmp
    assert_eq!(uses(&[0xf0, 0x83, 0x08, 0x00, 0xeb, 0xfa], &[]).0, 0);
    assert_eq!(uses(&[0xf0, 0x83, 0x00, 0x01, 0xeb, 0xfa], &[]).0, 1);
    // mov -8(%rbp),%eax; jmp
    let own = [0x8b, 0x45, 0xf8, 0xeb, 0xfb];
    let with = |rbp| uses(&own, &[sample(CODE, &[(RSP, 0x7000), (RBP, rbp)])]).1;
    assert_eq!((with(0x7040), with(0x7000_0000)), (true, false));
    // mov (%rax),%ah; cmp $5,%al; jne: the register has the word in its second byte.
    let high = used(&[0x8a, 0x20, 0x3c, 0x05, 0x75, 0xfa], &[sample(CODE, &[])]).0;
    assert_eq!((high.compared, high.samples), (None, 0));
}

#[test]
fn what_is_changed_before_it_is_compared_is_not_the_word() {
    // movzbl (%rax),%ecx; inc %ecx; test %cl,%cl; jne
    let code = [0x0f, 0xb6, 0x08, 0xff, 0xc1, 0x84, 0xc9, 0x75, 0xf7];
    let samples = [sample(0x1003, &[(RCX, 1)]), sample(0x1005, &[(RCX, 2)]), sample(0x1007, &[(RCX, 2)])];
    let (one, _) = used(&code, &samples);
    assert_eq!((one.compared, one.samples, one.value), (None, 1, Some(1)));
}

#[test]
fn a_comparison_with_a_register_needs_one_that_stays() {
    // cmp %rdx,(%rax); jne
    let code = [0x48, 0x39, 0x10, 0x75, 0xfb];
    let with = |values: [u64; 2]| used(&code, &values.map(|v| sample(CODE, &[(RDX, v)]))).0.compared;
    assert_eq!(with([7, 7]), Some(Compared::Number(7)));
    assert_eq!(with([7, 8]), None);
    assert_eq!(used(&code, &[]).0.compared, None);
    // cmp %rdx,(%rax); inc %rdx; jmp
    let counts = [0x48, 0x39, 0x10, 0x48, 0xff, 0xc2, 0xeb, 0xf8];
    assert_eq!(used(&counts, &[sample(CODE, &[(RDX, 7)])]).0.compared, None);
    // cmpl $-1,(%rax); testb $4,(%rax); lock cmpxchg %ecx,(%rax)
    assert_eq!(used(&[0x83, 0x38, 0xff, 0x75, 0xfb], &[]).0.compared, Some(Compared::Number(0xffff_ffff)));
    assert_eq!(used(&[0xf6, 0x00, 0x04, 0x75, 0xfb], &[]).0.compared, Some(Compared::Bits(4)));
    let atomic = used(&[0xf0, 0x0f, 0xb1, 0x08, 0x75, 0xfa], &[]).0;
    assert_eq!((atomic.atomic.as_deref(), atomic.compared), (Some("lock cmpxchg"), None));
    // movb (%rax),%cl; jmp
    assert!(used(&[0x8a, 0x08, 0xeb, 0xfc], &[]).1);
}

#[test]
fn the_loop_around_a_sample_is_found_by_its_branches() {
    // nop; L: nop; je L2; jmp L; L2: ret
    let code = decoded(&[0x90, 0x90, 0x74, 0x02, 0xeb, 0xfb, 0xc3]);
    let around = |pc| cycle::of([pc].into_iter(), &mut |pc| code.get(&pc).copied());
    assert_eq!(around(0x1002), BTreeSet::from([0x1001, 0x1002, 0x1004]));
    assert_eq!(around(0x1000), BTreeSet::new());
    assert_eq!(around(0x1006), BTreeSet::new());
}

#[test]
fn operands_have_the_names_of_what_they_are() {
    let code = |at: u64| (at == 0x1107).then(|| "take@plt".to_owned());
    let data = |at: u64| (at == 0x3007).then(|| "g_table+16".to_owned());
    let text = |bytes: &[u8]| text::of(&decoded(bytes)[&CODE], &code, &data);
    // call; mov through rip; through rip, without a name; cmp
    assert_eq!(text(&[0xe8, 0x02, 0x01, 0, 0]), "call take@plt");
    assert_eq!(text(&[0x48, 0x8b, 0x05, 0, 0x20, 0, 0]), "mov g_table+16(%rip),%rax");
    assert_eq!(text(&[0x48, 0x8b, 0x05, 0xab, 0x30, 0, 0]), "mov 0x30ab(%rip),%rax");
    assert_eq!(text(&[0x83, 0x78, 0x10, 0xff]), "cmpl $0xffffffff,0x10(%rax)");
}
