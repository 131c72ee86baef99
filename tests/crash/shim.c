/* Stands between a process and the kernel (LD_PRELOAD): notes every change below one folder and every sync in a log that
 * outlives the process, and kills the process at the n-th change, sync, send or receive.
 *
 * What the log is for: `disk.py` works out from it what a disk would hold after a power cut, where only synced bytes and
 * names are sure. Nothing is counted or noted before `crash_arm`. A way of writing that is not known here aborts the
 * process: the log must never be silently incomplete. Entries are noted before the change is made, syncs after.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536
#define PATH_BYTES 512
enum op { NEW = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, RENAME, UNLINK, LINK, MKDIR, RMDIR };
enum kind { DISK, SYNCS, NAMES, SENDS, RECEIVES, KINDS };
enum moment { BEFORE, DURING, AFTER };
enum sort { OTHER, WATCHED_FILE, WATCHED_FOLDER, NETWORK };

struct header { /* beginning of the log; `tests/crash/shim.py` reads it */
  uint64_t used, points, killed_kind, counts[KINDS], busy, stop;
};
struct entry { uint32_t size, op; uint64_t ino, offset; uint32_t first, second; };
struct fd { uint8_t sort; uint64_t ino; char path[PATH_BYTES]; };

static int armed;
static char root[PATH_BYTES], muted[PATH_BYTES];
static size_t root_length;
static struct header *log_head;
static size_t log_bytes;
static uint64_t kill_point;
static int kill_moment;
static struct fd *fds;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...) \
  static result (*real_##name)(__VA_ARGS__); \
  static void load_##name(void) { if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name); }
#define LOAD(name) load_##name()

static void give_up(const char *why, const char *about) {
  dprintf(2, "crash shim: %s: %s\n", why, about ? about : "");
  abort();
}

static void die(int kind) {
  log_head->killed_kind = kind + 1;
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* One change at a time. busy and stop let the harness kill a process from outside between two changes, never within one. */
static void enter(void) {
  pthread_mutex_lock(&lock);
  log_head->busy = 1;
  __sync_synchronize();
  if (log_head->stop) syscall(SYS_kill, getpid(), SIGKILL);
}
static void leave(void) {
  log_head->busy = 0;
  pthread_mutex_unlock(&lock);
}

/* Whether the point reached is the one to die at. Called with the lock held. */
static int point(int kind) {
  log_head->counts[kind]++;
  int here = ++log_head->points == kill_point;
  if (here && kill_moment == BEFORE) die(kind);
  return here;
}

static void note(int op, uint64_t ino, uint64_t offset, const void *first, size_t first_bytes, const void *second,
                 size_t second_bytes) {
  struct entry entry = {0, op, ino, offset, first_bytes, second_bytes};
  entry.size = (sizeof entry + first_bytes + second_bytes + 7) & ~7u;
  if (sizeof *log_head + log_head->used + entry.size > log_bytes) give_up("the log is full", NULL);
  char *place = (char *)(log_head + 1) + log_head->used;
  memcpy(place + sizeof entry, first, first_bytes);
  memcpy(place + sizeof entry + first_bytes, second, second_bytes);
  memcpy(place, &entry, sizeof entry);
  log_head->used += entry.size;
}

static int watched(const char *path) {
  return armed && path && strncmp(path, root, root_length) == 0 &&
         (path[root_length] == '/' || !path[root_length]);
}
static int passing(const char *path) { /* SQLite's index of the log is rebuilt after a crash and never synced */
  size_t length = strlen(path);
  return length > 4 && strcmp(path + length - 4, "-shm") == 0;
}
static struct fd *known(int fd) {
  return armed && fd >= 0 && fd < FDS && fds[fd].sort != OTHER ? &fds[fd] : NULL;
}
static int is(int fd, int sort) {
  struct fd *found = known(fd);
  return found && found->sort == sort;
}

/* root: a folder. log: an existing file of its final size. mute: syncs of paths that contain it are not believed. */
void crash_arm(const char *folder, const char *log, uint64_t at, int moment, const char *mute) {
  struct stat found;
  int fd = open(log, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &found)) give_up("no log", log);
  log_bytes = found.st_size;
  log_head = mmap(NULL, log_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  fds = calloc(FDS, sizeof *fds);
  if (log_head == MAP_FAILED || !fds) give_up("no memory", log);
  close(fd);
  log_head->points = log_head->killed_kind = log_head->busy = log_head->stop = 0;
  memset(log_head->counts, 0, sizeof log_head->counts);
  snprintf(root, sizeof root, "%s", folder);
  snprintf(muted, sizeof muted, "%s", mute);
  root_length = strlen(root);
  kill_point = at;
  kill_moment = moment;
  armed = 1;
}

/* ---------------------------------------------------------------------------------------- opening and closing */

typedef int (*open_call)(const char *, int, ...);
REAL(int, open, const char *, int, ...)
REAL(int, open64, const char *, int, ...)
REAL(int, openat64, int, const char *, int, ...)
REAL(int, openat, int, const char *, int, ...)
REAL(int, close, int)

static void remember(int fd, const char *path, const struct stat *found) {
  if (fd >= FDS || strlen(path) >= PATH_BYTES) give_up("beyond the table", path);
  fds[fd].sort = S_ISDIR(found->st_mode) ? WATCHED_FOLDER : WATCHED_FILE;
  fds[fd].ino = found->st_ino;
  strcpy(fds[fd].path, path);
}

static int open_watched(open_call real, const char *path, int flags, mode_t mode) {
  struct stat found;
  enter();
  int there = stat(path, &found) == 0;
  int changes = (!there && (flags & O_CREAT)) || (there && (flags & O_TRUNC) && found.st_size);
  int here = changes ? point(NAMES) : 0;
  int fd = real(path, flags, mode);
  int error = errno;
  if (fd >= 0) {
    if (fstat(fd, &found)) give_up("fstat", path);
    if (!there && (flags & O_CREAT)) note(NEW, found.st_ino, 0, path, strlen(path), "", 0);
    else if (changes) note(TRUNCATE, found.st_ino, 0, "", 0, "", 0);
    remember(fd, path, &found);
  }
  if (here) die(NAMES);
  leave();
  errno = error;
  return fd;
}

#define OPENING(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; va_end(rest); \
    LOAD(name); \
    return watched(path) && !passing(path) ? open_watched(real_##name, path, flags, mode) : real_##name(path, flags, mode); \
  }
OPENING(open)
OPENING(open64)
#define OPENING_AT(name) \
  int name(int folder, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; va_end(rest); \
    LOAD(name); \
    if (is(folder, WATCHED_FOLDER) && path[0] != '/' && (flags & (O_CREAT | O_TRUNC))) give_up(#name, path); \
    if (watched(path) && !passing(path)) { LOAD(open64); return open_watched(real_open64, path, flags, mode); } \
    return real_##name(folder, path, flags, mode); \
  }
OPENING_AT(openat)
OPENING_AT(openat64)

int close(int fd) {
  LOAD(close);
  if (armed && fd >= 0 && fd < FDS) fds[fd].sort = OTHER;
  return real_close(fd);
}

/* --------------------------------------------------------------------------------------------------- contents */

REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)

static ssize_t put(int fd, const void *data, size_t bytes, off64_t offset) {
  struct stat found;
  enter();
  LOAD(pwrite64);
  LOAD(write);
  off64_t place = offset;
  if (place < 0) {
    if (fstat(fd, &found)) give_up("fstat", fds[fd].path);
    place = (fcntl(fd, F_GETFL) & O_APPEND) ? found.st_size : lseek64(fd, 0, SEEK_CUR);
  }
  int here = point(DISK);
  if (here && kill_moment == DURING) bytes /= 2;
  note(WRITE, fds[fd].ino, place, data, bytes, "", 0);
  ssize_t done = offset < 0 ? real_write(fd, data, bytes) : real_pwrite64(fd, data, bytes, offset);
  if (done != (ssize_t)bytes) give_up("a short write", fds[fd].path);
  if (here) die(DISK);
  leave();
  return done;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
  LOAD(pwrite64);
  return is(fd, WATCHED_FILE) ? put(fd, data, bytes, offset) : real_pwrite64(fd, data, bytes, offset);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return pwrite64(fd, data, bytes, offset); }

REAL(int, ftruncate64, int, off64_t)
int ftruncate64(int fd, off64_t size) {
  LOAD(ftruncate64);
  struct stat found;
  if (!is(fd, WATCHED_FILE) || (fstat(fd, &found) == 0 && found.st_size == size)) return real_ftruncate64(fd, size);
  enter();
  int here = point(DISK);
  note(TRUNCATE, fds[fd].ino, size, "", 0, "", 0);
  int done = real_ftruncate64(fd, size);
  if (here) die(DISK);
  leave();
  return done;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

REAL(int, posix_fallocate64, int, off64_t, off64_t)
int posix_fallocate64(int fd, off64_t offset, off64_t bytes) {
  if (is(fd, WATCHED_FILE)) return ENOSPC; /* room set apart is of no matter here */
  LOAD(posix_fallocate64);
  return real_posix_fallocate64(fd, offset, bytes);
}
int posix_fallocate(int fd, off_t offset, off_t bytes) { return posix_fallocate64(fd, offset, bytes); }

REAL(void *, mmap64, void *, size_t, int, int, int, off64_t)
void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off64_t offset) {
  LOAD(mmap64);
  if ((protection & PROT_WRITE) && (flags & MAP_SHARED) && is(fd, WATCHED_FILE)) give_up("mmap", fds[fd].path);
  return real_mmap64(address, bytes, protection, flags, fd, offset);
}

/* Ways of writing that nobody uses here; should somebody begin to, this file has to learn them. */
REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
  LOAD(sendfile64);
  if (known(to)) give_up("sendfile", fds[to].path);
  return real_sendfile64(to, from, offset, bytes);
}
REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned)
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *place, size_t bytes, unsigned flags) {
  LOAD(copy_file_range);
  if (known(to)) give_up("copy_file_range", fds[to].path);
  return real_copy_file_range(from, at, to, place, bytes, flags);
}

/* ------------------------------------------------------------------------------------------------------ syncs */

static int synced(int fd) {
  enter();
  int here = point(SYNCS);
  if (here && kill_moment == DURING) die(SYNCS); /* nobody knows what of it came to be */
  if (!muted[0] || !strstr(fds[fd].path, muted)) {
    if (fds[fd].sort == WATCHED_FOLDER) note(SYNC_FOLDER, 0, 0, fds[fd].path, strlen(fds[fd].path), "", 0);
    else note(SYNC, fds[fd].ino, 0, "", 0, "", 0);
  }
  if (here) die(SYNCS);
  leave();
  return 0;
}
REAL(int, fsync, int)
int fsync(int fd) {
  LOAD(fsync);
  return known(fd) && !is(fd, NETWORK) ? synced(fd) : real_fsync(fd);
}
REAL(int, fdatasync, int)
int fdatasync(int fd) {
  LOAD(fdatasync);
  return known(fd) && !is(fd, NETWORK) ? synced(fd) : real_fdatasync(fd);
}

/* ------------------------------------------------------------------------------------------------------ names */

#define NAMING(name, op, signature, call, first_path, second_path, ino_of) \
  int name signature { \
    LOAD(name); \
    if (!watched(first_path) || passing(first_path)) return real_##name call; \
    struct stat found; \
    enter(); \
    if (lstat(first_path, &found) == 0 || op == MKDIR) { \
      int here = point(NAMES); \
      const char *second = second_path; \
      int done = real_##name call; \
      int error = errno; \
      if (done == 0) note(op, ino_of, 0, first_path, strlen(first_path), second, strlen(second)); \
      if (here) die(NAMES); \
      leave(); \
      errno = error; \
      return done; \
    } \
    leave(); \
    return real_##name call; \
  }
REAL(int, rename, const char *, const char *)
REAL(int, unlink, const char *)
REAL(int, link, const char *, const char *)
REAL(int, mkdir, const char *, mode_t)
REAL(int, rmdir, const char *)
NAMING(rename, RENAME, (const char *from, const char *to), (from, to), from, to, found.st_ino)
NAMING(unlink, UNLINK, (const char *path), (path), path, "", found.st_ino)
NAMING(link, LINK, (const char *from, const char *to), (from, to), from, to, found.st_ino)
NAMING(mkdir, MKDIR, (const char *path, mode_t mode), (path, mode), path, "", 0)
NAMING(rmdir, RMDIR, (const char *path), (path), path, "", 0)
REAL(int, renameat, int, const char *, int, const char *)
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  LOAD(renameat);
  if (watched(from) || watched(to)) give_up("renameat", from);
  return real_renameat(from_folder, from, to_folder, to);
}
REAL(int, linkat, int, const char *, int, const char *, int)
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  LOAD(linkat);
  if (watched(from) || watched(to)) { LOAD(link); return link(from, to); }
  return real_linkat(from_folder, from, to_folder, to, flags);
}

/* ---------------------------------------------------------------------------------------------------- network */

REAL(int, socket, int, int, int)
int socket(int domain, int type, int protocol) {
  LOAD(socket);
  int fd = real_socket(domain, type, protocol);
  if (armed && fd >= 0 && fd < FDS && (domain == AF_INET || domain == AF_INET6)) fds[fd].sort = NETWORK;
  return fd;
}
REAL(int, accept, int, struct sockaddr *, socklen_t *)
int accept(int fd, struct sockaddr *address, socklen_t *bytes) {
  LOAD(accept);
  int accepted = real_accept(fd, address, bytes);
  if (accepted >= 0 && accepted < FDS && is(fd, NETWORK)) fds[accepted].sort = NETWORK;
  return accepted;
}
REAL(int, accept4, int, struct sockaddr *, socklen_t *, int)
int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags) {
  LOAD(accept4);
  int accepted = real_accept4(fd, address, bytes, flags);
  if (accepted >= 0 && accepted < FDS && is(fd, NETWORK)) fds[accepted].sort = NETWORK;
  return accepted;
}

REAL(ssize_t, send, int, const void *, size_t, int)
ssize_t send(int fd, const void *data, size_t bytes, int flags) {
  LOAD(send);
  if (!is(fd, NETWORK)) return real_send(fd, data, bytes, flags);
  enter();
  int here = point(SENDS);
  ssize_t done = real_send(fd, data, here && kill_moment == DURING ? bytes / 2 : bytes, flags);
  int error = errno;
  if (here) die(SENDS);
  leave();
  errno = error;
  return done;
}
REAL(ssize_t, sendmsg, int, const struct msghdr *, int)
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  LOAD(sendmsg);
  if (!is(fd, NETWORK)) return real_sendmsg(fd, message, flags);
  enter();
  int here = point(SENDS);
  ssize_t done = real_sendmsg(fd, message, flags);
  int error = errno;
  if (here) die(SENDS);
  leave();
  errno = error;
  return done;
}
REAL(ssize_t, recv, int, void *, size_t, int)
ssize_t recv(int fd, void *data, size_t bytes, int flags) {
  LOAD(recv);
  if (!is(fd, NETWORK)) return real_recv(fd, data, bytes, flags);
  enter();
  int here = point(RECEIVES);
  leave(); /* it may wait */
  ssize_t done = real_recv(fd, data, bytes, flags);
  int error = errno;
  if (here) die(RECEIVES);
  errno = error;
  return done;
}

/* uvloop (libuv) reads and writes its sockets as if they were files. */
REAL(ssize_t, read, int, void *, size_t)
ssize_t read(int fd, void *data, size_t bytes) {
  LOAD(read);
  return is(fd, NETWORK) ? recv(fd, data, bytes, 0) : real_read(fd, data, bytes);
}
REAL(ssize_t, writev, int, const struct iovec *, int)
ssize_t writev(int fd, const struct iovec *pieces, int count) {
  LOAD(writev);
  if (known(fd) && !is(fd, NETWORK)) give_up("writev", fds[fd].path);
  if (!is(fd, NETWORK)) return real_writev(fd, pieces, count);
  struct msghdr message = {0};
  message.msg_iov = (struct iovec *)pieces;
  message.msg_iovlen = count;
  return sendmsg(fd, &message, 0);
}

/* The C library's own `write` last: it serves files and sockets. */
ssize_t write(int fd, const void *data, size_t bytes) {
  LOAD(write);
  if (is(fd, WATCHED_FILE)) return put(fd, data, bytes, -1);
  if (is(fd, NETWORK)) return send(fd, data, bytes, 0);
  return real_write(fd, data, bytes);
}
