// Truth: malloc takes span_lock with pthread_mutex_trylock and a pause, and no thread waits in the kernel. One worker loops in
// carve_span and keeps span_lock. The allocator's bug.
#include "common.h"
#define SPANS 9000
#define WORKERS 5

#ifdef ALLOCATOR
static pthread_mutex_t span_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long carved;

__attribute__((noinline)) static void carve_span(void) {
    for (;;) {
        carved++;
    }
}

__attribute__((noinline)) static void span_enter(void) {
    while (pthread_mutex_trylock(&span_lock)) {
        __builtin_ia32_pause();
    }
}

void *malloc(size_t size) {
    span_enter();
    if (size == SPANS) {
        carve_span();
    }
    pthread_mutex_unlock(&span_lock);
    return carve(size);
}

void free(void *block) {}
#else
static void *worker(void *size) {
    if (size) {
        called("owner");
    }
    void *volatile block = NULL;
    for (int i = 0; !size; i++) {
        block = malloc(16);
        free(block);
        usleep(i % 50);
    }
    block = malloc((size_t)size);
    return block;
}

int main(void) {
    pthread_t workers[WORKERS];
    for (long i = 0; i < WORKERS; i++) {
        pthread_create(&workers[i], NULL, worker, i == 2 ? (void *)SPANS : NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
