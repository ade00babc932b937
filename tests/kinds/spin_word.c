// Truth: the allocator has a hand-made lock, page_word. MODE cas: compare and exchange with the taker's tid; its holder loops in
// scan_pages. MODE ticket: a ticket lock without an owner; its holder loops in scan_pages. MODE forgot: the word is swapped with 1
// and a yield; the worker `owner` left with it and reads a pipe of the program. Each time the allocator's bug.
#include "common.h"
#include <sched.h>
#define PAGES 8000
#define WORKERS 5

#ifdef ALLOCATOR
static struct {
    int state, next, serving;
} page_word;
static volatile unsigned long scanned;
static char mode;

// The program says it: an allocator's constructor has no arguments.
void page_mode(char of) { mode = of; }

__attribute__((noinline)) static void scan_pages(void) {
    for (;;) {
        scanned++;
    }
}

__attribute__((noinline)) static void page_enter(void) {
    if (mode == 'c') {
        int me = (int)syscall(SYS_gettid), nobody = 0;
        while (!__atomic_compare_exchange_n(&page_word.state, &nobody, me, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            nobody = 0;
            __builtin_ia32_pause();
        }
    } else if (mode == 't') {
        int mine = __atomic_fetch_add(&page_word.next, 1, __ATOMIC_RELAXED);
        while (__atomic_load_n(&page_word.serving, __ATOMIC_ACQUIRE) != mine) {
            __builtin_ia32_pause();
        }
    } else {
        while (__atomic_exchange_n(&page_word.state, 1, __ATOMIC_ACQUIRE)) {
            sched_yield();
        }
    }
}

static void page_leave(void) {
    if (mode == 't') {
        __atomic_fetch_add(&page_word.serving, 1, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(&page_word.state, 0, __ATOMIC_RELEASE);
    }
}

void *malloc(size_t size) {
    if (!mode) {
        return carve(size);
    }
    page_enter();
    void *block = carve(size);
    if (size == PAGES && mode == 'f') {
        return block;
    }
    if (size == PAGES) {
        scan_pages();
    }
    page_leave();
    return block;
}

void free(void *block) {}
#else
void page_mode(char of) __attribute__((weak));
static int silent[2];
static pthread_barrier_t all;

static void *worker(void *size) {
    char byte;
    pthread_barrier_wait(&all);
    if (size) {
        called("owner");
        void *volatile block = malloc((size_t)size);
        return read(silent[0], &byte, 1) == 1 ? block : NULL;
    }
    for (;;) {
        void *volatile block = malloc(16);
        free(block);
        usleep(20);
    }
}

int main(int count, char **arguments) {
    pthread_t workers[WORKERS];
    if (count < 2 || pipe(silent)) {
        return 2;
    }
    if (page_mode) {
        page_mode(arguments[1][0]);
    }
    pthread_barrier_init(&all, NULL, WORKERS);
    for (long i = 0; i < WORKERS; i++) {
        pthread_create(&workers[i], NULL, worker, i == 2 ? (void *)PAGES : NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
