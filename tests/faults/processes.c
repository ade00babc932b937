// Children, programs in the place of programs, and ends.
#include "common.h"
#include <spawn.h>
#include <sys/ptrace.h>

extern char **environ;
static int status_of(pid_t pid) { int s = -1; waitpid(pid, &s, 0); return s; }

FAULT(ends_at_once) {}
FAULT(ends_without_destructors) { _exit(3); }
FAULT(ends_on_another_thread) { pthread_t t; pthread_create(&t, 0, (void *(*)(void *))exit, (void *)5); pthread_join(t, 0); }
static void bye(void) { puts("bye"); }
FAULT(runs_what_it_registered) { atexit(bye); sleep_until_ms(LASTS_MS); }
FAULT(fifty_children) { for (int i = 0; i < 50; i++) { pid_t pid = fork(); if (!pid) _exit(i); if (status_of(pid) != i << 8) puts("wrong"); } puts("50"); }
FAULT(children_at_once) { pid_t p[20]; for (int i = 0; i < 20; i++) if (!(p[i] = fork())) { spin_until_ms(200); _exit(i); } for (int i = 0; i < 20; i++) if (status_of(p[i]) != i << 8) puts("wrong"); puts("20"); }
FAULT(child_goes_on_alone) { pid_t pid = fork(); if (!pid) { if (fork()) _exit(0); spin_until_ms(LASTS_MS); puts("grandchild"); _exit(0); } printf("%d\n", status_of(pid)); sleep_until_ms(LASTS_MS + 200); }
static void *forks(void *unused) { pid_t pid = fork(); if (!pid) { spin_until_ms(200); _exit(4); } return (void *)(long)status_of(pid); (void)unused; }
FAULT(threads_fork) { pthread_t t[8]; for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, forks, 0); for (int i = 0; i < 8; i++) { void *s; pthread_join(t[i], &s); printf("%ld ", (long)s); } puts(""); }
FAULT(vfork_and_exec) { for (int i = 0; i < 20; i++) { pid_t pid = vfork(); if (!pid) { execlp("true", "true", (char *)0); _exit(9); } if (status_of(pid)) puts("wrong"); } puts("20"); }
FAULT(spawns) { for (int i = 0; i < 20; i++) { pid_t pid; char *a[] = { "sh", "-c", "exit 6", 0 }; if (posix_spawnp(&pid, "sh", 0, 0, a, environ) || status_of(pid) != 6 << 8) puts("wrong"); } puts("20"); }
FAULT(shell_and_pipe) { printf("%d\n", system("echo a b | tr a-z A-Z")); }
static char child_stack[65536];
static int shares(void *unused) { (void)unused; spin_until_ms(300); return 8; }
FAULT(child_shares_memory) { int pid = clone(shares, child_stack + sizeof child_stack, CLONE_VM | SIGCHLD, 0); printf("%d\n", status_of(pid)); }
FAULT(child_shares_memory_and_stops_us) { int pid = clone(shares, child_stack + sizeof child_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, 0); printf("%d\n", status_of(pid)); }
FAULT(raw_fork) { pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); if (!pid) { spin_until_ms(LASTS_MS); _exit(2); } printf("%d\n", status_of(pid)); }
FAULT(executes_itself) { if (getenv("AGAIN")) { puts("again"); sleep_until_ms(300); return; } setenv("AGAIN", "1", 1); execl("/proc/self/exe", "again", "executes_itself", (char *)0); }
FAULT(executes_itself_many_times) { const char *n = getenv("AGAIN"); int left = n ? atoi(n) : 30; if (!left) { puts("30"); return; } char text[8]; snprintf(text, 8, "%d", left - 1); setenv("AGAIN", text, 1); execl("/proc/self/exe", "again", "executes_itself_many_times", (char *)0); }
FAULT(executes_what_is_not_there) { execl("/nonexistent/program", "x", (char *)0); puts("went on"); sleep_until_ms(LASTS_MS); }
static void *execs(void *unused) { sleep_until_ms(150); execlp("echo", "echo", "from a thread", (char *)0); return unused; }
FAULT(thread_executes) { pthread_t t; pthread_create(&t, 0, execs, 0); spin_until_ms(5000); }
FAULT(traced_by_its_parent) { pid_t pid = fork(); if (!pid) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); spin_until_ms(LASTS_MS); _exit(1); } int s; waitpid(pid, &s, 0); ptrace(PTRACE_CONT, pid, 0, 0); int stops = 0; while (waitpid(pid, &s, 0) == pid && WIFSTOPPED(s)) { stops++; ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(s)); } printf("stops %d, status %d\n", stops, s); }
FAULT(session_of_its_own) { pid_t pid = fork(); if (!pid) { setsid(); sleep_until_ms(LASTS_MS); _exit(0); } printf("%d\n", status_of(pid)); }
FAULT(reaps_all_children) { prctl(PR_SET_CHILD_SUBREAPER, 1); if (!fork()) { if (!fork()) { sleep_until_ms(300); _exit(0); } _exit(0); } int n = 0; while (wait(0) > 0) n++; printf("%d children\n", n); }
