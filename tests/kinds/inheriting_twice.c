// A thread locks a priority-inheriting mutex of the allocator twice. The kernel says EDEADLK, and glibc parks the thread for
// ever on a word of its own stack. The others wait for the mutex.
#include "common.h"
#define TWICE 5000
#define ONCE 6000

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock;

__attribute__((constructor)) static void begin(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&heap_lock, &attributes);
}

void *malloc(size_t size) {
    if (size >= TWICE) {
        pthread_mutex_lock(&heap_lock);
    }
    void *block = size == TWICE ? malloc(ONCE) : carve(size);
    if (size >= TWICE) {
        pthread_mutex_unlock(&heap_lock);
    }
    return block;
}

void free(void *block) {}
#else
static pthread_barrier_t begun;

static void *worker(void *size) {
    called(size == (void *)TWICE ? "twice" : "once");
    pthread_barrier_wait(&begun);
    void *volatile block = malloc((size_t)size);
    free(block);
    // A thread that was first goes on until the mutex is locked twice.
    while (size == (void *)ONCE) {
        block = malloc(ONCE);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[3];
    pthread_barrier_init(&begun, NULL, 3);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, worker, (void *)(size_t)(i ? ONCE : TWICE));
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
