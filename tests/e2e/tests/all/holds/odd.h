// Atomic instructions in odd surroundings. Each case loads all registers, runs its instructions, and stores all
// registers. The same cases are in an allocator and in the program that compares: the program's are never replaced.
#include <stdint.h>

struct state {
    uint64_t gpr[15];     // rax rcx rdx rbx rbp rsi rdi r8 ... r15; rbx points to `cells`
    uint64_t flags;       // 120
    uint64_t red[16];     // 128: the red zone
    uint64_t own[2];      // 256: the words that the case has itself
    uint8_t ymm[16][32];  // 272
    uint8_t x87[112];     // 784: as fnsave
    uint32_t mxcsr, pad;  // 896
};
extern void (*const odd_cases[])(const struct state *in, struct state *out);
extern const int odd_count;
