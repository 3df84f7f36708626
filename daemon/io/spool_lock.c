/* SPDX-License-Identifier: MIT */
#include "io/spool_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { TEXT_SIZE = 256 };

struct spool_lock {
    int fd;
    char *path; /* of the database */
    struct spool_note recalled;
    bool has_note;
};

static int open_lock(const char *path, int flags) {
    char name[4096];
    int n = snprintf(name, sizeof(name), "%s.lock", path);
    int fd;

    if (n < 0 || (size_t)n >= sizeof(name))
        return -ENAMETOOLONG;
    fd = open(name, flags | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : fd;
}

static bool parse(const char *text, int *ret_pid, struct spool_note *note) {
    int closed;
    int n = sscanf(text,
                   "pid %d last %" SCNu64 " closed %d device %" SCNu64 " inode %" SCNu64
                   " size %" SCNd64 " modified %" SCNd64,
                   ret_pid, &note->last_number, &closed, &note->device, &note->inode,
                   &note->size_bytes, &note->modified_ns);

    note->is_closed = n == 7 && closed != 0;
    return n == 7;
}

static bool read_note(int fd, int *ret_pid, struct spool_note *note) {
    char text[TEXT_SIZE];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return false;
    text[n] = '\0';
    return parse(text, ret_pid, note);
}

int spool_lock_new(const char *path, struct spool_lock **ret) {
    CLEANUP(spool_lock_freep) struct spool_lock *lock = calloc(1, sizeof(*lock));
    int pid;

    if (!lock)
        return -ENOMEM;
    lock->path = strdup(path);
    lock->fd = open_lock(path, O_RDWR | O_CREAT);
    if (lock->fd < 0)
        return lock->fd;
    if (!lock->path)
        return -ENOMEM;
    if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    lock->has_note = read_note(lock->fd, &pid, &lock->recalled);
    *ret = lock;
    lock = NULL;
    return 0;
}

struct spool_lock *spool_lock_free(struct spool_lock *lock) {
    if (!lock)
        return NULL;
    close_fdp(&lock->fd);
    free(lock->path);
    free(lock);
    return NULL;
}

int spool_lock_holder(const char *path) {
    CLEANUP(close_fdp) int fd = open_lock(path, O_RDONLY);
    struct spool_note note;
    int pid = 0;

    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return 0;
    return read_note(fd, &pid, &note) ? pid : 0;
}

static void look(const char *path, struct spool_note *note) {
    struct stat status;

    if (stat(path, &status) < 0)
        return;
    note->device = status.st_dev;
    note->inode = status.st_ino;
    note->size_bytes = status.st_size;
    note->modified_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

bool spool_lock_recall(const struct spool_lock *lock, struct spool_note *ret) {
    if (lock->has_note)
        *ret = lock->recalled;
    return lock->has_note;
}

bool spool_lock_recognises(const struct spool_lock *lock, const struct spool_note *note) {
    struct spool_note now = { 0 };

    look(lock->path, &now);
    if (now.device != note->device || now.inode != note->inode)
        return false;
    return !note->is_closed ||
           (now.size_bytes == note->size_bytes && now.modified_ns == note->modified_ns);
}

/* Only a help: a disk too full for it must not keep us from working. */
void spool_lock_note(struct spool_lock *lock, uint64_t last_number, bool is_closed) {
    struct spool_note note = { .last_number = last_number, .is_closed = is_closed };
    char text[TEXT_SIZE];
    int n;

    look(lock->path, &note);
    n = snprintf(text, sizeof(text),
                 "pid %d last %" PRIu64 " closed %d device %" PRIu64 " inode %" PRIu64
                 " size %" PRId64 " modified %" PRId64 "\n",
                 (int)getpid(), note.last_number, note.is_closed, note.device, note.inode,
                 note.size_bytes, note.modified_ns);
    if (pwrite(lock->fd, text, (size_t)n, 0) == n)
        (void)!ftruncate(lock->fd, n);
}
