// A read-write lock that prefers readers: they hold it in turns that overlap, and the writer never gets it. The readers make
// progress. A reader releases the lock only while another has it, so the overlap never ends.
#include "common.h"
#include <sched.h>
#define READS 5000
#define WRITES 6000

#ifdef ALLOCATOR
static pthread_rwlock_t page_lock = PTHREAD_RWLOCK_INITIALIZER;
static int inside;

// Set when two readers have the lock: the writer begins then.
volatile int overlapping;

__attribute__((noinline)) static void read_pages(void) {
    pthread_rwlock_rdlock(&page_lock);
    __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    // The sleep stands for work. A reader leaves only if another stays.
    for (;;) {
        usleep(2000);
        int readers = __atomic_load_n(&inside, __ATOMIC_SEQ_CST);
        if (readers > 1 && __atomic_compare_exchange_n(&inside, &readers, readers - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            break;
        }
    }
    overlapping = 1;
    pthread_rwlock_unlock(&page_lock);
}

void *malloc(size_t size) {
    if (size == READS) {
        read_pages();
    }
    if (size == WRITES) {
        pthread_rwlock_wrlock(&page_lock);
        pthread_rwlock_unlock(&page_lock);
    }
    return carve(size);
}

void free(void *block) {}
#else
static volatile int *overlapping;

static void *reader(void *unused) {
    called("reader");
    for (;;) {
        void *volatile block = malloc(READS);
        free(block);
    }
    return unused;
}

static void *writer(void *unused) {
    called("writer");
    while (!*overlapping) {
        sched_yield();
    }
    void *volatile block = malloc(WRITES);
    free(block);
    return unused;
}

int main(void) {
    pthread_t threads[7];
    overlapping = dlsym(RTLD_DEFAULT, "overlapping");
    if (!overlapping) {
        return 2;
    }
    for (int i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, reader, NULL);
    }
    pthread_create(&threads[6], NULL, writer, NULL);
    pthread_join(threads[6], NULL);
    puts("done");
    return 0;
}
#endif
