// A slow disk, for one process: preloaded, each fsync takes as many milliseconds more as are asked for.

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static useconds_t more_us;

__attribute__((constructor)) static void read_delay(void) {
    more_us = 1000 * atoi(getenv("TRIOQ_TEST_FSYNC_MS"));
}

int fsync(int file) {
    usleep(more_us);
    return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    usleep(more_us);
    return syscall(SYS_fdatasync, file);
}
