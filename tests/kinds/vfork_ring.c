// A vforked child shares the memory of its parent, and the thread that called vfork sleeps until the child starts a program.
// The child calls malloc and waits for heap_lock. With "held" the thread that called vfork holds it. With "event" another
// thread holds it, and waits for an event that the thread would signal. The program may not call malloc there: its bug.
#include "common.h"
#include <dlfcn.h>
#include <semaphore.h>
#define EVENT 7777

#ifdef ALLOCATOR
sem_t heap_held, heap_go;
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

void heap_freeze(void) { pthread_mutex_lock(&heap_lock); }

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    if (size == EVENT) {
        sem_post(&heap_held);
        sem_wait(&heap_go);
    }
    void *block = carve(size);
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {}
#else
static void *holder(void *nothing) {
    called("holder");
    void *volatile block = malloc(EVENT);
    free(block);
    return nothing;
}

static void start_program(void) {
    pid_t child = vfork();
    if (child == 0) {
        void *volatile block = malloc(64);
        free(block);
        _exit(0);
    }
}

int main(int count, char **arguments) {
    called("starter");
    pthread_t thread;
    if (strcmp(arguments[count - 1], "held") == 0) {
        void (*freeze)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "heap_freeze");
        freeze();
        start_program();
        return 0;
    }
    pthread_create(&thread, NULL, holder, NULL);
    sem_wait(dlsym(RTLD_DEFAULT, "heap_held"));
    start_program();
    sem_post(dlsym(RTLD_DEFAULT, "heap_go"));
    pthread_join(thread, NULL);
    return 0;
}
#endif
