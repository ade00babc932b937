// fork while another thread holds a lock: no thread of the child can ever release it. With the argument "heap" it is
// heap_lock, and the allocator has no fork handlers: its bug. With "table" it is table_lock of the program: its bug.
#include "common.h"
#include <dlfcn.h>
#include <semaphore.h>
#define HELD 7777

#ifdef ALLOCATOR
sem_t heap_held, heap_go;
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    if (size == HELD) {
        sem_post(&heap_held);
        sem_wait(&heap_go);
    }
    void *block = carve(size);
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {}
#else
static sem_t *held, *go, table_held, table_go;
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static int heap;

static void take(void) {
    if (heap) {
        void *volatile block = malloc(64);
        free(block);
    } else {
        pthread_mutex_lock(&table_lock);
        pthread_mutex_unlock(&table_lock);
    }
}

// Holds the lock until the process was forked.
static void *holder(void *nothing) {
    called("holder");
    if (heap) {
        void *volatile block = malloc(HELD);
        free(block);
    } else {
        pthread_mutex_lock(&table_lock);
        sem_post(held);
        sem_wait(go);
        pthread_mutex_unlock(&table_lock);
    }
    return nothing;
}

int main(int count, char **arguments) {
    heap = strcmp(arguments[count - 1], "heap") == 0;
    held = heap ? dlsym(RTLD_DEFAULT, "heap_held") : &table_held;
    go = heap ? dlsym(RTLD_DEFAULT, "heap_go") : &table_go;
    pthread_t thread;
    pthread_create(&thread, NULL, holder, NULL);
    sem_wait(held);
    pid_t child = fork();
    if (child == 0) {
        take();
        _exit(0);
    }
    sem_post(go);
    pthread_join(thread, NULL);
    waitpid(child, NULL, 0);
    return 0;
}
#endif
