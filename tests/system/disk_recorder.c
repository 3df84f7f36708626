/* SPDX-License-Identifier: MIT */

/*
 * What one process does to the files whose path begins with $RECORD_OF, by LD_PRELOAD, into
 * $RECORD: every write, truncation and sync, so that a test can leave out what a power cut would
 * have taken.
 *
 * A record is: kind, length, offset, mark, time (CLOCK_MONOTONIC, ns), the file's name, and the
 * bytes. A sync's mark is the number of records there were when it began: those are on the medium
 * when it ends.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE, TRUNCATE, SYNC, UNLINK };
enum { FDS = 1024, NAME = 16 };

struct record {
    uint32_t kind;
    uint32_t length;
    int64_t offset;
    uint64_t mark;
    int64_t time_ns;
    char name[NAME]; /* what follows $RECORD_OF: "", "-wal", "-journal" */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char names[FDS][NAME];
static int is_tracked[FDS];
static uint64_t records;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *tail_of(const char *path) {
    const char *of = getenv("RECORD_OF");
    size_t length = of ? strlen(of) : 0;
    const char *tail = path + length;

    if (!of || strncmp(path, of, length) != 0)
        return NULL;
    return strcmp(tail, "") == 0 || strcmp(tail, "-wal") == 0 || strcmp(tail, "-journal") == 0
               ? tail
               : NULL;
}

static void append(enum kind kind, const char *name, const void *bytes, size_t length,
                   int64_t offset, uint64_t mark) {
    static int fd = -1;
    struct record record = { (uint32_t)kind, (uint32_t)length, offset, mark, 0, "" };
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    record.time_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
    (void)strncpy(record.name, name, NAME - 1);
    if (fd < 0)
        fd = NEXT(open)(getenv("RECORD"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (NEXT(write)(fd, &record, sizeof(record)) != sizeof(record) ||
        (bytes && NEXT(write)(fd, bytes, length) != (ssize_t)length))
        abort();
    records++;
}

static int tracked(int fd) {
    return fd >= 0 && fd < FDS && is_tracked[fd];
}

static int track(int fd, const char *path) {
    const char *tail = tail_of(path);

    if (fd < 0 || fd >= FDS)
        return fd;
    (void)pthread_mutex_lock(&lock);
    is_tracked[fd] = tail != NULL;
    if (tail)
        (void)strncpy(names[fd], tail, NAME - 1);
    (void)pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & O_CREAT ? (mode_t)va_arg(arguments, int) : 0;
}

#define OPEN(name)                                         \
    int name(const char *path, int flags, ...) {           \
        va_list arguments;                                 \
        mode_t mode;                                       \
                                                           \
        va_start(arguments, flags);                        \
        mode = mode_of(flags, arguments);                  \
        va_end(arguments);                                 \
        return track(NEXT(name)(path, flags, mode), path); \
    }
OPEN(open)
OPEN(open64)

static void note_write(int fd, const void *bytes, ssize_t written, int64_t offset) {
    if (written <= 0 || !tracked(fd))
        return;
    (void)pthread_mutex_lock(&lock);
    append(WRITE, names[fd], bytes, (size_t)written, offset, 0);
    (void)pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    ssize_t written = NEXT(pwrite)(fd, bytes, length, offset);

    note_write(fd, bytes, written, offset);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    ssize_t written = NEXT(pwrite64)(fd, bytes, length, offset);

    note_write(fd, bytes, written, offset);
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    int64_t offset = tracked(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t written = NEXT(write)(fd, bytes, length);

    note_write(fd, bytes, written, offset);
    return written;
}

static int note_truncation(int fd, int64_t length, int result) {
    if (result == 0 && tracked(fd)) {
        (void)pthread_mutex_lock(&lock);
        append(TRUNCATE, names[fd], NULL, 0, length, 0);
        (void)pthread_mutex_unlock(&lock);
    }
    return result;
}

int ftruncate(int fd, off_t length) {
    return note_truncation(fd, length, NEXT(ftruncate)(fd, length));
}

int ftruncate64(int fd, off64_t length) {
    return note_truncation(fd, length, NEXT(ftruncate64)(fd, length));
}

static int sync_with(int fd, int (*next)(int)) {
    uint64_t mark = records;
    int result = next(fd);

    if (result == 0 && tracked(fd)) {
        (void)pthread_mutex_lock(&lock);
        append(SYNC, names[fd], NULL, 0, 0, mark);
        (void)pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int fd) {
    return sync_with(fd, NEXT(fsync));
}

int fdatasync(int fd) {
    return sync_with(fd, NEXT(fdatasync));
}

int unlink(const char *path) {
    int result = NEXT(unlink)(path);
    const char *tail = tail_of(path);

    if (result == 0 && tail) {
        (void)pthread_mutex_lock(&lock);
        append(UNLINK, tail, NULL, 0, 0, 0);
        (void)pthread_mutex_unlock(&lock);
    }
    return result;
}

int close(int fd) {
    if (fd >= 0 && fd < FDS)
        is_tracked[fd] = 0;
    return NEXT(close)(fd);
}

/* Another boot, for what comes after the cut: sd_id128_get_boot of libsystemd, in the words of
 * $RECORD_BOOT. */
struct id128 {
    uint8_t bytes[16];
};

int sd_id128_get_boot(struct id128 *ret) {
    const char *boot = getenv("RECORD_BOOT");

    memset(ret->bytes, boot ? boot[0] : 'a', sizeof(ret->bytes));
    return 0;
}
