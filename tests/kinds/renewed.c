// A lock of the allocator made of a futex word, whose waiters wake every 20 ms and look again. The thread that took the lock last
// has left the allocator without a release, and reads from a pipe: nobody inside the allocator has the lock.
#include "common.h"
#include <linux/futex.h>
#include <time.h>
#define KEPT 5001

#ifdef ALLOCATOR
static int page_word;

__attribute__((noinline)) static void page_lock(void) {
    while (__atomic_exchange_n(&page_word, 1, __ATOMIC_ACQUIRE)) {
        struct timespec soon = {.tv_nsec = 20000000};
        syscall(SYS_futex, &page_word, FUTEX_WAIT_PRIVATE, 1, &soon, NULL, 0);
    }
}

void *malloc(size_t size) {
    page_lock();
    void *block = carve(size);
    if (size != KEPT) {
        __atomic_store_n(&page_word, 0, __ATOMIC_RELEASE);
    }
    return block;
}

void free(void *block) {}
#else
static int nobody_writes[2];
static pthread_barrier_t kept;

static void *keeper(void *unused) {
    called("keeper");
    void *volatile block = malloc(KEPT);
    pthread_barrier_wait(&kept);
    char byte;
    while (read(nobody_writes[0], &byte, 1) < 0) {
    }
    free(block);
    return NULL;
}

static void *waiter(void *unused) {
    called("waiter");
    pthread_barrier_wait(&kept);
    void *volatile block = malloc(100);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    if (pipe(nobody_writes) || pthread_barrier_init(&kept, NULL, 4)) {
        return 2;
    }
    // The keeper begins when all threads exist: to create one takes memory.
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, waiter, NULL);
    }
    pthread_create(&threads[3], NULL, keeper, NULL);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
