// A thread takes the allocator's read-write lock for reading and ends with it. A writer waits, then the readers behind it: on
// three futex words of one lock, which does not know its readers.
#include "common.h"
#include <sched.h>
#define READS 5000
#define WRITES 6000
#define LEAKS 7000

#ifdef ALLOCATOR
static pthread_rwlock_t page_lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

// Readers are refused as soon as a writer waits.
int refuses_readers(void) {
    if (pthread_rwlock_tryrdlock(&page_lock)) {
        return 1;
    }
    pthread_rwlock_unlock(&page_lock);
    return 0;
}

void *malloc(size_t size) {
    if (size == READS || size == LEAKS) {
        pthread_rwlock_rdlock(&page_lock);
    } else if (size == WRITES) {
        pthread_rwlock_wrlock(&page_lock);
    }
    void *block = carve(size);
    if (size == READS || size == WRITES) {
        pthread_rwlock_unlock(&page_lock);
    }
    return block;
}

void free(void *block) {}
#else
static void *worker(void *size) {
    void *volatile block = malloc((size_t)size);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t threads[5];
    int (*refuses_readers)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "refuses_readers");
    if (!refuses_readers) {
        return 2;
    }
    pthread_create(&threads[0], NULL, worker, (void *)LEAKS);
    pthread_join(threads[0], NULL);
    for (int i = 1; i < 5; i++) {
        pthread_create(&threads[i], NULL, worker, (void *)(size_t)(i < 3 ? WRITES : READS));
        while (!refuses_readers()) {
            sched_yield();
        }
    }
    for (int i = 1; i < 5; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
