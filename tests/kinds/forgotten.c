// malloc(LEAKS) returns with page_lock. Its thread works on ("works": small sizes need no page_lock; "sleeps": it reads from
// a pipe that nobody writes). The others need page_lock. The allocator's bug.
#include "common.h"
#define LEAKS 9000
#define PAGES 8000

#ifdef ALLOCATOR
static pthread_mutex_t page_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static void *take_pages(size_t size) {
    pthread_mutex_lock(&page_lock);
    void *block = carve(size);
    if (size != LEAKS) {
        pthread_mutex_unlock(&page_lock);
    }
    return block;
}

void *malloc(size_t size) { return size < PAGES ? carve(size % 4096) : take_pages(size); }

void free(void *block) {}
#else
static const char *mode;
static pthread_barrier_t leaked;

static void *owner(void *pipe_end) {
    called("owner");
    void *volatile block = malloc(LEAKS);
    pthread_barrier_wait(&leaked);
    char byte;
    while (!strcmp(mode, "sleeps") && read((int)(long)pipe_end, &byte, 1) < 0) {
    }
    for (volatile long work = 0;; work++) {
        if (work % 1000000 == 0) {
            block = malloc(64);
            free(block);
        }
    }
    return NULL;
}

static void *worker(void *unused) {
    called("worker");
    pthread_barrier_wait(&leaked);
    void *volatile block = malloc(PAGES);
    free(block);
    return NULL;
}

int main(int count, char **arguments) {
    mode = count > 1 ? arguments[1] : "works";
    int ends[2];
    if (pipe(ends)) {
        return 2;
    }
    pthread_barrier_init(&leaked, NULL, 4);
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, i == 0 ? owner : worker, (void *)(long)ends[0]);
    }
    for (int i = 1; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
