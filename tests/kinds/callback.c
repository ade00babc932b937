// The allocator calls a function of the program while it holds heap_lock. The function loops, reads from a pipe that nobody
// writes, waits for a lock that main keeps, or allocates. The program's bug.
#include "common.h"
#define GROWS 5000

typedef void growth(void);

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static growth *on_growth;

void set_growth_hook(growth *hook) { on_growth = hook; }

__attribute__((noinline)) static void grow_heap(void) {
    if (on_growth) {
        on_growth();
        __asm__ volatile("");
    }
}

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    if (size == GROWS) {
        grow_heap();
    }
    void *block = carve(size);
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {}
#else
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
// pthread_create allocates: all threads begin before the first of them allocates.
static pthread_barrier_t begun, grown;
static int nobody_writes[2];
static const char *mode;

__attribute__((noinline)) static void record_growth(void) {
    pthread_barrier_wait(&grown);
    char byte;
    if (!strcmp(mode, "loops")) {
        for (;;) {
            __asm__ volatile("pause");
        }
    } else if (!strcmp(mode, "reads")) {
        while (read(nobody_writes[0], &byte, 1) < 0) {
        }
    } else if (!strcmp(mode, "locks")) {
        pthread_mutex_lock(&table_lock);
    } else {
        void *volatile block = malloc(16);
        free(block);
    }
}

static void *grower(void *unused) {
    called("grower");
    pthread_barrier_wait(&begun);
    void *volatile block = malloc(GROWS);
    free(block);
    return NULL;
}

static void *worker(void *unused) {
    called("worker");
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&grown);
    void *volatile block = malloc(100);
    free(block);
    return NULL;
}

int main(int count, char **arguments) {
    void (*set)(growth *) = (void (*)(growth *))dlsym(RTLD_DEFAULT, "set_growth_hook");
    mode = count > 1 ? arguments[1] : "loops";
    if (!set || pipe(nobody_writes)) {
        return 2;
    }
    called("keeper");
    pthread_barrier_init(&begun, NULL, 3);
    pthread_barrier_init(&grown, NULL, 3);
    pthread_mutex_lock(&table_lock);
    set(record_growth);
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, grower, NULL);
    pthread_create(&threads[1], NULL, worker, NULL);
    pthread_create(&threads[2], NULL, worker, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
