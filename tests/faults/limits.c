// Limits, credentials and the place in the file system.
#include "common.h"
#include <dirent.h>
#include <grp.h>

static void limit(int what, unsigned long to) { struct rlimit r = { to, to }; printf("setrlimit: %d\n", setrlimit(what, &r)); }
static long lowest_fd(void) { int fd = open("/dev/null", O_RDONLY); close(fd); return fd; }

FAULT(few_descriptors) { limit(RLIMIT_NOFILE, 8); sleep_until_ms(LASTS_MS); printf("next %ld\n", lowest_fd()); }
FAULT(no_descriptors) { limit(RLIMIT_NOFILE, 0); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(descriptors_are_the_programs_own) { sleep_until_ms(LASTS_MS); DIR *d = opendir("/proc/self/fd"); for (struct dirent *e; (e = readdir(d));) if (*e->d_name != '.') printf("%s ", e->d_name); puts(""); }
FAULT(all_descriptors_closed) { sleep_until_ms(120); for (int fd = 3; fd < 1024; fd++) close(fd); sleep_until_ms(LASTS_MS); printf("next %ld\n", lowest_fd()); }
FAULT(all_descriptors_taken) { sleep_until_ms(120); for (int fd = 3; fd < 900; fd++) if (dup2(0, fd) != fd) break; sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(output_closed) { close(2); sleep_until_ms(LASTS_MS); printf("next %ld\n", lowest_fd()); }
FAULT(no_room_in_the_address_space) { char *all = 0; limit(RLIMIT_AS, 64 << 20); long got = 0; for (long size = 32 << 20; size >= 1 << 16; size /= 2) while (mmap(0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) got += size; (void)all; sleep_until_ms(LASTS_MS); puts(got > 0 ? "full" : "none"); }
FAULT(no_data) { limit(RLIMIT_DATA, 1 << 20); sleep_until_ms(LASTS_MS); printf("%d\n", mmap(0, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED); }
FAULT(no_file_may_grow) { limit(RLIMIT_FSIZE, 0); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(no_stack_may_grow) { limit(RLIMIT_STACK, 64 << 10); spin_until_ms(LASTS_MS); puts("done"); }
FAULT(no_queued_signals) { limit(RLIMIT_SIGPENDING, 0); spin_until_ms(LASTS_MS); puts("done"); }
FAULT(no_processes) { if (setresuid(65534, 65534, 65534)) puts("not root"); limit(RLIMIT_NPROC, 1); printf("fork: %d\n", fork() < 0 || 1); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(one_second_of_cpu_time) { limit(RLIMIT_CPU, 2); spin_until_ms(LASTS_MS); puts("done"); }
FAULT(locked_memory) { limit(RLIMIT_MEMLOCK, 64 << 20); if (setresuid(65534, 65534, 65534)) puts("not root"); printf("mlockall: %d\n", mlockall(MCL_CURRENT | MCL_FUTURE)); spin_until_ms(LASTS_MS); puts("done"); }
FAULT(lowest_priority) { setpriority(PRIO_PROCESS, 0, 19); spin_until_ms(LASTS_MS); printf("%d\n", getpriority(PRIO_PROCESS, 0)); }
FAULT(one_processor) { cpu_set_t s; CPU_ZERO(&s); CPU_SET(0, &s); sched_setaffinity(0, sizeof s, &s); spin_until_ms(LASTS_MS); CPU_ZERO(&s); sched_getaffinity(0, sizeof s, &s); printf("%d\n", CPU_COUNT(&s)); }
FAULT(root_given_up) { printf("%d\n", setgroups(0, 0) | setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534)); sleep_until_ms(LASTS_MS); printf("%d %d\n", geteuid(), setuid(0)); }
FAULT(root_given_up_for_a_while) { if (!seteuid(65534)) puts("as nobody"); sleep_until_ms(300); if (!seteuid(0)) puts("as root"); sleep_until_ms(LASTS_MS); printf("%d\n", geteuid()); }
static void *drop(void *unused) { syscall(SYS_setresuid, 65534, 65534, 65534); return spinner(unused); }
FAULT(one_thread_gives_up_root) { pthread_t t; pthread_create(&t, 0, drop, 0); pthread_join(t, 0); printf("%d\n", geteuid()); }
FAULT(not_dumpable) { prctl(PR_SET_DUMPABLE, 0); spin_until_ms(LASTS_MS); printf("%d\n", prctl(PR_GET_DUMPABLE)); }
FAULT(no_new_privileges) { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); spin_until_ms(LASTS_MS); puts("done"); }
FAULT(no_capabilities) { for (int c = 0; c < 41; c++) prctl(PR_CAPBSET_DROP, c); spin_until_ms(LASTS_MS); puts("done"); }
FAULT(another_root) { printf("%d\n", mkdir("/tmp/fault_root", 0700) & 0); printf("%d\n", chroot("/tmp/fault_root") & 0); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(directory_removed) { char d[64]; snprintf(d, 64, "/tmp/fault_dir_%d", getpid()); mkdir(d, 0700); if (chdir(d)) puts("?"); printf("rmdir: %d\n", rmdir(d)); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(own_mounts) { printf("%d\n", unshare(CLONE_NEWNS) & 0); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(own_network_and_names) { printf("%d\n", unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) & 0); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(mode_mask_is_the_programs_own) { sleep_until_ms(150); printf("%o\n", umask(077)); sleep_until_ms(LASTS_MS); printf("%o\n", umask(077)); }
FAULT(parents_death_signal_is_kept) { prctl(PR_SET_PDEATHSIG, SIGUSR1); sleep_until_ms(LASTS_MS); int s; prctl(PR_GET_PDEATHSIG, &s); printf("%d\n", s); }
FAULT(environment_changed) { clearenv(); setenv("A", "1", 1); sleep_until_ms(LASTS_MS); puts(getenv("LD_PRELOAD") ? "there" : "gone"); }
FAULT(arguments_overwritten) { extern char **environ; for (char **e = environ; *e; e++) memset(*e, 'x', strlen(*e)); sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(name_changed) { prctl(PR_SET_NAME, "\033[31m)R (\n"); sleep_until_ms(LASTS_MS); char n[16]; prctl(PR_GET_NAME, n); printf("%zu\n", strlen(n)); }
