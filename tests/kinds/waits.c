// A program past its deadline that waits. Nothing hangs in a sleep that ends (sleep, poll, epoll), nor in a pause before an
// alarm (alarm): the run comes to its end. A read of a pipe whose only writer is the program itself (pipe) and a condition
// that nobody signals (condition) are hangs of the program.
#include "common.h"

#ifdef ALLOCATOR
void *malloc(size_t size) { return carve(size); }
void free(void *block) {}
#else
#include <poll.h>
#include <sys/epoll.h>
#define PAST_THE_DEADLINE 6

static void rings(int number) {}

__attribute__((noinline)) static void never_told(void) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t told = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&lock);
    pthread_cond_wait(&told, &lock);
    pthread_mutex_unlock(&lock);
}

int main(int count, char **words) {
    const char *way = count > 1 ? words[1] : "";
    void *volatile block = malloc(100);
    free(block);
    int ends[2];
    if (pipe(ends) != 0) {
        return 1;
    }
    if (strcmp(way, "sleep") == 0) {
        sleep(PAST_THE_DEADLINE);
    } else if (strcmp(way, "poll") == 0) {
        poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, PAST_THE_DEADLINE * 1000);
    } else if (strcmp(way, "epoll") == 0) {
        struct epoll_event event = {.events = EPOLLIN};
        epoll_wait(epoll_create1(0), &event, 1, PAST_THE_DEADLINE * 1000);
    } else if (strcmp(way, "alarm") == 0) {
        signal(SIGALRM, rings);
        alarm(PAST_THE_DEADLINE);
        pause();
    } else if (strcmp(way, "pipe") == 0) {
        char byte;
        return (int)read(ends[0], &byte, 1);
    } else {
        never_told();
    }
    puts("done");
    return 0;
}
#endif
