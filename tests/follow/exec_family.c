/* Starts a program by one function of the exec family, with a new environment.
 *
 *   exec_family HOW ALLOCATOR ENTRIES WORD (seven words)
 *
 * HOW: a function's name; with "vfork:", "thread:" or "signal:" in front, it is called in a child of vfork, on
 * the smallest stack that a thread may have, or in a signal handler. The environment has LD_PRELOAD=ALLOCATOR, PATH, and so
 * many more entries. Prints errno if the call comes back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *how;
static char **words, **env;

static void call(void) {
  const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
  char *path = words[0];
  if (!strcmp(how, "execve")) execve(path, words, env);
  else if (!strcmp(how, "execvpe")) execvpe(name, words, env);
  else if (!strcmp(how, "execle")) execle(path, words[0], words[1], words[2], words[3], words[4], words[5], words[6], (char *)0, env);
  else if (!strcmp(how, "fexecve")) fexecve(open(path, O_RDONLY | O_CLOEXEC), words, env);
  else if (!strcmp(how, "execveat")) execveat(AT_FDCWD, path, words, env, 0);
  else if (!strcmp(how, "posix_spawn") || !strcmp(how, "posix_spawnp")) {
    pid_t pid;
    int status = 0, error = how[11] ? posix_spawnp(&pid, name, 0, 0, words, env) : posix_spawn(&pid, path, 0, 0, words, env);
    if (error) {
      errno = error;
      return;
    }
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
  } else {
    environ = env;
    if (!strcmp(how, "execv")) execv(path, words);
    else if (!strcmp(how, "execvp")) execvp(name, words);
    else if (!strcmp(how, "execl")) execl(path, words[0], words[1], words[2], words[3], words[4], words[5], words[6], (char *)0);
    else if (!strcmp(how, "execlp")) execlp(name, words[0], words[1], words[2], words[3], words[4], words[5], words[6], (char *)0);
    else errno = EINVAL;
  }
}

static void say(void) {
  char text[64];
  int n = snprintf(text, sizeof text, "errno %d\n", errno);
  if (write(1, text, n) != n) _exit(9);
  _exit(8);
}

static void *on_a_thread(void *_) {
  call();
  say();
  return _;
}

static void handler(int _) {
  call();
  say();
}

int main(int argc, char **argv) {
  int more = atoi(argv[3]);
  char *place = strchr(argv[1], ':');
  how = place ? place + 1 : argv[1];
  words = argv + 4;
  env = calloc(more + 3, sizeof *env);
  env[0] = malloc(strlen(argv[2]) + 12);
  sprintf(env[0], "LD_PRELOAD=%s", argv[2]);
  env[1] = malloc(strlen(getenv("PATH")) + 6);
  sprintf(env[1], "PATH=%s", getenv("PATH"));
  for (int i = 0; i < more; i++) {
    env[i + 2] = malloc(24);
    sprintf(env[i + 2], "E%d=%d", i, i * 7);
  }
  if (!place) call();
  else if (!strncmp(argv[1], "vfork:", 6)) {
    int status;
    pid_t pid = vfork();
    if (!pid) {
      call();
      _exit(errno);
    }
    waitpid(pid, &status, 0);
    /* The parent goes on in the memory that its child had. */
    free(calloc(1000, 10));
    _exit(WEXITSTATUS(status));
  } else if (!strncmp(argv[1], "thread:", 7)) {
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
    pthread_create(&thread, &attr, on_a_thread, 0);
    pthread_join(thread, 0);
  } else {
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
  }
  say();
}
