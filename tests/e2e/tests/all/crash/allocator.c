// An allocator over libc's that finds its own state broken after some calls, says so, and dies.
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
static _Atomic long calls;

__attribute__((noinline)) void crash_refill(volatile long *page) {
    static const char said[] = "warming up\n\x1b[31m[CRASH_FAIL] page 7 of class 3 is not ours\x1b[0m\n";
    (void)!write(2, said, sizeof said - 1);
    if (getenv("CRASH_ABORT")) abort();
    *page = 1;
}

void *malloc(size_t size) {
    if (++calls == 2000) crash_refill((volatile long *)0x70);
    return __libc_malloc(size);
}
