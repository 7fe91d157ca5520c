/* The daemon is killed under programs that have private buffers: bytes, owners and bounds are the next one's (D1). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libdios/dios-ioctl.h"
#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

#define LARGE (1u << 20)
#define ALL (256u << 20)     /* bytes: what a user may have at most */

/* Returns when the next daemon answers. */
static void kill_daemon(void)
{
	mount_kill_daemon();
	mount_daemon();
}

/* A descriptor of .dios/buf/ID. */
static int open_buffer(const uint8_t id[16])
{
	char path[64] = ".dios/buf/";

	for (int i = 0; i < 16; i++)
		snprintf(path + 10 + 2 * i, 3, "%02x", id[i]);
	return open(path, O_RDWR);
}

static bool all_are(const char *data, char byte)
{
	return data[0] == byte && memcmp(data, data + 1, LARGE - 1) == 0;
}

static void written(void)
{
	struct dios_buffer b;
	dios_ref ref = -1;
	int fd = open("large", O_RDWR | O_CREAT, 0600);
	bool good = ftruncate(fd, LARGE) == 0;

	close(fd);
	good = good && dios_open(0, "./large", DIOS_READ | DIOS_WRITE, &ref) == 0 && dios_acquire_write(0, ref, 0, LARGE, &b) == 0;
	if (!ok(good, "a private buffer"))
		return;
	memset(b.data, 'a', LARGE / 2);
	/* One half is with the daemon, the other in the kernel's pages. */
	good = msync(b.data, LARGE, MS_SYNC) == 0;
	memset((char *)b.data + LARGE / 2, 'a', LARGE / 2);
	for (int i = 0; i < 2; i++)
		kill_daemon();
	good = good && dios_commit_write(0, ref, &b, LARGE) == 0;
	char *text = malloc(LARGE);
	fd = open("large", O_RDONLY);
	ok(good && read(fd, text, LARGE) == LARGE && all_are(text, 'a'), "D1_what was written into a private buffer is committed by another daemon");
	free(text);
	close(fd);
	dios_close(ref);
}

static void read_again(void)
{
	struct dios_buffer b;
	dios_ref ref = -1;
	bool good = dios_open(0, "./large", DIOS_READ, &ref) == 0 && dios_acquire_read(DIOS_PIN, ref, 0, LARGE, &b) == 0;
	int fd = good ? open_buffer(b.id) : -1;
	char *text = malloc(LARGE);

	kill_daemon();
	/* Not from the kernel's cache. */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ok(good && pread(fd, text, LARGE, 0) == LARGE && all_are(text, 'a') && all_are(b.data, 'a'), "D1_a pinned copy is there");
	struct dios_ioctl_buffer free_it = { .version = DIOS_ABI_VERSION, .action = DIOS_BUFFER_FREE };
	memcpy(free_it.buffer, b.id, sizeof(free_it.buffer));
	good = ioctl(ref, DIOS_IOC_BUFFER, &free_it) == 0;
	kill_daemon();
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ok(good && pread(fd, text, LARGE, 0) == LARGE && all_are(text, 'a'), "D1_one that is freed and open is there");
	ok(open_buffer(b.id) < 0 && errno == ENOENT, "and is found no more");
	close(fd);
	munmap(b.map, b.map_size);
	free(text);
	dios_close(ref);
}

/* The end of a descriptor is told to the daemon after close(2) has returned. */
static struct dios_ioctl_buffer all;
static bool can_have_all(void *arg)
{
	all = (struct dios_ioctl_buffer){ .version = DIOS_ABI_VERSION, .action = DIOS_BUFFER_NEW, .size = ALL };
	return ioctl(*(int *)arg, DIOS_IOC_BUFFER, &all) == 0;
}

static void counted(void)
{
	int fd = open("large", O_RDWR);
	bool good = wait_for(can_have_all, &fd);
	struct dios_ioctl_buffer mine = all;

	kill_daemon();
	ok(good && !can_have_all(&fd) && errno == ENOBUFS, "D1_a buffer counts under another daemon");
	mine.action = DIOS_BUFFER_FREE;
	mine.size = 0;
	ok(good && ioctl(fd, DIOS_IOC_BUFFER, &mine) == 0 && can_have_all(&fd), "D1_until it is freed");
	close(fd);
	fd = open("large", O_RDWR);
	ok(wait_for(can_have_all, &fd), "D1_or until its descriptor is closed");
	close(fd);
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	written();
	read_again();
	counted();
	return done_testing();
}
