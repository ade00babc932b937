// A program that dies in the way that its argument names, or prints what it sees of its signal actions.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void (*handler_t)(int);
handler_t sysv_signal(int, handler_t);
handler_t sigset(int, handler_t);

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM};

static void print_actions(void) {
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction is;
        memset(&is, 0x5a, sizeof is);
        int done = sigaction(signals[i], NULL, &is), blocked = 0;
        for (int n = 1; n < 65; n++) blocked += sigismember(&is.sa_mask, n) == 1;
        printf("%d: %d, %s, flags %#x, mask %d, restorer %d\n", signals[i], done,
               is.sa_handler == SIG_DFL ? "default" : is.sa_handler == SIG_IGN ? "ignored" : "handler", is.sa_flags, blocked,
               is.sa_restorer != NULL);
    }
}

static void own(int signal) {
    printf("own handler of %d\n", signal);
    fflush(stdout);
    _exit(7);
}

static void chained(int number) {
    printf("before: %d\n", signal(number, SIG_DFL) == chained);
    fflush(stdout);
    raise(number);
}

static void reset(int number) {
    printf("own handler of %d\n", number);
    fflush(stdout);
    sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

__attribute__((noinline)) static int fault(volatile int *at) { return *at; }

static void *in_thread(void *n) {
    fault((int *)0x1230);
    return n;
}

__attribute__((noinline)) static int deep(int n) {
    volatile char room[4096];
    room[0] = (char)n;
    return n > 0 ? deep(n + 1) + room[0] : 0;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    volatile int zero = 0;
    // Until the shim has looked a few times.
    if (argc > 2) usleep(atoi(argv[2]) * 1000);
    if (!strcmp(how, "segv")) return fault((int *)0x1230);
    if (!strcmp(how, "bus")) {
        char name[] = "busXXXXXX";
        int file = mkstemp(name);
        unlink(name);
        return fault(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0));
    }
    if (!strcmp(how, "ill")) __builtin_trap();
    if (!strcmp(how, "fpe")) return 7 / zero;
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "kill")) { kill(getpid(), SIGSEGV); pause(); }
    if (!strcmp(how, "blocked")) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        return fault((int *)0x1230);
    }
    if (!strcmp(how, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, NULL);
        pthread_join(thread, NULL);
    }
    if (!strcmp(how, "threads")) {
        pthread_t thread[16];
        for (int i = 0; i < 16; i++) pthread_create(&thread[i], NULL, in_thread, NULL);
        for (int i = 0; i < 16; i++) pthread_join(thread[i], NULL);
    }
    if (!strcmp(how, "deep")) return deep(1);
    if (!strcmp(how, "alternate")) {
        static char small[4096];
        stack_t stack = {.ss_sp = small, .ss_size = sizeof small};
        sigaltstack(&stack, NULL);
        return deep(1);
    }
    if (!strcmp(how, "child")) {
        int status;
        if (fork() == 0) return fault((int *)0x1230);
        wait(&status);
        printf("child: %d\n", status & 0x7f);
    }
    if (!strcmp(how, "ignored")) {
        signal(SIGSEGV, SIG_IGN);
        kill(getpid(), SIGSEGV);
        print_actions();
    }
    if (!strcmp(how, "query")) {
        print_actions();
        for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
            handler_t a = signal(signals[i], own), b = signal(signals[i], SIG_DFL), c = sysv_signal(signals[i], own),
                      d = sigset(signals[i], own);
            printf("%d: %d %d %d %d\n", signals[i], a == SIG_DFL, b == own, c == SIG_DFL, d == own);
        }
        print_actions();
        for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
            sigaction(signals[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        print_actions();
        printf("%d %d\n", sigaction(SIGKILL, &(struct sigaction){.sa_handler = own}, NULL), sigaction(99, NULL, NULL));
    }
    if (!strcmp(how, "own")) { signal(SIGSEGV, own); return fault((int *)0x1230); }
    if (!strcmp(how, "reset")) { signal(SIGSEGV, reset); return fault((int *)0x1230); }
    if (!strcmp(how, "chained")) { signal(SIGABRT, chained); abort(); }
    if (!strcmp(how, "restored")) {
        struct sigaction before;
        sigaction(SIGSEGV, &(struct sigaction){.sa_handler = own}, &before);
        sigaction(SIGSEGV, &before, NULL);
        return fault((int *)0x1230);
    }
    return 0;
}
