// Things that programs do with threads, signals and processes. Prints what came of them: the same in each
// run.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <atomic>
#include <mutex>

extern char **environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t posted;
static std::atomic<bool> stop;
static std::atomic<int> destroyed, cleaned, signals;

static void use(int size) { free(malloc(size)); }

// More than a thread keeps for itself: the allocator takes its locks.
static void use_many(int size) {
    void *blocks[300];
    for (void *&block : blocks) block = malloc(size);
    for (void *block : blocks) free(block);
}

static void *works(void *) {
    for (int i = 1; !stop; i++) use_many(i % 3000 + 1);
    return nullptr;
}

struct Workers {
    pthread_t threads[3];
    Workers() {
        stop = false;
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        for (pthread_t &thread : threads) pthread_create(&thread, nullptr, works, nullptr);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    ~Workers() {
        stop = true;
        for (pthread_t thread : threads) pthread_join(thread, nullptr);
    }
};

struct Destroyed {
    ~Destroyed() { destroyed++; }
};

static void unlocks(void *mutex) {
    pthread_mutex_unlock(static_cast<pthread_mutex_t *>(mutex));
    cleaned++;
}

static void *waits(void *how) {
    Destroyed destroyed;
    if (how == nullptr)
        for (;;) sem_wait(&posted);
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlocks, &lock);
    for (;;) pthread_cond_wait(&never, &lock);
    pthread_cleanup_pop(1);
}

// Threads are cancelled in waits: the stack is unwound through what is around the waits.
static void cancelled() {
    int right = 0;
    for (int round = 0; round < 10; round++) {
        pthread_t threads[10];
        for (long i = 0; i < 10; i++)
            pthread_create(&threads[i], nullptr, waits, reinterpret_cast<void *>(i % 2));
        usleep(2000);
        for (pthread_t thread : threads) pthread_cancel(thread);
        for (pthread_t thread : threads) {
            void *end;
            pthread_join(thread, &end);
            right += end == PTHREAD_CANCELED;
        }
    }
    printf("cancelled %d destroyed %d\n", right, destroyed.load());
}

static void thrown() {
    static std::mutex mutex;
    int caught = 0;
    for (int i = 0; i < 1000; i++) {
        try {
            std::lock_guard<std::mutex> guard(mutex);
            if (i % 2) throw i;
        } catch (int) {
            caught++;
        }
    }
    printf("caught %d\n", caught);
}

static void returned() {
    int right = 0, late = 0;
    for (int i = 0; i < 50; i++) {
        errno = 77;
        pthread_mutex_lock(&lock), use(100), pthread_mutex_unlock(&lock), sched_yield();
        right += errno == 77;
        right += sem_trywait(&posted) == -1 && errno == EAGAIN;
        timespec until, now;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_mutex_lock(&lock);
        right += pthread_cond_timedwait(&never, &lock, &until) == ETIMEDOUT;
        pthread_mutex_unlock(&lock);
        clock_gettime(CLOCK_REALTIME, &now);
        late += now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec);
    }
    printf("right %d late %d\n", right, late);
}

static void posts(int) {
    sem_post(&posted);
    signals++;
}

static void children() {
    int right = 0, status;
    auto ends = [&](pid_t child, int with) {
        while (waitpid(child, &status, 0) < 0) {}
        right += WIFEXITED(status) && WEXITSTATUS(status) == with;
    };
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < 50; j++) use(j * 100);
            _exit(3);
        }
        ends(child, 3);
        child = vfork();
        if (child == 0) {
            use(100);
            execl("/bin/true", "true", static_cast<char *>(nullptr));
            _exit(9);
        }
        ends(child, 0);
        char name[] = "true", *args[] = {name, nullptr};
        if (posix_spawn(&child, "/bin/true", nullptr, nullptr, args, environ) == 0) ends(child, 0);
    }
    printf("children %d\n", right);
}

static ucontext_t outside, inside;
static int resumed;

static void coroutine() {
    for (int i = 0; i < 2000; i++) {
        use(i);
        if (i % 100 == 0) resumed++, swapcontext(&inside, &outside);
    }
}

static void *small(void *) {
    for (int i = 0; i < 200; i++) use(i * 37);
    return &lock;
}

static void small_stacks() {
    static char stack[16 << 10] __attribute__((aligned(4096)));
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack, inside.uc_stack.ss_size = sizeof stack, inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    for (int i = 0; i < 21; i++) swapcontext(&outside, &inside);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16 << 10);
    int right = 0;
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *end = nullptr;
        if (pthread_create(&thread, &attributes, small, nullptr) == 0) pthread_join(thread, &end);
        right += end == &lock;
    }
    printf("resumed %d small %d\n", resumed, right);
}

// A filter that ends the process for calls which the program itself never makes.
static void filtered(bool all) {
    Workers workers;
    for (timespec began, now = (clock_gettime(CLOCK_MONOTONIC, &began), began); now.tv_sec - began.tv_sec < 1;
         clock_gettime(CLOCK_MONOTONIC, &now))
        use_many(1000);
    const int refused[] = {SYS_clock_gettime, SYS_gettid, SYS_process_vm_readv, SYS_sched_setaffinity};
    sock_filter code[2 * 4 + 2] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    int n = 1;
    for (int call : refused) {
        code[n++] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1);
        code[n++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    }
    code[n++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    sock_fprog program = {static_cast<unsigned short>(n), code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long done = all ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program)
                    : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    for (int i = 0; i < 300; i++) use_many(i * 10);
    printf("filtered %ld\n", done);
}

int main(int argc, char **argv) {
    sem_init(&posted, 0, 0);
    if (argc > 1) {
        filtered(strcmp(argv[1], "all") == 0);
        fflush(stdout);
        _exit(5);
    }
    cancelled();
    thrown();
    returned();
    stack_t other = {};
    other.ss_sp = malloc(64 << 10), other.ss_size = 64 << 10;
    sigaltstack(&other, nullptr);
    struct sigaction action = {};
    action.sa_handler = posts, action.sa_flags = SA_ONSTACK | SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    itimerval often = {{0, 700}, {0, 700}}, off = {};
    setitimer(ITIMER_REAL, &often, nullptr);
    {
        Workers workers;
        children();
    }
    setitimer(ITIMER_REAL, &off, nullptr);
    int value;
    sem_getvalue(&posted, &value);
    printf("posts are %s\n", value == signals ? "all there" : "lost");
    small_stacks();
    fflush(stdout);
    _exit(0);
}
