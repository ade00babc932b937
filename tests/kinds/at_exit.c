// The allocator's destructor takes heap_lock and joins its purge thread, which needs heap_lock: a ring of a lock and a join.
#include "common.h"

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t begun;
static pthread_t purger;

__attribute__((noinline)) static void *purge_thread(void *unused) {
    pthread_barrier_wait(&begun);
    pthread_mutex_lock(&heap_lock);
    pthread_mutex_unlock(&heap_lock);
    return NULL;
}

__attribute__((constructor)) static void begin(void) {
    pthread_barrier_init(&begun, NULL, 2);
    pthread_create(&purger, NULL, purge_thread, NULL);
}

__attribute__((destructor)) static void end(void) {
    pthread_mutex_lock(&heap_lock);
    pthread_barrier_wait(&begun);
    pthread_join(purger, NULL);
    pthread_mutex_unlock(&heap_lock);
}

void *malloc(size_t size) { return carve(size); }

void free(void *block) {}
#else
int main(void) {
    called("main");
    void *volatile block = malloc(100);
    free(block);
    puts("done");
    return 0;
}
#endif
