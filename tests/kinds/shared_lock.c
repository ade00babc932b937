// The allocator's lock is shared between processes. A child took it and sleeps ("lives"), or took it and was killed ("killed").
#include "common.h"
#define TAKES 5000

#ifdef ALLOCATOR
static pthread_mutex_t *heap_lock;

__attribute__((constructor)) static void begin(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    heap_lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(heap_lock, &attributes);
}

void take_and_keep(void) { pthread_mutex_lock(heap_lock); }

void *malloc(size_t size) {
    if (size == TAKES) {
        pthread_mutex_lock(heap_lock);
        pthread_mutex_unlock(heap_lock);
    }
    return carve(size);
}

void free(void *block) {}
#else
int main(int count, char **arguments) {
    int taken[2];
    char byte;
    void (*take)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "take_and_keep");
    if (!take || pipe(taken)) {
        return 2;
    }
    pid_t child = fork();
    if (child == 0) {
        called("keeper");
        take();
        if (write(taken[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    if (read(taken[0], &byte, 1) != 1) {
        return 2;
    }
    if (count > 1 && !strcmp(arguments[1], "killed")) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    called("waiter");
    void *volatile block = malloc(TAKES);
    free(block);
    kill(child, SIGKILL);
    puts("done");
    return 0;
}
#endif
