// What the programs of this folder share. A program and its allocator are two builds of one file: the allocator with
// -DALLOCATOR. An allocator hands out memory from one pool and never takes it back: its free is only a place for faults.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Names the calling thread. The tests find the owner of a lock by this name, not by its tid.
static inline void called(const char *name) { pthread_setname_np(pthread_self(), name); }

#ifdef ALLOCATOR
static char pool[1ul << 28];
static size_t pool_top;

// Takes memory from the pool without a lock. The size stands before the block.
static void *carve(size_t size) {
    size_t whole = ((size + 15) & ~(size_t)15) + 16;
    size_t at = __atomic_fetch_add(&pool_top, whole, __ATOMIC_RELAXED);
    if (at + whole > sizeof pool) {
        return NULL;
    }
    *(size_t *)(pool + at) = size;
    return pool + at + 16;
}

static inline size_t size_of(void *block) { return *(size_t *)((char *)block - 16); }

void *malloc(size_t size);
void free(void *block);

void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *block, size_t size) {
    void *other = malloc(size);
    if (block && other) {
        memcpy(other, block, size_of(block) < size ? size_of(block) : size);
        free(block);
    }
    return other;
}

void *aligned_alloc(size_t alignment, size_t size) {
    char *block = carve(size + alignment);
    return block ? (void *)(((size_t)block + alignment - 1) & ~(alignment - 1)) : NULL;
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    *block = aligned_alloc(alignment, size);
    return *block ? 0 : ENOMEM;
}
#endif
