// The page with the allocator's lock is dropped and left to a userfaultfd that nobody serves: who reads the word waits for ever,
// a tool too. The holder loops in the allocator; the others wait in the kernel. With "possible": status 77 where userfaultfd is
// refused.
#include "common.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#define LOOPS 7000

#ifdef ALLOCATOR
// One page, which the program gives.
pthread_mutex_t *span_lock;

__attribute__((noinline)) static void find_span(void) {
    for (;;) {
        __asm__ volatile("" ::: "memory");
    }
}

void *malloc(size_t size) {
    if (!span_lock) {
        return carve(size);
    }
    pthread_mutex_lock(span_lock);
    if (size == LOOPS) {
        find_span();
    }
    void *block = carve(size);
    pthread_mutex_unlock(span_lock);
    return block;
}

void free(void *block) {}
#else
extern pthread_mutex_t *span_lock __attribute__((weak));

static void *worker(void *size) {
    for (int i = 0;; i++) {
        called(size ? "holder" : "waiter");
        void *volatile block = malloc(size && i == 100 ? LOOPS : 100);
        free(block);
        usleep(1000);
    }
}

int main(int count, char **arguments) {
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
        return 77;
    }
    if (count > 1 && !strcmp(arguments[1], "possible")) {
        return 0;
    }
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 0;
    if (&span_lock) {
        span_lock = (pthread_mutex_t *)page;
    }
    pthread_t workers[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&workers[i], NULL, worker, (void *)(i == 2));
    }
    usleep(1000000);
    struct uffdio_register area = {.range = {(unsigned long)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(fd, UFFDIO_REGISTER, &area) || madvise(page, 4096, MADV_DONTNEED)) {
        return 77;
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(workers[i], NULL);
    }
    return 0;
}
#endif
