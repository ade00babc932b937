// A signal handler of the program runs on a stack of its own (sigaltstack). It comes while its thread is in malloc and holds
// heap_lock, and reads from a pipe that another thread would write to after its own malloc. The program's bug.
#include "common.h"
#define SIGNALS 5000

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    if (size == SIGNALS) {
        raise(SIGUSR1);
    }
    void *block = carve(size);
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {}
#else
static pthread_barrier_t locked;
static int ends[2];

static void on_user(int number) {
    char byte;
    pthread_barrier_wait(&locked);
    while (read(ends[0], &byte, 1) != 1) {
    }
}

static void *interrupted(void *unused) {
    static char own[1 << 16];
    stack_t stack = {.ss_sp = own, .ss_size = sizeof own};
    called("interrupted");
    sigaltstack(&stack, NULL);
    void *volatile block = malloc(SIGNALS);
    free(block);
    return NULL;
}

static void *feeder(void *unused) {
    called("feeder");
    pthread_barrier_wait(&locked);
    void *volatile block = malloc(16);
    free(block);
    return write(ends[1], "x", 1) == 1 ? NULL : unused;
}

int main(void) {
    pthread_t threads[2];
    struct sigaction action = {.sa_handler = on_user, .sa_flags = SA_ONSTACK};
    if (pipe(ends) || sigaction(SIGUSR1, &action, NULL)) {
        return 2;
    }
    pthread_barrier_init(&locked, NULL, 2);
    pthread_create(&threads[0], NULL, feeder, NULL);
    pthread_create(&threads[1], NULL, interrupted, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    puts("done");
    return 0;
}
#endif
