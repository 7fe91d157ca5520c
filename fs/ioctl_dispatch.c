/* Which handler serves which number, and where it may be called. */
#include <assert.h>
#include <string.h>

#include "fs/ioctl_calls.h"

enum place { ANYWHERE, ON_OBJECT };

static const struct { ioctl_handler *handler; enum place place; bool large; } calls[DIOS_IOC_COUNT + 1] = {
	[_IOC_NR(DIOS_IOC_CREATE)] = { ioctl_create, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_LOOKUP)] = { ioctl_lookup, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_TOKEN_MINT)] = { ioctl_token_mint, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_DELETE)] = { ioctl_delete, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_RUN)] = { ioctl_run, ANYWHERE, true },
	[_IOC_NR(DIOS_IOC_PAUSE)] = { ioctl_pause, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_ACQUIRE_READ)] = { ioctl_acquire_read, ON_OBJECT, true },
	[_IOC_NR(DIOS_IOC_COMMIT_READ)] = { ioctl_commit_read, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_ACQUIRE_WRITE)] = { ioctl_acquire_write, ON_OBJECT, true },
	[_IOC_NR(DIOS_IOC_COMMIT_WRITE)] = { ioctl_commit_write, ON_OBJECT, true },
	[_IOC_NR(DIOS_IOC_SELECT)] = { ioctl_select, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_INFO)] = { ioctl_info, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_NAME)] = { ioctl_name, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_CLONE)] = { ioctl_clone, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_MAKE_LOCAL)] = { ioctl_make_local, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_TOKEN_NARROW)] = { ioctl_token_narrow, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_TOKEN_REVOKE)] = { ioctl_token_revoke, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_TOKEN_OPEN)] = { ioctl_token_open, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_STREAM_END)] = { ioctl_stream_end, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_STREAM_CONFIGURE)] = { ioctl_stream_configure, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_SET_PRODUCED)] = { ioctl_set_produced, ON_OBJECT, false },
	[_IOC_NR(DIOS_IOC_TASK_CONTROL)] = { ioctl_task_control, ANYWHERE, false },
	[_IOC_NR(DIOS_IOC_BUFFER)] = { ioctl_buffer, ANYWHERE, false },
};

int ioctl_dispatch(struct ioctl_context *c, unsigned command, const void *in, size_t in_size, void *out, size_t *ret_size)
{
	int r = ioctl_check(command, in, in_size);

	if (r < 0)
		return r;
	unsigned number = _IOC_NR(command);
	assert(calls[number].handler);
	if (calls[number].place == ON_OBJECT && !c->reference)
		return -ENOTTY;
	c->wait_ino = 0;
	c->settle = false;
	/* A small answer is the question with its outputs filled in. A large one's handler writes the header itself. */
	if (!calls[number].large)
		memcpy(out, in, in_size);
	*ret_size = in_size;
	r = calls[number].handler(c, in, out, ret_size);
	assert(*ret_size <= in_size);
	return r;
}
