// An allocator of two DSOs. malloc of the front is a jump to the core. The core never gives core_lock back after
// malloc(STUCK): the allocator's bug, although no frame of the front is on a stack. With -DOPENED the front opens its core
// with dlopen, and jumps through a pointer.
#include "common.h"
#define STUCK 5555

#ifdef CORE
static pthread_mutex_t core_lock = PTHREAD_MUTEX_INITIALIZER;
static char core_pool[1ul << 28];
static size_t core_top;

__attribute__((visibility("default"))) void *core_alloc(size_t size) {
    pthread_mutex_lock(&core_lock);
    char *block = core_pool + core_top + 16;
    *(size_t *)(block - 16) = size;
    core_top += ((size + 15) & ~(size_t)15) + 16;
    for (volatile int stuck = size == STUCK; stuck;) {
    }
    pthread_mutex_unlock(&core_lock);
    return block;
}
#elif defined ALLOCATOR
#ifdef OPENED
#include <dlfcn.h>
static void *(*core_alloc)(size_t size) = carve;

__attribute__((constructor)) static void begin(void) {
    void *core = dlopen(CORE_FILE, RTLD_NOW | RTLD_LOCAL);
    core_alloc = (void *(*)(size_t))dlsym(core, "core_alloc");
}
#else
void *core_alloc(size_t size);
#endif

void *malloc(size_t size) { return core_alloc(size); }

void free(void *block) {}
#else
static pthread_barrier_t all_created;

static void *worker(void *size) {
    called(size == (void *)STUCK ? "owner" : "waiter");
    pthread_barrier_wait(&all_created);
    for (;;) {
        void *volatile block = malloc((size_t)size);
        free(block);
    }
}

static void *nothing(void *none) { return none; }

// With an argument the main thread waits for the lock in pthread_create, where ld.so calls calloc.
int main(int count, char **words) {
    pthread_t workers[3];
    pthread_barrier_init(&all_created, NULL, 4);
    for (int i = 0; i < 3; i++) {
        pthread_create(&workers[i], NULL, worker, (void *)(size_t)(i == 0 ? STUCK : 64));
    }
    pthread_barrier_wait(&all_created);
    while (count > 1) {
        pthread_t brief;
        pthread_create(&brief, NULL, nothing, NULL);
        pthread_join(brief, NULL);
    }
    pthread_join(workers[0], NULL);
    return 0;
}
#endif
