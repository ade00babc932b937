// Two locks of the allocator in opposite orders: malloc(BINS) takes bin_lock, then page_lock; malloc(PAGES) the other way
// round. The second worker waits until the first one has its first lock, and the other way round. With -DINHERITING the locks
// inherit priorities: the kernel refuses the lock that would close the ring, and glibc parks that worker for ever.
#include "common.h"
#define BINS 7000
#define PAGES 8000

#ifdef ALLOCATOR
static pthread_mutex_t bin_lock = PTHREAD_MUTEX_INITIALIZER, page_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

__attribute__((constructor)) static void begin(void) {
    pthread_barrier_init(&both, NULL, 2);
#ifdef INHERITING
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&bin_lock, &attributes);
    pthread_mutex_init(&page_lock, &attributes);
#endif
}

__attribute__((noinline)) static void refill_bin(void) {
    pthread_mutex_lock(&bin_lock);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&page_lock);
    pthread_mutex_unlock(&page_lock);
    pthread_mutex_unlock(&bin_lock);
}

__attribute__((noinline)) static void purge_pages(void) {
    pthread_mutex_lock(&page_lock);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&bin_lock);
    pthread_mutex_unlock(&bin_lock);
    pthread_mutex_unlock(&page_lock);
}

void *malloc(size_t size) {
    if (size == BINS) {
        refill_bin();
    }
    if (size == PAGES) {
        purge_pages();
    }
    return carve(size);
}

void free(void *block) {}
#else
static void *worker(void *size) {
    called(size == (void *)BINS ? "refill" : "purge");
    void *volatile block = malloc((size_t)size);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t workers[2];
    pthread_create(&workers[0], NULL, worker, (void *)BINS);
    pthread_create(&workers[1], NULL, worker, (void *)PAGES);
    for (int i = 0; i < 2; i++) {
        pthread_join(workers[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
