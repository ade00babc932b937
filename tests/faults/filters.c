// Filters of system calls (seccomp(2)): what a thread may not call ends it, or the process.
#include "common.h"
#include <linux/audit.h>

#define CALL BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define IF(NR, THEN) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR, 0, 1), BPF_STMT(BPF_RET | BPF_K, THEN)
#define ELSE(THEN) BPF_STMT(BPF_RET | BPF_K, THEN)
#define KILL SECCOMP_RET_KILL_PROCESS
#define OK SECCOMP_RET_ALLOW

static int filter(struct sock_filter *f, unsigned short n, int flags) {
  struct sock_fprog p = { n, f };
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}
#define FILTER(FLAGS, ...) ({ struct sock_filter f_[] = { CALL, __VA_ARGS__ }; filter(f_, sizeof f_ / sizeof *f_, FLAGS); })
// What these programs themselves need.
#define NEEDED(THEN) IF(SYS_write, OK), IF(SYS_exit_group, OK), IF(SYS_exit, OK), IF(SYS_nanosleep, OK), IF(SYS_clock_nanosleep, OK), IF(SYS_futex, OK), \
  IF(SYS_munmap, OK), IF(SYS_mmap, OK), IF(SYS_brk, OK), IF(SYS_madvise, OK), IF(SYS_rt_sigprocmask, OK), IF(SYS_restart_syscall, OK), IF(SYS_clock_gettime, OK), IF(SYS_fstat, OK), IF(SYS_newfstatat, OK), ELSE(THEN)

FAULT(filter_ends_unknown_calls) { printf("%d\n", FILTER(0, NEEDED(KILL))); spin_until_ms(LASTS_MS); puts("lived"); }
FAULT(filter_ends_unknown_calls_of_a_sleeper) { printf("%d\n", FILTER(0, NEEDED(KILL))); sleep_until_ms(LASTS_MS); puts("lived"); }
FAULT(filter_refuses_unknown_calls) { printf("%d\n", FILTER(0, NEEDED(SECCOMP_RET_ERRNO | EPERM))); spin_until_ms(LASTS_MS); puts("lived"); }
FAULT(filter_ends_calls_that_read_memory) { printf("%d\n", FILTER(0, IF(SYS_process_vm_readv, KILL), ELSE(OK))); spin_until_ms(LASTS_MS); puts("lived"); }
FAULT(filter_ends_perf_events) { printf("%d\n", FILTER(0, IF(SYS_perf_event_open, KILL), ELSE(OK))); spin_until_ms(LASTS_MS); puts("lived"); }
FAULT(filter_ends_signals) { printf("%d\n", FILTER(0, IF(SYS_rt_tgsigqueueinfo, KILL), IF(SYS_tgkill, KILL), ELSE(OK))); spin_until_ms(LASTS_MS); puts("lived"); }
static void *filtered(void *unused) { if (FILTER(0, NEEDED(KILL))) abort(); return spinner(unused); }
FAULT(filter_on_one_thread) { pthread_t t; pthread_create(&t, 0, filtered, 0); pthread_join(t, 0); puts("lived"); }
static void *killed(void *unused) { if (FILTER(0, NEEDED(SECCOMP_RET_KILL_THREAD))) abort(); return spinner(unused); }
FAULT(filter_that_ends_one_thread) { pthread_t t; pthread_create(&t, 0, killed, 0); pthread_join(t, 0); puts("joined"); }
FAULT(strict_mode_on_one_thread) { int p[2]; if (pipe(p)) abort(); pid_t pid = fork(); if (!pid) { prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); for (volatile long n = 0; n < 300000000; n++); syscall(SYS_exit, 3); } int s; waitpid(pid, &s, 0); printf("status %d\n", s); }
static int ended(void (*run)(void)) { fflush(stdout); pid_t pid = fork(); if (!pid) { run(); _exit(99); } int s; waitpid(pid, &s, 0); return s & ~0x80; }
static void forbidden(void) { sleep_until_ms(300); if (FILTER(0, NEEDED(SECCOMP_RET_KILL_THREAD))) abort(); syscall(SYS_getppid); }
FAULT(filter_that_ends_the_only_thread) { printf("status %d\n", ended(forbidden)); }
static void strict(void) { sleep_until_ms(300); prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_getppid); }
FAULT(strict_mode_ends_the_only_thread) { printf("status %d\n", ended(strict)); }
FAULT(filter_then_fork) { printf("%d\n", FILTER(0, IF(SYS_openat, KILL), IF(SYS_prctl, KILL), IF(SYS_socket, KILL), ELSE(OK))); pid_t pid = fork(); if (!pid) { spin_until_ms(LASTS_MS); _exit(7); } int s; waitpid(pid, &s, 0); printf("status %d\n", s); }
FAULT(filter_at_once_then_fork_of_a_fork) { sleep_until_ms(120); printf("%d\n", FILTER(0, IF(SYS_openat, KILL), IF(SYS_socket, KILL), ELSE(OK))); pid_t pid = fork(); if (!pid) { pid_t p2 = fork(); if (!p2) _exit(5); int s; waitpid(p2, &s, 0); spin_until_ms(LASTS_MS); _exit(s >> 8); } int s; waitpid(pid, &s, 0); printf("status %d\n", s); }
FAULT(filter_then_exec) { FILTER(0, IF(SYS_perf_event_open, SECCOMP_RET_ERRNO | EPERM), IF(SYS_ptrace, SECCOMP_RET_ERRNO | EPERM), ELSE(OK)); execlp("sh", "sh", "-c", "echo in the shell; sleep 0.4", (char *)0); }
static void *quiet(void *unused) { sleep_until_ms(LASTS_MS); return unused; }
FAULT(filter_for_all_threads) { pthread_t t; pthread_create(&t, 0, quiet, 0); printf("%d\n", FILTER(SECCOMP_FILTER_FLAG_TSYNC, IF(SYS_perf_event_open, SECCOMP_RET_ERRNO | EPERM), ELSE(OK))); spin_until_ms(LASTS_MS); pthread_join(t, 0); puts("lived"); }
