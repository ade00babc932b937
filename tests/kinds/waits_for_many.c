// The allocator's own lock sleeps with futex_waitv. The holder loops with the lock; the lock keeps no owner.
#include "common.h"
#include <sched.h>
#include <stdint.h>
#define LOOPS 5000
#define TAKES 6000

#ifdef ALLOCATOR
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
struct waited {
    uint64_t value, address;
    uint32_t flags, reserved;
};

static uint32_t heap_word, stop_word;

static void acquire(void) {
    while (__atomic_exchange_n(&heap_word, 1, __ATOMIC_ACQUIRE)) {
        // 32 bits, private: FUTEX2_SIZE_U32 | FUTEX2_PRIVATE.
        struct waited words[2] = {{1, (uint64_t)&heap_word, 2 | 128, 0}, {0, (uint64_t)&stop_word, 2 | 128, 0}};
        syscall(SYS_futex_waitv, words, 2, 0, NULL, 0);
    }
}

// Set when the holder has the lock: the others begin then.
volatile int held;

__attribute__((noinline)) static void find_span(void) {
    held = 1;
    for (;;) {
        __asm__ volatile("pause");
    }
}

void *malloc(size_t size) {
    if (size >= LOOPS) {
        acquire();
        if (size == LOOPS) {
            find_span();
        }
        __atomic_store_n(&heap_word, 0, __ATOMIC_RELEASE);
    }
    return carve(size);
}

void free(void *block) {}
#else
static volatile int *held;

static void *worker(void *size) {
    while (size == (void *)TAKES && !*held) {
        sched_yield();
    }
    void *volatile block = malloc((size_t)size);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    held = dlsym(RTLD_DEFAULT, "held");
    if (!held) {
        return 2;
    }
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, worker, (void *)(size_t)(i ? TAKES : LOOPS));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
