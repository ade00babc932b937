// Truth: the program has set a limit on its address space, and asks malloc again for ever, which returns NULL each time. The
// program's mistake; the allocator is healthy.
#include "common.h"
#include <sys/resource.h>

static void *insist(size_t size) {
    for (;;) {
        void *volatile block = malloc(size);
        if (block) {
            return block;
        }
    }
}

static void *worker(void *unused) {
    called("asker");
    for (int i = 0; i < 100; i++) {
        ((char *)insist(100ul << 20))[0] = 1;
    }
    return NULL;
}

int main(void) {
    struct rlimit limit = {2ul << 30, 2ul << 30};
    setrlimit(RLIMIT_AS, &limit);
    pthread_t thread;
    pthread_create(&thread, NULL, worker, NULL);
    pthread_join(thread, NULL);
    puts("done");
    return 0;
}
