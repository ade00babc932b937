// What the faults share: a clock, and the table of them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A dump is made 100 ms after the start, and looks again and samples until 300 ms: what a fault does must last longer.
enum { LASTS_MS = 500 };

typedef struct fault { const char *file, *name; void (*run)(void); struct fault *next; } fault;
extern fault *faults;
#define FAULT(NAME) static void NAME(void); static fault NAME##_row = { __FILE__, #NAME, NAME, 0 }; \
  __attribute__((constructor)) static void NAME##_add(void) { NAME##_row.next = faults; faults = &NAME##_row; } static void NAME(void)

// Monotonic, ms.
long now_ms(void);
// Sleeps until so long after the start of the program, however often it is woken.
void sleep_until_ms(long ms);
// Computes until then, without a system call.
void spin_until_ms(long ms);
void *spinner(void *);
// Prints the name, what a call gave with its errno, and whether it took at least so long.
void told(const char *what, long result, long since_ms, long at_least_ms);
