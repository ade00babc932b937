// What a process sees of signals.
#include "common.h"
#include <setjmp.h>

static volatile int counts[65];
static void count(int signal) { counts[signal]++; }
static void print_counts(void) { for (int s = 1; s < 65; s++) if (counts[s]) printf("signal %d: %d\n", s, counts[s]); }

FAULT(handlers_of_all_signals_see_nothing) { struct sigaction a = { .sa_handler = count }; for (int s = 1; s < 65; s++) sigaction(s, &a, 0); spin_until_ms(LASTS_MS); print_counts(); puts("done"); }
FAULT(threads_with_handlers_see_nothing) { struct sigaction a = { .sa_handler = count }; for (int s = 34; s < 65; s++) sigaction(s, &a, 0); pthread_t t[4]; for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, spinner, 0); for (int i = 0; i < 4; i++) pthread_join(t[i], 0); print_counts(); puts("done"); }
FAULT(all_signals_blocked) { sigset_t all, left; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); spin_until_ms(LASTS_MS); sigpending(&left); for (int s = 1; s < 65; s++) if (sigismember(&left, s)) printf("pending %d\n", s); puts("done"); }
FAULT(actions_stay_what_they_were) { sleep_until_ms(LASTS_MS); for (int s = 1; s < 65; s++) { struct sigaction a; if (!sigaction(s, 0, &a)) printf("%d:%d ", s, a.sa_handler == SIG_DFL ? 0 : 1); } puts(""); }
FAULT(all_signals_ignored) { for (int s = 1; s < 65; s++) signal(s, SIG_IGN); spin_until_ms(LASTS_MS); for (int s = 34; s < 65; s++) { struct sigaction a; sigaction(s, 0, &a); if (a.sa_handler != SIG_IGN) printf("%d changed\n", s); } puts("done"); }
FAULT(queued_signals_arrive_in_order) { struct sigaction a = { .sa_handler = count }; sigaction(62, &a, 0); for (int i = 0; i < 1000; i++) { union sigval v = { i }; sigqueue(getpid(), 62, v); if (i % 100 == 0) spin_until_ms(i * LASTS_MS / 1000); } print_counts(); }
FAULT(interval_timer_counts) { signal(SIGALRM, count); struct timeval tv = { 0, 50000 }; struct itimerval t = { tv, tv }; setitimer(ITIMER_REAL, &t, 0); while (counts[SIGALRM] < 8) spin_until_ms(1); print_counts(); }
FAULT(posix_timer_counts) { struct sigaction a = { .sa_handler = count }; sigaction(40, &a, 0); timer_t id; struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 40 }; timer_create(CLOCK_MONOTONIC, &e, &id); struct itimerspec t = { { 0, 50000000 }, { 0, 50000000 } }; timer_settime(id, 0, &t, 0); while (counts[40] < 8) sleep_until_ms(LASTS_MS); timer_delete(id); puts("8 at least"); }
static sigjmp_buf out;
static void jump(int s) { siglongjmp(out, s); }
FAULT(jumps_out_of_a_handler) { signal(SIGUSR1, jump); for (volatile int i = 0; i < 100; i++) { if (!sigsetjmp(out, 1)) raise(SIGUSR1); spin_until_ms(i * LASTS_MS / 100); } puts("100 jumps"); }
FAULT(sigwait_takes_its_own) { sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR2); sigaddset(&s, 62); sigprocmask(SIG_BLOCK, &s, 0); pid_t pid = getpid(); if (!fork()) { sleep_until_ms(LASTS_MS); kill(pid, SIGUSR2); _exit(0); } int got = 0; sigwait(&s, &got); printf("got %d\n", got); wait(0); }
FAULT(ends_by_SIGTERM) { sleep_until_ms(LASTS_MS); raise(SIGTERM); }
FAULT(ends_by_SIGKILL) { sleep_until_ms(LASTS_MS); raise(SIGKILL); }
FAULT(ends_by_abort) { struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); sleep_until_ms(LASTS_MS); abort(); }
FAULT(ends_by_SIGSEGV) { struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); sleep_until_ms(LASTS_MS); *(volatile int *)8 = 1; }
FAULT(ends_by_SIGBUS) { struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); int fd = memfd_create("x", 0); if (ftruncate(fd, 4096)) abort(); volatile char *p = mmap(0, 8192, PROT_READ, MAP_SHARED, fd, 0); p[4096]; }
FAULT(ends_by_SIGFPE) { struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); raise(SIGFPE); }
static __attribute__((noinline)) long overflow(long n) { volatile char room[4096]; room[0] = n; return overflow(n + 1) + room[0]; }
FAULT(ends_by_a_stack_that_overflows) { struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); spin_until_ms(150); printf("%ld\n", overflow(1)); }
FAULT(stopped_and_continued) { pid_t pid = getpid(); if (!fork()) { sleep_until_ms(150); kill(pid, SIGSTOP); sleep_until_ms(LASTS_MS); kill(pid, SIGCONT); _exit(0); } sleep_until_ms(LASTS_MS + 50); wait(0); puts("went on"); }
