// Stacks without room for a signal's frame, and stacks that are not the thread's own. Each computes while it is looked at.
#include "common.h"
#include <ucontext.h>

static char *guarded(size_t size) { // A page that faults, then `size` bytes that must stay what they were.
  char *at = mmap(0, size + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(at, 4096, PROT_NONE);
  return at + 4096;
}
static void on_alternate(int signal) { (void)signal; spin_until_ms(LASTS_MS); }
static void alternate(size_t size) {
  char *stack = guarded(size + 8192);
  memset(stack, 0x5a, 4096); // Below the alternate stack: nobody writes here.
  stack_t s = { .ss_sp = stack + 4096, .ss_size = size };
  struct sigaction a = { .sa_handler = on_alternate, .sa_flags = SA_ONSTACK };
  sigaction(SIGUSR1, &a, 0);
  printf("sigaltstack: %d\n", sigaltstack(&s, 0));
  raise(SIGUSR1);
  long bad = 0;
  for (int i = 0; i < 4096; i++) bad += stack[i] != 0x5a;
  printf("bytes overwritten below it: %ld\n", bad);
}
FAULT(alternate_stack_of_4096_bytes) { alternate(4096); }
FAULT(alternate_stack_of_5120_bytes) { alternate(5120); }
FAULT(alternate_stack_of_6144_bytes) { alternate(6144); }
FAULT(alternate_stack_of_8192_bytes) { alternate(8192); }
// The host computes on its own stack, and its alternate stack is too small for a frame.
static void beside(size_t size) {
  char *stack = guarded(size + 8192);
  stack_t s = { .ss_sp = stack + 4096, .ss_size = size };
  printf("sigaltstack: %d\n", sigaltstack(&s, 0));
  spin_until_ms(LASTS_MS);
}
FAULT(alternate_stack_of_2048_bytes_not_in_use) { beside(2048); }
FAULT(alternate_stack_of_3584_bytes_not_in_use) { beside(3584); }

static ucontext_t back, fiber;
static void in_fiber(void) { spin_until_ms(LASTS_MS); }
static void fibers(size_t size) {
  char *stack = guarded(size);
  getcontext(&fiber);
  fiber.uc_stack.ss_sp = stack;
  fiber.uc_stack.ss_size = size;
  fiber.uc_link = &back;
  makecontext(&fiber, in_fiber, 0);
  swapcontext(&back, &fiber);
  puts("back");
}
FAULT(fiber_of_4096_bytes) { fibers(4096); }
FAULT(fiber_of_8192_bytes) { fibers(8192); }
FAULT(fiber_of_65536_bytes) { fibers(65536); }

static void *deep(void *left) { // Leaves so many bytes of its stack.
  pthread_attr_t a; void *low; size_t size;
  pthread_getattr_np(pthread_self(), &a);
  pthread_attr_getstack(&a, &low, &size);
  size_t take = (char *)__builtin_frame_address(0) - (char *)low - (size_t)left;
  volatile char *p = __builtin_alloca(take);
  p[0] = 1;
  spin_until_ms(LASTS_MS);
  return 0;
}
static void nearly_full(size_t size, size_t left) {
  pthread_attr_t a; pthread_t t;
  pthread_attr_init(&a);
  pthread_attr_setstacksize(&a, size);
  printf("create: %d\n", pthread_create(&t, &a, deep, (void *)left));
  pthread_join(t, 0);
}
FAULT(stack_of_16_KB_with_1_KB_left) { nearly_full(16384, 1024); }
FAULT(stack_of_16_KB_with_2_KB_left) { nearly_full(16384, 2048); }
FAULT(stack_of_32_KB_with_1_KB_left) { nearly_full(32768, 1024); }
FAULT(stack_of_1_MB_with_2_KB_left) { nearly_full(1 << 20, 2048); }
FAULT(stack_pointer_elsewhere) { // A stack pointer that points nowhere, for as long as nothing needs it.
#ifdef __x86_64__
  unsigned long end = now_ms() + LASTS_MS, n = 0;
  while ((unsigned long)now_ms() < end) {
    __asm__ volatile("movq %%rsp, %%r12\n movq $64, %%rsp\n movl $200000, %%eax\n1: decl %%eax\n jnz 1b\n movq %%r12, %%rsp" : : : "rax", "r12", "memory", "cc");
    n++;
  }
  puts(n ? "lived" : "");
#else
  puts("lived");
#endif
}
