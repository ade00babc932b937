// A lock of the allocator made of a futex word: 0 free, 1 held, 2 held with waiters. Beside the word are counters, one of them
// a small number that could be a tid. "lock": the holder loops with it. "event": malloc waits while a word is 0 until another
// thread has prepared a span; that thread left the allocator and reads from a pipe that nobody writes. Such words keep no owner.
#include "common.h"
#include <linux/futex.h>
#include <sched.h>
#define FIRST 5000

#ifdef ALLOCATOR
// The second field stands where a pthread mutex keeps its owner: it holds the tid of the thread that counted last.
static struct {
    int word, spare, counted_by, users, kind;
} span_lock;
static int span_ready;
static int mode;

void set_mode(int event) { mode = event; }

static void sleep_while(int *word, int value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void span_acquire(void) {
    if (__atomic_exchange_n(&span_lock.word, 1, __ATOMIC_ACQUIRE)) {
        while (__atomic_exchange_n(&span_lock.word, 2, __ATOMIC_ACQUIRE)) {
            sleep_while(&span_lock.word, 2);
        }
    }
}

static void span_release(void) {
    if (__atomic_exchange_n(&span_lock.word, 0, __ATOMIC_RELEASE) == 2) {
        syscall(SYS_futex, &span_lock.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

// Set when the holder has the lock, or waits outside: the others begin then.
volatile int begun;

__attribute__((noinline)) static void carve_span(void) {
    begun = 1;
    for (;;) {
        __asm__ volatile("pause");
    }
}

void count_call(void) {
    span_lock.counted_by = (int)syscall(SYS_gettid);
    span_lock.users = 1;
}

void *malloc(size_t size) {
    if (mode == 1 && size > FIRST) {
        span_acquire();
        if (size == FIRST + 1) {
            carve_span();
        }
        span_release();
    } else if (mode == 2 && size > FIRST) {
        while (!__atomic_load_n(&span_ready, __ATOMIC_ACQUIRE)) {
            sleep_while(&span_ready, 0);
        }
    }
    return carve(size);
}

void free(void *block) {}
#else
static int nobody_writes[2];
static const char *mode;
static volatile int *begun;

static void *holder(void *unused) {
    called("holder");
    char byte;
    if (!strcmp(mode, "lock")) {
        void *volatile block = malloc(FIRST + 1);
        free(block);
    }
    *begun = 1;
    while (read(nobody_writes[0], &byte, 1) < 0) {
    }
    return NULL;
}

static void *bystander(void *count) {
    called("bystander");
    while (!*begun) {
        sched_yield();
    }
    ((void (*)(void))count)();
    void *volatile block = malloc(FIRST + 2);
    free(block);
    return NULL;
}

int main(int count, char **arguments) {
    mode = count > 1 ? arguments[1] : "lock";
    void (*set)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "set_mode");
    void *count_call = dlsym(RTLD_DEFAULT, "count_call");
    begun = dlsym(RTLD_DEFAULT, "begun");
    if (!set || !count_call || !begun || pipe(nobody_writes)) {
        return 2;
    }
    set(strcmp(mode, "lock") ? 2 : 1);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, i ? bystander : holder, count_call);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
