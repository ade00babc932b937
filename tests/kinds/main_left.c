// The main thread ends by pthread_exit, and two workers take two locks of the allocator in opposite orders. /proc/PID shows
// neither memory nor files of such a process; those of a living thread do.
#ifdef ALLOCATOR
#include "abba.c"
#else
#include "common.h"
#define BINS 7000
#define PAGES 8000

static void *worker(void *size) {
    usleep(200000);
    called(size == (void *)BINS ? "refill" : "purge");
    void *volatile block = malloc((size_t)size);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t workers[2];
    pthread_create(&workers[0], NULL, worker, (void *)BINS);
    pthread_create(&workers[1], NULL, worker, (void *)PAGES);
    pthread_exit(NULL);
}
#endif
