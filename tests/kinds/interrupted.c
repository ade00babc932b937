// As abba.c, but the ring does not sleep in peace: SIGALRM to both workers each 3 ms (signals), locks that are taken with a
// timeout of 20 ms in a loop (timed), a thread for statistics that uses the allocator (statistics), a main thread that
// starts short threads (churn). None of it is progress.
#include "common.h"
#include <time.h>
#define BINS 7000
#define PAGES 8000

#ifdef ALLOCATOR
static pthread_mutex_t bin_lock = PTHREAD_MUTEX_INITIALIZER, page_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

__attribute__((constructor)) static void begin(void) { pthread_barrier_init(&both, NULL, 2); }

__attribute__((noinline)) static void take(pthread_mutex_t *lock) {
#ifdef TIMED
    struct timespec until;
    do {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
    } while (pthread_mutex_timedlock(lock, &until) != 0);
#else
    pthread_mutex_lock(lock);
#endif
}

__attribute__((noinline)) static void refill_bin(void) {
    take(&bin_lock);
    pthread_barrier_wait(&both);
    take(&page_lock);
    pthread_mutex_unlock(&page_lock);
    pthread_mutex_unlock(&bin_lock);
}

__attribute__((noinline)) static void purge_pages(void) {
    take(&page_lock);
    pthread_barrier_wait(&both);
    take(&bin_lock);
    pthread_mutex_unlock(&bin_lock);
    pthread_mutex_unlock(&page_lock);
}

void *malloc(size_t size) {
    if (size == BINS) {
        refill_bin();
    }
    if (size == PAGES) {
        purge_pages();
    }
    return carve(size);
}

void free(void *block) {}
#else
static pthread_t workers[2];
static volatile sig_atomic_t ticks;

static void *worker(void *size) {
    called(size == (void *)BINS ? "refill" : "purge");
    void *volatile block = malloc((size_t)size);
    free(block);
    return NULL;
}

static void tick(int number) { ticks++; }

// Signals are paced, not ordered, by this sleep.
static void pause_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static void *statistics(void *unused) {
    called("statistics");
    for (;;) {
        void *volatile block = malloc(64);
        free(block);
        pause_ms(100);
    }
    return unused;
}

static void *brief(void *unused) {
    void *volatile block = malloc(64);
    free(block);
    return unused;
}

int main(int count, char **words) {
    const char *way = count > 1 ? words[1] : "";
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = tick, .sa_flags = SA_RESTART}, NULL);
    pthread_create(&workers[0], NULL, worker, (void *)BINS);
    pthread_create(&workers[1], NULL, worker, (void *)PAGES);
    pthread_t other;
    if (strcmp(way, "statistics") == 0) {
        pthread_create(&other, NULL, statistics, NULL);
    }
    while (strcmp(way, "signals") == 0) {
        pause_ms(3);
        pthread_kill(workers[0], SIGALRM);
        pthread_kill(workers[1], SIGALRM);
    }
    while (strcmp(way, "churn") == 0) {
        pthread_create(&other, NULL, brief, NULL);
        pthread_join(other, NULL);
        pause_ms(20);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(workers[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
