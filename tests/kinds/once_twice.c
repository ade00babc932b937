// The initialization of the allocator runs under pthread_once and needs the allocator: pthread_once is called again by the
// thread that is in it. The control word keeps no owner.
#include "common.h"
#define FIRST 5000

#ifdef ALLOCATOR
static pthread_once_t heap_once = PTHREAD_ONCE_INIT;

static void ensure_heap(void);

__attribute__((noinline)) static void begin_heap(void) {
    called("first");
    ensure_heap();
    __asm__ volatile("");
}

__attribute__((noinline)) static void ensure_heap(void) {
    pthread_once(&heap_once, begin_heap);
    __asm__ volatile("");
}

void *malloc(size_t size) {
    if (size >= FIRST) {
        ensure_heap();
    }
    return carve(size);
}

void free(void *block) {}
#else
static void *worker(void *name) {
    called(name);
    void *volatile block = malloc(FIRST);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, worker, "one");
    pthread_create(&threads[1], NULL, worker, "other");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    puts("done");
    return 0;
}
#endif
