// Threads that come, go, and stand.
#include "common.h"
#include <dlfcn.h>

static void *nothing(void *unused) { return unused; }
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static void *waits(void *unused) { pthread_mutex_lock(&held); pthread_mutex_unlock(&held); return unused; }
static void many(int n, void *(*body)(void *)) { pthread_t t[n]; pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536); int made = 0; for (int i = 0; i < n; i++) made += !pthread_create(&t[i], &a, body, 0); spin_until_ms(LASTS_MS); pthread_mutex_unlock(&held); for (int i = 0; i < made; i++) pthread_join(t[i], 0); printf("%d\n", made); }

FAULT(nothing_at_all) { sleep_until_ms(LASTS_MS); puts("done"); }
FAULT(computes) { spin_until_ms(LASTS_MS); puts("done"); }
FAULT(eight_threads_compute) { many(8, spinner); }
FAULT(thousand_threads_wait) { pthread_mutex_lock(&held); many(1000, waits); }
FAULT(two_hundred_threads_compute) { many(200, spinner); }
FAULT(threads_come_and_go) { long n = 0; for (long end = now_ms() + LASTS_MS; now_ms() < end; n++) { pthread_t t; if (!pthread_create(&t, 0, nothing, 0)) pthread_join(t, 0); } puts(n > 10 ? "many" : "few"); }
FAULT(detached_threads_come_and_go) { pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setdetachstate(&a, 1); for (long end = now_ms() + LASTS_MS; now_ms() < end;) { pthread_t t; pthread_create(&t, &a, nothing, 0); usleep(200); } puts("done"); }
FAULT(main_thread_leaves) { static pthread_t t; pthread_create(&t, 0, spinner, 0); pthread_detach(t); pthread_exit(0); }
FAULT(main_thread_leaves_alone) { pthread_exit(0); }
static void *quick(void *unused) { sleep_until_ms(200); return unused; }
FAULT(last_thread_leaves_by_a_call_of_its_own) { sleep_until_ms(LASTS_MS); syscall(SYS_exit, 3); }
FAULT(first_thread_is_the_last_to_leave) { pthread_t t; pthread_create(&t, 0, quick, 0); sleep_until_ms(LASTS_MS); syscall(SYS_exit, 4); }
static void *later(void *unused) { sleep_until_ms(1500); return unused; }
FAULT(first_thread_leaves_before_the_last) { pthread_t t; pthread_create(&t, 0, later, 0); sleep_until_ms(100); syscall(SYS_exit, 6); }
FAULT(thread_cancelled) { pthread_t t; pthread_mutex_lock(&held); pthread_create(&t, 0, (void *(*)(void *))pause, 0); sleep_until_ms(200); pthread_cancel(t); void *r; pthread_join(t, &r); printf("%d\n", r == PTHREAD_CANCELED); sleep_until_ms(LASTS_MS); }
static void *asynchronous(void *unused) { pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0); spin_until_ms(5000); return unused; }
FAULT(thread_cancelled_while_it_computes) { pthread_t t; pthread_create(&t, 0, asynchronous, 0); sleep_until_ms(250); pthread_cancel(t); void *r; pthread_join(t, &r); printf("%d\n", r == PTHREAD_CANCELED); sleep_until_ms(LASTS_MS); }
FAULT(ends_in_a_deadlock_by_alarm) { pthread_mutex_lock(&held); alarm(1); pthread_mutex_lock(&held); }
static pthread_key_t key;
static void destroyed(void *value) { printf("destroyed %ld\n", (long)value); }
static void *with_value(void *unused) { pthread_setspecific(key, (void *)7); return spinner(unused); }
FAULT(values_of_threads_are_destroyed) { pthread_key_create(&key, destroyed); pthread_t t; pthread_create(&t, 0, with_value, 0); pthread_join(t, 0); }
FAULT(stays_single_threaded) { extern char __libc_single_threaded; sleep_until_ms(LASTS_MS); printf("%d\n", __libc_single_threaded); }
FAULT(loads_and_unloads) { int n = 0; for (long end = now_ms() + LASTS_MS; now_ms() < end; n++) { void *h = dlopen("libm.so.6", RTLD_NOW); if (!h || dlclose(h)) puts("wrong"); } puts("done"); }
static int errors;
static void *keeps_errno(void *unused) { errno = 77; spin_until_ms(LASTS_MS); if (errno != 77) errors++; return unused; }
FAULT(errno_is_kept) { pthread_t t[4]; for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, keeps_errno, 0); for (int i = 0; i < 4; i++) pthread_join(t[i], 0); printf("%d\n", errors); }
static void *sums(void *unused) { volatile double a = 1.0; double first = 0; for (int r = 0; r < 40; r++) { double s = 0; for (int i = 1; i < 200000; i++) s += a / i; if (first == 0) first = s; if (s != first) errors++; } return unused; }
FAULT(registers_are_kept) { pthread_t t[4]; for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, sums, 0); for (int i = 0; i < 4; i++) pthread_join(t[i], 0); printf("%d\n", errors); }
FAULT(memory_mapped_and_unmapped) { for (long end = now_ms() + LASTS_MS; now_ms() < end;) { void *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); memset(p, 1, 4096); munmap(p, 1 << 20); } puts("done"); }
FAULT(stack_made_unreadable) { char *p = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); mprotect(p, 4096, PROT_NONE); madvise(p + 8192, 4096, MADV_DONTNEED); spin_until_ms(LASTS_MS); puts("done"); }
