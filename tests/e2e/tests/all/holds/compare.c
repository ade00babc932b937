// Runs the cases of the allocator and its own, with the same registers, and compares what comes of them.
#include "odd.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void (*const *odd_others(void))(const struct state *, struct state *);

static uint64_t number = 88172645463325252u;
static uint64_t next(void) {
    number ^= number << 13, number ^= number >> 7, number ^= number << 17;
    return number;
}

static struct state in, out[2];
static uint64_t cells[16] __attribute__((aligned(16)));

int main(int argc, char **argv) {
    void (*const *other)(const struct state *, struct state *) = odd_others();
    double until = atof(argc > 1 ? argv[1] : "1");
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    long rounds = 0;
    do {
        for (int i = 0; i < odd_count; i++) {
            uint64_t start[16], after[2][16];
            for (unsigned j = 0; j < sizeof in / 8; j++) ((uint64_t *)&in)[j] = next();
            for (int j = 0; j < 16; j++) start[j] = next();
            in.gpr[3] = (uint64_t)cells, in.gpr[5] = (uint64_t)cells;
            // Carry, parity, adjust, zero, sign, direction, overflow; and what is always set.
            in.flags = (next() & 0xcd5) | 0x202;
            in.mxcsr = 0x1f80 | (next() & 0xe03f), in.pad = 0;
            // Valid registers of the floating-point unit, half of them in use.
            memset(in.x87, 0, sizeof in.x87);
            const uint16_t control = 0x37f, status = (next() & 0x4700) | 4 << 11, tags = 0x00ff;
            memcpy(in.x87, &control, 2), memcpy(in.x87 + 4, &status, 2), memcpy(in.x87 + 8, &tags, 2);
            for (int j = 0; j < 8; j++) {
                long double x = (long double)next() / 7;
                memcpy(in.x87 + 28 + 10 * j, &x, 10);
            }
            for (int which = 0; which < 2; which++) {
                memcpy(cells, start, sizeof cells);
                memset(&out[which], 0, sizeof out[which]);
                (which ? other[i] : odd_cases[i])(&in, &out[which]);
                // Where the unit's last instruction and operand were is no part of the state of a program.
                memset(out[which].x87 + 12, 0, 16);
                memcpy(after[which], cells, sizeof cells);
            }
            if (memcmp(&out[0], &out[1], sizeof out[0]) || memcmp(after[0], after[1], sizeof after[0])) {
                printf("case %d round %ld differs:", i, rounds);
                for (unsigned j = 0; j < sizeof in / 8; j++)
                    if (((uint64_t *)&out[0])[j] != ((uint64_t *)&out[1])[j])
                        printf(" word %u %lx %lx", j, ((uint64_t *)&out[0])[j], ((uint64_t *)&out[1])[j]);
                puts("");
                return 1;
            }
        }
        free(malloc(1));
        rounds++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - began.tv_sec) + (now.tv_nsec - began.tv_nsec) / 1e9 < until);
    puts("all the same");
    return rounds < 10;
}
