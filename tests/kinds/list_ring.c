// Truth: malloc walks a free list, and the list is a ring. MODE twice: the program frees a block twice. MODE write: the program writes
// into a block that it has freed. MODE own: the allocator links a block to itself. The walker holds heap_lock. Only the first two are the
// program's mistake, and nothing in the process tells them from the third.
#include "common.h"
#define LARGE 5000

#ifdef ALLOCATOR
struct node {
    struct node *next;
};

static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *free_list;
static volatile int links_itself;

void heap_links_itself(void) { links_itself = 1; }

__attribute__((noinline)) static void *find_fit(size_t size) {
    for (struct node *node = free_list; node; node = node->next) {
        if (size_of(node) >= size) {
            return node;
        }
    }
    return NULL;
}

void *malloc(size_t size) {
    pthread_mutex_lock(&heap_lock);
    void *block = size >= LARGE ? find_fit(size) : NULL;
    if (!block) {
        block = carve(size);
    }
    pthread_mutex_unlock(&heap_lock);
    return block;
}

void free(void *block) {
    if (!block || size_of(block) < LARGE) {
        return;
    }
    pthread_mutex_lock(&heap_lock);
    struct node *node = block;
    node->next = links_itself ? node : free_list;
    free_list = node;
    pthread_mutex_unlock(&heap_lock);
}
#else
void heap_links_itself(void) __attribute__((weak));
static char mode;

static void *breaker(void *unused) {
    called("owner");
    char *first = malloc(LARGE), *volatile second = malloc(LARGE + 16);
    if (mode == 'o' && heap_links_itself) {
        heap_links_itself();
    }
    free(first);
    if (mode != 'o') {
        free(second);
    }
    if (mode == 't') {
        free(first);
    }
    if (mode == 'w') {
        // The first word of a free block: the pointer to the next one.
        memcpy(first, (char *[]){second}, sizeof(char *));
    }
    void *volatile larger = malloc(3 * LARGE);
    return larger;
}

static void *worker(void *unused) {
    for (int i = 0; i < 1000000; i++) {
        void *volatile block = malloc(64);
        free(block);
        usleep(50);
    }
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t threads[3];
    mode = count > 1 ? arguments[1][0] : 0;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, i == 1 ? breaker : worker, NULL);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
#endif
