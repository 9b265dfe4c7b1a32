/* A wall clock that is a year behind and a year ahead in turn. The other clocks are as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static _Atomic unsigned looks;
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && result == 0) {
        now->tv_sec += (looks++ % 2 ? 1 : -1) * 365L * 24 * 3600;
    }
    return result;
}
