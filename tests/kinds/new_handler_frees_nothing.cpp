// Truth: the program's new_handler returns and has freed nothing, and the limit on the address space is reached: operator new asks
// it for ever. The program's mistake.
#include <cstdio>
#include <new>
#include <sys/resource.h>

static void frees_nothing() {}

int main() {
    std::set_new_handler(frees_nothing);
    rlimit limit = {3ul << 30, 3ul << 30};
    setrlimit(RLIMIT_AS, &limit);
    for (int i = 0; i < 100; i++) {
        char *volatile block = new char[200u << 20];
        block[0] = 1;
    }
    std::puts("done");
    return 0;
}
