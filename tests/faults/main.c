// Programs that do what a guest could break. Each prints what it sees of itself and ends; a test compares that with a run without the guest.
#include "common.h"

fault *faults;
static long began;

long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sleep_until_ms(long ms) {
  for (;;) {
    long left = began + ms - now_ms();
    if (left <= 0) return;
    struct timespec t = { left / 1000, left % 1000 * 1000000 };
    nanosleep(&t, 0);
  }
}

void spin_until_ms(long ms) {
  volatile unsigned long n = 0;
  while (now_ms() < began + ms) for (int i = 0; i < 1000; i++) n++;
}

void *spinner(void *unused) { spin_until_ms(LASTS_MS); return unused; }

void told(const char *what, long result, long since_ms, long at_least_ms) {
  int e = errno;
  printf("%s: %ld%s%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(e) : "", now_ms() - since_ms + 2 >= at_least_ms ? "" : ", too early");
}

int main(int argc, char **argv) {
  began = now_ms();
  static char buffer[4096]; // Filters may forbid what malloc needs.
  setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
  for (fault *f = faults; f; f = f->next) {
    if (argc < 2) printf("%s %s\n", strrchr(f->file, '/') ? strrchr(f->file, '/') + 1 : f->file, f->name);
    else if (!strcmp(argv[1], f->name)) { f->run(); return 0; }
  }
  return argc < 2 ? 0 : 2;
}
