// The program takes the place of madvise, to count what is given back. Its function takes its own lock, and so does the
// function that allocates a new entry of the count: the allocator gives memory back in that malloc. The program's bug.
#include "common.h"
#define PURGES 5000

#ifdef ALLOCATOR
__attribute__((noinline)) static void purge(void) {
    madvise(pool, 4096, MADV_NORMAL);
    __asm__ volatile("");
}

void *malloc(size_t size) {
    if (size == PURGES) {
        purge();
    }
    return carve(size);
}

void free(void *block) {}
#else
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static long counted;

int madvise(void *address, size_t length, int advice) {
    pthread_mutex_lock(&count_lock);
    counted++;
    pthread_mutex_unlock(&count_lock);
    return 0;
}

__attribute__((noinline)) static void add_entry(void) {
    pthread_mutex_lock(&count_lock);
    void *volatile entry = malloc(PURGES);
    free(entry);
    pthread_mutex_unlock(&count_lock);
}

int main(void) {
    called("counter");
    add_entry();
    puts("done");
    return 0;
}
#endif
