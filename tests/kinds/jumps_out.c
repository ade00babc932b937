// A signal handler of the program leaves malloc by siglongjmp, with heap_lock. The next malloc of the same thread waits for
// itself. Nothing on a stack tells that from a forgotten unlock.
#include "common.h"
#include <setjmp.h>
#define SLOW 5000

#ifdef ALLOCATOR
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    if (size == SLOW) {
        raise(SIGALRM);
    }
    void *block = carve(size);
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {}
#else
static sigjmp_buf before;

static void on_alarm(int number) { siglongjmp(before, 1); }

int main(void) {
    called("jumper");
    signal(SIGALRM, on_alarm);
    if (!sigsetjmp(before, 1)) {
        void *volatile block = malloc(SLOW);
        free(block);
    }
    void *volatile block = malloc(100);
    free(block);
    puts("done");
    return 0;
}
#endif
