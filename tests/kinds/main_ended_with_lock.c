// malloc(KEEPS) returns with the allocator's lock. The main thread calls it and ends, without the other threads: /proc goes on
// to show it, as a zombie. Two workers wait for the lock. It is the allocator's mistake.
#include "common.h"
#define KEEPS 5000
#define TAKES 6000

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

void *malloc(size_t size) {
    if (size >= KEEPS) {
        pthread_mutex_lock(&heap_lock);
    }
    void *block = carve(size);
    if (size == TAKES) {
        pthread_mutex_unlock(&heap_lock);
    }
    return block;
}

void free(void *block) {}
#else
static pthread_barrier_t kept;

static void *worker(void *unused) {
    pthread_barrier_wait(&kept);
    void *volatile block = malloc(TAKES);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t workers[2];
    called("keeper");
    pthread_barrier_init(&kept, NULL, 3);
    for (int i = 0; i < 2; i++) {
        pthread_create(&workers[i], NULL, worker, NULL);
    }
    void *volatile block = malloc(KEEPS);
    free(block);
    pthread_barrier_wait(&kept);
    // Not pthread_exit: whoever calls it may have left the allocator that way.
    syscall(SYS_exit, 0);
    return 0;
}
#endif
