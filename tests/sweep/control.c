/* Arming writes nth last: the library looks at it first. */
#include "tests/sweep/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fs/mount.h"

struct sweep_control *control;

bool control_make(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/control", mount_work);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p = fd < 0 || ftruncate(fd, sizeof(*control)) < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		printf("# %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return false;
	control = p;
	return setenv("DIOS_SWEEP", path, 1) == 0;
}

void control_fail(const char *match, uint32_t kinds, int error, uint64_t nth, uint64_t last)
{
	atomic_store(&control->nth, 0);
	snprintf(control->match, sizeof(control->match), "%s", match);
	atomic_store(&control->kinds, kinds);
	atomic_store(&control->error, error);
	atomic_store(&control->count, 0);
	atomic_store(&control->fired, 0);
	atomic_store(&control->trace_count, 0);
	atomic_store(&control->last, last);
	atomic_store(&control->nth, nth);
}

void control_stop(void) { atomic_store(&control->nth, 0); }
