// A signal handler of the program comes while its thread is in malloc and holds heap_lock. The handler allocates ("again"),
// or it suspends the thread for ever ("stays"). malloc is not async-signal-safe: the program's bug.
#include "common.h"
#define SLOW 5000

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*while_locked)(void);

void set_while_locked(void (*call)(void)) { while_locked = call; }

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    if (size == SLOW && while_locked) {
        raise(SIGALRM);
    }
    void *block = carve(size);
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {}
#else
static const char *mode;
static pthread_barrier_t locked;

static void on_alarm(int number) {
    pthread_barrier_wait(&locked);
    if (!strcmp(mode, "again")) {
        void *volatile block = malloc(100);
        free(block);
    } else {
        sigset_t all;
        sigfillset(&all);
        sigdelset(&all, SIGTERM);
        for (;;) {
            sigsuspend(&all);
        }
    }
}

static void *interrupted(void *unused) {
    called("interrupted");
    void *volatile block = malloc(SLOW);
    free(block);
    return NULL;
}

static void nothing(void) {}

int main(int count, char **arguments) {
    mode = count > 1 ? arguments[1] : "again";
    void (*set)(void (*)(void)) = (void (*)(void (*)(void)))dlsym(RTLD_DEFAULT, "set_while_locked");
    if (!set) {
        return 2;
    }
    set(nothing);
    signal(SIGALRM, on_alarm);
    pthread_t thread;
    pthread_barrier_init(&locked, NULL, 2);
    pthread_create(&thread, NULL, interrupted, NULL);
    pthread_barrier_wait(&locked);
    void *volatile block = malloc(100);
    free(block);
    pthread_join(thread, NULL);
    puts("done");
    return 0;
}
#endif
