// Calls that wait: each waits its whole time, and nothing cuts it short.
#include "common.h"
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <linux/futex.h>

static struct timespec in_ms(clockid_t clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms % 1000 * 1000000;
  t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}
static const struct timespec whole = { 0, LASTS_MS * 1000000L };

FAULT(sem_timedwait_waits) { sem_t s; sem_init(&s, 0, 0); struct timespec t = in_ms(CLOCK_REALTIME, LASTS_MS); long b = now_ms(); told("sem_timedwait", sem_timedwait(&s, &t), b, LASTS_MS); }
FAULT(cond_timedwait_waits) { pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_cond_t c = PTHREAD_COND_INITIALIZER; struct timespec t = in_ms(CLOCK_REALTIME, LASTS_MS); long b = now_ms(); pthread_mutex_lock(&m); told("cond_timedwait", pthread_cond_timedwait(&c, &m, &t), b, LASTS_MS); }
FAULT(mutex_timedlock_waits) { pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; struct timespec t = in_ms(CLOCK_REALTIME, LASTS_MS); long b = now_ms(); pthread_mutex_lock(&m); told("mutex_timedlock", pthread_mutex_timedlock(&m, &t), b, LASTS_MS); }
FAULT(rwlock_timedwrlock_waits) { pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER; struct timespec t = in_ms(CLOCK_REALTIME, LASTS_MS); long b = now_ms(); pthread_rwlock_rdlock(&l); told("timedwrlock", pthread_rwlock_timedwrlock(&l, &t), b, LASTS_MS); }
FAULT(futex_waits) { int word = 0; long b = now_ms(); told("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &whole, 0, 0), b, LASTS_MS); }
FAULT(poll_waits) { long b = now_ms(); told("poll", poll(0, 0, LASTS_MS), b, LASTS_MS); }
FAULT(ppoll_waits) { long b = now_ms(); told("ppoll", ppoll(0, 0, &whole, 0), b, LASTS_MS); }
FAULT(select_waits) { struct timeval t = { 0, LASTS_MS * 1000 }; long b = now_ms(); told("select", select(0, 0, 0, 0, &t), b, LASTS_MS); }
FAULT(pselect_waits) { long b = now_ms(); told("pselect", pselect(0, 0, 0, 0, &whole, 0), b, LASTS_MS); }
FAULT(epoll_waits) { int e = epoll_create1(0); struct epoll_event ev; long b = now_ms(); told("epoll_wait", epoll_wait(e, &ev, 1, LASTS_MS), b, LASTS_MS); }
FAULT(usleep_sleeps) { long b = now_ms(); told("usleep", usleep(LASTS_MS * 1000), b, LASTS_MS); }
FAULT(nanosleep_sleeps) { struct timespec left; long b = now_ms(); told("nanosleep", nanosleep(&whole, &left), b, LASTS_MS); }
FAULT(clock_nanosleep_sleeps) { struct timespec t = in_ms(CLOCK_MONOTONIC, LASTS_MS); long b = now_ms(); told("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0), b, LASTS_MS); }
FAULT(sigtimedwait_waits) { sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); siginfo_t i; long b = now_ms(); told("sigtimedwait", sigtimedwait(&all, &i, &whole), b, LASTS_MS); }
FAULT(sigsuspend_waits_for_its_own) { signal(SIGALRM, (void (*)(int))now_ms); sigset_t s; sigfillset(&s); sigdelset(&s, SIGALRM); struct timeval tv = { 0, LASTS_MS * 1000 }; struct itimerval t = { { 0, 0 }, tv }; long b = now_ms(); setitimer(ITIMER_REAL, &t, 0); told("sigsuspend", sigsuspend(&s), b, LASTS_MS); }
FAULT(pause_waits_for_its_own) { signal(SIGALRM, (void (*)(int))now_ms); struct timeval tv = { 0, LASTS_MS * 1000 }; struct itimerval t = { { 0, 0 }, tv }; long b = now_ms(); setitimer(ITIMER_REAL, &t, 0); told("pause", pause(), b, LASTS_MS); }
FAULT(signalfd_sees_nothing) { sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); struct pollfd p = { signalfd(-1, &all, 0), POLLIN, 0 }; long b = now_ms(); told("signalfd", poll(&p, 1, LASTS_MS), b, LASTS_MS); }
FAULT(semop_waits) { int id = semget(IPC_PRIVATE, 1, 0600); struct sembuf op = { 0, -1, 0 }; long b = now_ms(); told("semtimedop", semtimedop(id, &op, 1, &whole), b, LASTS_MS); semctl(id, 0, IPC_RMID); }
static void *send_message(void *id) { sleep_until_ms(LASTS_MS); struct { long type; char text[1]; } m = { 1, "x" }; msgsnd((int)(long)id, &m, 1, 0); return 0; }
FAULT(msgrcv_waits) { int id = msgget(IPC_PRIVATE, 0600); pthread_t t; pthread_create(&t, 0, send_message, (void *)(long)id); struct { long type; char text[8]; } m; long b = now_ms(); told("msgrcv", msgrcv(id, &m, 8, 0, 0), b, LASTS_MS / 2); pthread_join(t, 0); msgctl(id, IPC_RMID, 0); }
FAULT(recv_waits) { int s[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, s); struct timeval tv = { 0, LASTS_MS * 1000 }; setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv); char c; long b = now_ms(); told("recv", recv(s[0], &c, 1, 0), b, LASTS_MS); }
FAULT(inotify_waits) { struct pollfd p = { inotify_init(), POLLIN, 0 }; long b = now_ms(); told("inotify", poll(&p, 1, LASTS_MS), b, LASTS_MS); }
FAULT(timerfd_waits) { int fd = timerfd_create(CLOCK_MONOTONIC, 0); struct itimerspec t = { { 0, 0 }, whole }; timerfd_settime(fd, 0, &t, 0); unsigned long n; long b = now_ms(); told("timerfd", read(fd, &n, 8), b, LASTS_MS); }
static void *ring(void *fd) { sleep_until_ms(LASTS_MS); unsigned long one = 1; if (write((int)(long)fd, &one, 8) != 8) abort(); return 0; }
FAULT(eventfd_waits) { int fd = eventfd(0, 0); pthread_t t; pthread_create(&t, 0, ring, (void *)(long)fd); unsigned long n; long b = now_ms(); told("eventfd", read(fd, &n, 8), b, LASTS_MS / 2); pthread_join(t, 0); }
FAULT(pipe_waits) { int p[2]; if (pipe(p)) abort(); pthread_t t; pthread_create(&t, 0, ring, (void *)(long)p[1]); unsigned long n; long b = now_ms(); told("read", read(p[0], &n, 8), b, LASTS_MS / 2); pthread_join(t, 0); }
FAULT(waitpid_waits) { pid_t pid = fork(); if (!pid) { sleep_until_ms(LASTS_MS); _exit(7); } int s; long b = now_ms(); told("waitpid", waitpid(pid, &s, 0) == pid ? WEXITSTATUS(s) : -1, b, LASTS_MS / 2); }
static void *late(void *unused) { sleep_until_ms(LASTS_MS); return unused; }
FAULT(join_waits) { pthread_t t; pthread_create(&t, 0, late, 0); long b = now_ms(); told("join", pthread_join(t, 0), b, LASTS_MS / 2); }
FAULT(barrier_waits) { pthread_barrier_t bar; pthread_barrier_init(&bar, 0, 1); sleep_until_ms(LASTS_MS); told("barrier", pthread_barrier_wait(&bar), now_ms(), 0); }
FAULT(mq_timedreceive_waits) { struct mq_attr a = { 0, 1, 8, 0 }; char name[32]; snprintf(name, 32, "/fault_%d", getpid()); mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &a); struct timespec t = in_ms(CLOCK_REALTIME, LASTS_MS); char c[8]; long b = now_ms(); told("mq", mq_timedreceive(q, c, 8, 0, &t), b, q < 0 ? 0 : LASTS_MS); mq_unlink(name); }
