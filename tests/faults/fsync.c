// A slow disk, for one process: preloaded, each sync takes as many milliseconds more as are asked
// for. Who syncs is written down, if there is where.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void before(void) {
    const char *more_ms = getenv("TRIOQ_TEST_FSYNC_MS"), *log = getenv("TRIOQ_TEST_FSYNC_LOG");
    if (log) {
        int file = open(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
        dprintf(file, "%d\n", getpid());
        close(file);
    }
    if (more_ms) usleep(1000 * atoi(more_ms));
}

int fsync(int file) {
    before();
    return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    before();
    return syscall(SYS_fdatasync, file);
}
