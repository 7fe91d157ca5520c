/* acquire_write and commit_write. Bytes to be appended need no base: they are collected in the program's own memory, and the commit is
 * the only crossing. A buffer whose offset is DIOS_NEXT is one of those. */
#include "libdios/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A buffer of zeros that knows no version. */
static int acquire_at_end(dios_ref ref, size_t size, struct dios_buffer *ret_buffer)
{
	struct dios_ioctl_acquire a = { .offset = DIOS_NEXT, .size = size };
	if (size <= DIOS_INLINE_MAX) return buffer_take_inline(&a, ret_buffer);
	int r = buffer_new(ref, size, a.buffer);
	return r < 0 ? r : buffer_take_mapped(ref, &a, true, ret_buffer);
}

int dios_acquire_write(uint32_t flags, dios_ref ref, uint64_t offset, size_t size, struct dios_buffer *ret_buffer)
{
	struct dios_ioctl_acquire a;

	if (call_flags_bad(flags, DIOS_AT_END | DIOS_NOWAIT)) return -EINVAL;
	if (flags & DIOS_AT_END) return acquire_at_end(ref, size, ret_buffer);
	memset(&a, 0, offsetof(struct dios_ioctl_acquire, data));
	memset(a.data, 0, size < sizeof(a.data) ? size : sizeof(a.data));   /* the answer leaves zeros at the end out */
	a.version = DIOS_ABI_VERSION;
	a.flags = flags;
	a.offset = offset;
	a.size = size;
	int r = call_ioctl(ref, call_acquire_number(DIOS_IOC_ACQUIRE_WRITE, size), &a);
	if (r < 0) return r;
	if (a.size != size) return -EIO;
	switch (a.place & ~(uint32_t)DIOS_PLACE_HELD) {
	case DIOS_PLACE_INLINE: return buffer_take_inline(&a, ret_buffer);
	case DIOS_PLACE_BUFFER: return buffer_take_mapped(ref, &a, true, ret_buffer);
	}
	return -EIO;
}

#define COMMIT_FLAGS (DIOS_FORCE | DIOS_AT_END | DIOS_DISCARD | DIOS_RELAXED | DIOS_TRUNCATE | DIOS_NOWAIT)

static int commit(uint32_t flags, dios_ref ref, struct dios_buffer *buffer, size_t size)
{
	struct dios_ioctl_commit_write c;
	int r = 0;

	memset(&c, 0, offsetof(struct dios_ioctl_commit_write, data));
	c.version = DIOS_ABI_VERSION;
	c.flags = flags;
	c.object_version = buffer->version;
	c.offset = (flags & DIOS_AT_END) ? 0 : buffer->offset;
	c.size = size;
	if (buffer_is_private(buffer)) {
		memcpy(c.buffer, buffer->id, sizeof(c.buffer));
		if (!(flags & DIOS_DISCARD)) r = buffer_flush(buffer->id);
	} else {
		if (size > sizeof(c.data)) return -EINVAL;
		memcpy(c.data, buffer->data, size);
	}
	size_t inside = buffer_is_private(buffer) ? 0 : size;
	if (r == 0) r = call_ioctl(ref, DIOS_IOC_SHORT(DIOS_IOC_COMMIT_WRITE, dios_ioctl_commit_write, inside), &c);
	if (r == 0) buffer->version = c.object_version;
	return r;
}

int dios_commit_write(uint32_t flags, dios_ref ref, struct dios_buffer *buffer, size_t size)
{
	int r = 0;

	if (call_flags_bad(flags, COMMIT_FLAGS) || size > buffer->size) return -EINVAL;
	if (buffer->offset == DIOS_NEXT) flags |= DIOS_AT_END;
	/* Throwing away what only this program knows needs no crossing. */
	if (!(flags & DIOS_DISCARD)) r = commit(flags, ref, buffer, size);
	else if (!buffer_id_is_zero(buffer->id)) r = commit(DIOS_DISCARD, ref, buffer, 0);
	if (r != -EAGAIN && r != -EINTR) buffer_release(buffer);
	return r;
}
