#include "odd.h"

#define LOAD \
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n" \
    "sub $56, %rsp\n mov %rsi, (%rsp)\n" \
    "movups 256(%rdi), %xmm0\n movaps %xmm0, own(%rip)\n" \
    "mov 120(%rdi), %rax\n mov %rax, 16(%rsp)\n" \
    "i=0\n .rept 16\n mov 128+8*i(%rdi), %rax\n mov %rax, 8*i-128(%rsp)\n i=i+1\n .endr\n" \
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu 272+32*\\n(%rdi), %ymm\\n\n .endr\n" \
    "frstor 784(%rdi)\n ldmxcsr 896(%rdi)\n" \
    "mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n mov 24(%rdi), %rbx\n mov 32(%rdi), %rbp\n" \
    "mov 40(%rdi), %rsi\n mov 56(%rdi), %r8\n mov 64(%rdi), %r9\n mov 72(%rdi), %r10\n mov 80(%rdi), %r11\n" \
    "mov 88(%rdi), %r12\n mov 96(%rdi), %r13\n mov 104(%rdi), %r14\n mov 112(%rdi), %r15\n mov 48(%rdi), %rdi\n" \
    "lea 16(%rsp), %rsp\n popfq\n lea -24(%rsp), %rsp\n"

#define STORE \
    "mov %rax, 8(%rsp)\n mov (%rsp), %rax\n" \
    "mov %rcx, 8(%rax)\n mov %rdx, 16(%rax)\n mov %rbx, 24(%rax)\n mov %rbp, 32(%rax)\n mov %rsi, 40(%rax)\n" \
    "mov %rdi, 48(%rax)\n mov %r8, 56(%rax)\n mov %r9, 64(%rax)\n mov %r10, 72(%rax)\n mov %r11, 80(%rax)\n" \
    "mov %r12, 88(%rax)\n mov %r13, 96(%rax)\n mov %r14, 104(%rax)\n mov %r15, 112(%rax)\n" \
    "mov 8(%rsp), %rcx\n mov %rcx, 0(%rax)\n" \
    "i=0\n .rept 16\n mov 8*i-128(%rsp), %rcx\n mov %rcx, 128+8*i(%rax)\n i=i+1\n .endr\n" \
    "pushfq\n pop %rcx\n cld\n mov %rcx, 120(%rax)\n" \
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %ymm\\n, 272+32*\\n(%rax)\n .endr\n" \
    "fnsave 784(%rax)\n stmxcsr 896(%rax)\n movaps own(%rip), %xmm0\n movups %xmm0, 256(%rax)\n" \
    "pushq $0x1f80\n ldmxcsr (%rsp)\n pop %rcx\n vzeroupper\n" \
    "add $56, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"

// Labels of a case end with its name.
#define CASE(name, body) \
    __asm__(".text\n .p2align 4\n .globl " #name "\n .hidden " #name "\n .type " #name ",@function\n" #name ":\n" \
            ".cfi_startproc\n" LOAD body STORE ".cfi_endproc\n .size " #name ", .-" #name "\n"); \
    extern __attribute__((visibility("hidden"))) void name(const struct state *, struct state *);

// A function in the midst of the text.
#define FUNCTION(name, body) \
    __asm__(".text\n .type " #name ",@function\n" #name ":\n .cfi_startproc\n" body ".cfi_endproc\n .size " #name ", .-" #name "\n");

__asm__(".bss\n .p2align 4\n own: .zero 16\n .text\n");

FUNCTION(starts, "lock incl (%rbx)\n ret\n")
FUNCTION(goes_on, "lock incl 4(%rbx)\n jmp starts\n")
FUNCTION(anywhere, "lock decl 8(%rbx)\n jmp *16(%rsp)\n")
// Entered by a table of another function.
FUNCTION(cold, "nop\n lock incl (%rbx)\n in_cold: add $3, %r8\n ret\n")

CASE(own_word, "lock incq own(%rip)\n")
CASE(own_immediate, "lock addl $1, own+4(%rip)\n")
CASE(own_large, "lock addq $0x12345678, own+8(%rip)\n")
CASE(own_exchange, "xchg %rdx, own(%rip)\n lea own(%rip), %r9\n mov (%r9), %r9\n")
CASE(sixteen, "lock cmpxchg16b (%rsi)\n")
CASE(sixteen_own, "lock cmpxchg16b own(%rip)\n")
CASE(two_bytes, "xchg %eax, (%rbx)\n")
CASE(two_bytes_then, "xchg %eax, (%rbx)\n sbb %rcx, %rcx\n setp %dl\n adc %r8, %r9\n")
CASE(red_zone, "mov %r8, -16(%rsp)\n lock xadd %rdx, -16(%rsp)\n lock decl -128(%rsp)\n xchg %r10, -8(%rsp)\n")
CASE(fence, "lock orl $0, (%rsp)\n lock orq $0, -8(%rsp)\n")
CASE(adjacent, "lock incl (%rbx)\n lock decl 4(%rbx)\n lock notl 8(%rbx)\n xchg %ecx, (%rbx)\n lock btsl $3, (%rbx)\n")
CASE(to_itself, "movl $9, (%rbx)\n 1: lock decl (%rbx)\n jnz 1b\n")
CASE(to_itself_again, "mov $5, %ecx\n 1: mov (%rbx), %eax\n lock cmpxchg %ecx, (%rbx)\n jne 1b\n dec %ecx\n jnz 1b\n")
// As old code does where it has one thread.
CASE(over_the_prefix, "test $1, %r8b\n jz 1f\n .byte 0xf0\n 1: cmpxchg %rcx, (%rbx)\n")
CASE(over_a_long_prefix, "test $1, %r8b\n jz 1f\n .byte 0xf0\n 1: addq $0x1234, 64(%rbx)\n")
CASE(pushes, "push %rcx\n lock incl (%rbx)\n pop %rdx\n")
CASE(calls, "sub $128, %rsp\n call starts\n call goes_on\n lock incl (%rbx)\n call starts\n add $128, %rsp\n")
CASE(tail, "sub $128, %rsp\n push %rax\n lea 2f(%rip), %rax\n push %rax\n sub $8, %rsp\n call anywhere\n ud2\n 2: add $24, %rsp\n pop %rax\n add $128, %rsp\n")
CASE(by_table,
     "mov %r9, %rcx\n and $3, %ecx\n lea 9f(%rip), %rax\n movslq (%rax,%rcx,4), %rcx\n add %rcx, %rax\n jmp *%rax\n"
     "1: lock incl (%rbx)\n 2: inc %edx\n 3: xchg %edx, (%rbx)\n 4: nop\n jmp 5f\n"
     ".section .rodata\n .p2align 2\n 9: .long 1b-9b, 2b-9b, 3b-9b, 4b-9b\n .text\n 5: mov $0, %eax\n mov $0, %ecx\n cmp %eax, %ecx\n")
CASE(by_table_into_another, "sub $128, %rsp\n call 1f\n jmp 5f\n"
     "1: lea 9f(%rip), %rax\n mov (%rax), %ecx\n movslq %ecx, %rcx\n add %rcx, %rax\n jmp *%rax\n"
     ".section .rodata\n .p2align 2\n 9: .long in_cold-9b\n .text\n 5: mov $0, %eax\n mov $0, %ecx\n cmp %eax, %ecx\n add $128, %rsp\n")
CASE(jumps_far, "lock decl (%rbx)\n js 1f\n inc %r8\n 1: lock incl (%rbx)\n jmp 2f\n .zero 300, 0x90\n 2:\n")
CASE(counted_jump, "mov $3, %ecx\n 1: lock incl (%rbx)\n loop 1b\n lock incl (%rbx)\n jrcxz 2f\n inc %r9\n 2:\n")
CASE(vectors, "vaddps %ymm1, %ymm2, %ymm3\n lock incl (%rbx)\n vpxor %xmm4, %xmm5, %xmm6\n fld1\n lock decl (%rbx)\n fstp %st(0)\n")
CASE(prefixes, ".byte 0x3e\n lock incl (%rbx)\n .byte 0xf2\n lock addl $1, (%rbx)\n .byte 0xf3\n xchg %edx, (%rbx)\n")
CASE(high, "lock xadd %ah, (%rbx)\n lock xorb %dh, 1(%rbx)\n xchg %cx, 2(%rbx)\n")
CASE(of_thread, "mov %fs:0, %r9\n xor %r9, %r9\n xchg %r9, 8(%rbx)\n")

void (*const odd_cases[])(const struct state *, struct state *) = {
    own_word, own_immediate, own_large, own_exchange, sixteen, sixteen_own, two_bytes, two_bytes_then, red_zone, fence,
    adjacent, to_itself, to_itself_again, over_the_prefix, over_a_long_prefix, pushes, calls, tail, by_table,
    by_table_into_another, jumps_far, counted_jump, vectors, prefixes, high, of_thread,
};
const int odd_count = sizeof odd_cases / sizeof *odd_cases;

#ifdef ALLOCATOR
#include <stddef.h>
void *__libc_malloc(size_t);
static long made;
void *malloc(size_t n) { __atomic_fetch_add(&made, 1, __ATOMIC_SEQ_CST); return __libc_malloc(n); }
void (*const *odd_others(void))(const struct state *, struct state *) { return odd_cases; }
#endif
