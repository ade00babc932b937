// Two locks of the program in opposite orders. Behind a launcher that clears the environment, malloc is libc's.
#include "common.h"

#ifndef ALLOCATOR
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *worker(void *forwards) {
    called(forwards ? "forwards" : "backwards");
    pthread_mutex_lock(forwards ? &first : &second);
    void *volatile block = malloc(100);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(forwards ? &second : &first);
    free(block);
    return NULL;
}

int main(void) {
    pthread_t workers[2];
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&workers[0], NULL, worker, &both);
    pthread_create(&workers[1], NULL, worker, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(workers[i], NULL);
    }
    return 0;
}
#endif
