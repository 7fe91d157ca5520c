/* acquire_read and commit_read. The mount decides where the bytes are: inside the answer, in the object itself (mapped here, and
 * what commit_read checks), or in a private copy. */
#include "libdios/call.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 65536u   /* a multiple of the page size of every machine: what a mapping's offset must be a multiple of */

static int map_object(dios_ref ref, const struct dios_ioctl_acquire *a, struct dios_buffer *ret_buffer)
{
	uint64_t start = a->offset / PAGE * PAGE, skip = a->offset - start;
	if (a->size > SIZE_MAX - skip || start > INT64_MAX) return -EINVAL;
	size_t map_size = (size_t)(skip + a->size);
	struct stat st;
	/* The kernel learns of a size that a commit has changed when it is asked for it; until then it faults past the old one. */
	if (fstat(ref, &st) < 0) return -errno;
	if (st.st_size < 0 || (uint64_t)st.st_size < a->offset + a->size) return -ESTALE;
	void *map = mmap(NULL, map_size, PROT_READ, MAP_SHARED, ref, (off_t)start);
	if (map == MAP_FAILED) return -errno;
	*ret_buffer = (struct dios_buffer){ .data = (uint8_t *)map + skip, .size = (size_t)a->size, .offset = a->offset,
		.version = a->object_version, .map = map, .map_size = map_size };
	buffer_set_held(a, ret_buffer);
	return 0;
}

static int tell(uint32_t flags, dios_ref ref, const struct dios_buffer *buffer)
{
	struct dios_ioctl_commit_read c = { CALL_HEADER(flags), .object_version = buffer->version };
	if (buffer_is_private(buffer)) memcpy(c.buffer, buffer->id, sizeof(c.buffer));
	return call_ioctl(ref, DIOS_IOC_COMMIT_READ, &c);
}

static int acquire(uint32_t flags, dios_ref ref, uint64_t offset, size_t size, struct dios_ioctl_acquire *a)
{
	memset(a, 0, offsetof(struct dios_ioctl_acquire, data));
	a->version = DIOS_ABI_VERSION;
	a->flags = flags;
	a->offset = offset;
	a->size = size;
	memset(a->data, 0, size < sizeof(a->data) ? size : sizeof(a->data));   /* the answer leaves zeros at the end out */
	int r = call_ioctl(ref, call_acquire_number(DIOS_IOC_ACQUIRE_READ, size), a);
	return r == 0 && a->size > size ? -EIO : r;
}

int dios_acquire_read(uint32_t flags, dios_ref ref, uint64_t offset, size_t size, struct dios_buffer *ret_buffer)
{
	struct dios_ioctl_acquire a;

	if (call_flags_bad(flags, DIOS_PIN | DIOS_RECORD | DIOS_NOWAIT)) return -EINVAL;
	int r = acquire(flags, ref, offset, size, &a);
	if (r < 0) return r;
	if ((a.place & ~(uint32_t)DIOS_PLACE_HELD) == DIOS_PLACE_MAP) {
		r = map_object(ref, &a, ret_buffer);
		if (r == 0) return 0;
		/* So far only the answer is had, and what it holds is given back. */
		(void)tell(DIOS_DISCARD, ref, &(struct dios_buffer){ .version = a.object_version });
		r = acquire(flags | DIOS_PIN, ref, offset, size, &a);   /* what can't be mapped, or was cut meanwhile, can be copied */
		if (r < 0) return r;
	}
	switch (a.place & ~(uint32_t)DIOS_PLACE_HELD) {
	case DIOS_PLACE_INLINE: return buffer_take_inline(&a, ret_buffer);
	case DIOS_PLACE_BUFFER: return buffer_take_mapped(ref, &a, false, ret_buffer);
	}
	return -EIO;
}

int dios_commit_read(uint32_t flags, dios_ref ref, struct dios_buffer *buffer)
{
	bool known = !buffer_id_is_zero(buffer->id), versioned = buffer->version != UINT64_MAX;
	int r = 0;

	if (call_flags_bad(flags, DIOS_DISCARD)) return -EINVAL;
	if (known || (versioned && !(flags & DIOS_DISCARD))) r = tell(flags, ref, buffer);
	buffer_release(buffer);
	return r;
}
