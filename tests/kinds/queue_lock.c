// Truth: no word of the allocator says who holds its lock. MODE queue: a queue lock whose waiters spin on words of their own
// stacks; the holder loops in split_run. MODE sequence: a sequence lock that a writer, the worker `owner`, left odd on its way
// out of malloc; the readers only read it, and the owner computes in the program. Each time the allocator's bug.
#include "common.h"
#define SPLITS 9000
#define WORKERS 4

#ifdef ALLOCATOR
struct place {
    struct place *next;
    int waits;
};

static struct place *last;
static unsigned sequence;
static volatile unsigned long split;
static char mode;

void lock_mode(char of) { mode = of; }

__attribute__((noinline)) static void queue_enter(struct place *own) {
    own->next = NULL;
    own->waits = 1;
    struct place *before = __atomic_exchange_n(&last, own, __ATOMIC_ACQ_REL);
    if (before) {
        __atomic_store_n(&before->next, own, __ATOMIC_RELEASE);
        while (__atomic_load_n(&own->waits, __ATOMIC_ACQUIRE)) {
            __builtin_ia32_pause();
        }
    }
}

static void queue_leave(struct place *own) {
    struct place *expected = own, *next;
    if (__atomic_compare_exchange_n(&last, &expected, NULL, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return;
    }
    while (!(next = __atomic_load_n(&own->next, __ATOMIC_ACQUIRE))) {
        __builtin_ia32_pause();
    }
    __atomic_store_n(&next->waits, 0, __ATOMIC_RELEASE);
}

__attribute__((noinline)) static void split_run(void) {
    for (;;) {
        split++;
    }
}

__attribute__((noinline)) static void read_runs(void) {
    while (__atomic_load_n(&sequence, __ATOMIC_ACQUIRE) & 1) {
        __builtin_ia32_pause();
    }
}

void *malloc(size_t size) {
    if (mode == 's' && size == SPLITS) {
        __atomic_fetch_add(&sequence, 1, __ATOMIC_ACQ_REL);
        return carve(size);
    }
    if (mode == 's') {
        read_runs();
    }
    if (mode != 'q') {
        return carve(size);
    }
    struct place own;
    queue_enter(&own);
    void *block = carve(size);
    if (size == SPLITS) {
        split_run();
    }
    queue_leave(&own);
    return block;
}

void free(void *block) {}
#else
void lock_mode(char of) __attribute__((weak));
static pthread_barrier_t all;
static volatile unsigned long sum;

static void *worker(void *size) {
    pthread_barrier_wait(&all);
    if (size) {
        called("owner");
        void *volatile block = malloc((size_t)size);
        for (;;) {
            sum += block != NULL;
        }
    }
    for (;;) {
        void *volatile block = malloc(16);
        free(block);
        usleep(20);
    }
}

int main(int count, char **arguments) {
    pthread_t workers[WORKERS];
    pthread_barrier_init(&all, NULL, WORKERS);
    for (long i = 0; i < WORKERS; i++) {
        if (i == WORKERS - 1 && count > 1 && lock_mode) {
            lock_mode(arguments[1][0]);
        }
        pthread_create(&workers[i], NULL, worker, i == 2 ? (void *)SPLITS : NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
