/* The control of the power-cut test, preloaded into the daemon: every sync says that it has been done. */
#include <stddef.h>
#include <sys/types.h>

int fsync(int fd);
int fdatasync(int fd);
int syncfs(int fd);
int msync(void *address, size_t size, int flags);
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags);

int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
int syncfs(int fd) { (void)fd; return 0; }
int msync(void *address, size_t size, int flags) { (void)address; (void)size; (void)flags; return 0; }
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) { (void)fd; (void)offset; (void)size; (void)flags; return 0; }
