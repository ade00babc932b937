// Two threads of the allocator run two initializations of pthread_once, of which each needs the other one: a ring over two words
// that name no owner. Only the stacks tell who runs which initialization.
#include "common.h"

#ifdef ALLOCATOR
static pthread_once_t sizes_begun = PTHREAD_ONCE_INIT, pages_begun = PTHREAD_ONCE_INIT;
static pthread_barrier_t both;
static __thread int part;

void take_part(int number) { part = number; }

static void begin_sizes(void);
static void begin_pages(void);

__attribute__((noinline)) static void need_sizes(void) {
    pthread_once(&sizes_begun, begin_sizes);
    __asm__ volatile("");
}

__attribute__((noinline)) static void need_pages(void) {
    pthread_once(&pages_begun, begin_pages);
    __asm__ volatile("");
}

// Each thread is in its own initialization when it asks for the other one.
static void begin_sizes(void) {
    pthread_barrier_wait(&both);
    need_pages();
    __asm__ volatile("");
}

static void begin_pages(void) {
    pthread_barrier_wait(&both);
    need_sizes();
    __asm__ volatile("");
}

__attribute__((constructor)) static void begin(void) { pthread_barrier_init(&both, NULL, 2); }

void *malloc(size_t size) {
    if (part == 1) {
        need_sizes();
    } else if (part == 2) {
        need_pages();
    }
    return carve(size);
}

void free(void *block) {}
#else
static void (*take_part)(int);

static void *sizes_first(void *unused) {
    called("sizes");
    take_part(1);
    void *volatile block = malloc(100);
    free(block);
    return NULL;
}

static void *pages_first(void *unused) {
    called("pages");
    take_part(2);
    void *volatile block = malloc(100);
    free(block);
    return NULL;
}

int main(void) {
    take_part = (void (*)(int))dlsym(RTLD_DEFAULT, "take_part");
    if (!take_part) {
        return 2;
    }
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, sizes_first, NULL);
    pthread_create(&threads[1], NULL, pages_first, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    puts("done");
    return 0;
}
#endif
