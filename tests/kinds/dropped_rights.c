// A program of root gives up its rights, then two workers take two locks of the allocator in opposite orders. The kernel refuses
// the files of /proc/self/task to such a process; root may read them from outside. With "possible": status 77 unless root.
#ifdef ALLOCATOR
#include "abba.c"
#else
#include "common.h"
#define BINS 7000
#define PAGES 8000

static void *worker(void *size) {
    called(size == (void *)BINS ? "refill" : "purge");
    void *volatile block = malloc((size_t)size);
    free(block);
    return NULL;
}

int main(int count, char **arguments) {
    if (count > 1 && !strcmp(arguments[1], "possible")) {
        return geteuid() == 0 ? 0 : 77;
    }
    usleep(300000);
    if (setgid(65534) || setuid(65534)) {
        return 1;
    }
    pthread_t workers[2];
    pthread_create(&workers[0], NULL, worker, (void *)BINS);
    pthread_create(&workers[1], NULL, worker, (void *)PAGES);
    for (int i = 0; i < 2; i++) {
        pthread_join(workers[i], NULL);
    }
    return 0;
}
#endif
