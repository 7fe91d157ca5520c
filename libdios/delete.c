/* delete and pause: one ioctl each. */
#include "libdios/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The mount ends the task's other processes; this one ends itself, so that its own exit status says the same. */
static int delete_self(uint32_t flags)
{
	struct dios_ioctl_task t = { CALL_HEADER(0), .action = DIOS_TASK_EXIT, .argument = (flags & DIOS_FAILED) != 0 };
	int directory, r = call_open_dios(NULL, NULL, CALL_DIRECTORY, &directory);
	if (r < 0) return r;
	r = call_ioctl(directory, DIOS_IOC_TASK_CONTROL, &t);
	close(directory);
	if (r < 0) return r;
	_exit((flags & DIOS_FAILED) ? EXIT_FAILURE : EXIT_SUCCESS);
}

int dios_delete(uint32_t flags, dios_ref ref)
{
	struct dios_ioctl_plain p = { CALL_HEADER(0) };

	switch (flags) {
	case 0: break;
	case DIOS_DROP: return dios_close(ref);
	case DIOS_SELF:
	case DIOS_SELF | DIOS_FAILED: return delete_self(flags);
	default: return -EINVAL;
	}
	int r = call_ioctl(ref, DIOS_IOC_DELETE, &p);
	return r < 0 ? r : dios_close(ref);
}

int dios_pause(uint32_t flags, dios_ref task)
{
	struct dios_ioctl_plain p = { CALL_HEADER(flags) };
	return call_flags_bad(flags, DIOS_RESUME) ? -EINVAL : call_ioctl(task, DIOS_IOC_PAUSE, &p);
}
