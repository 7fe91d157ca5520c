/* The memory of acquired bytes: the program's own for what came inside an ioctl, else a mapping, of a file of .dios/buf/ or of the
 * object itself. A struct dios_buffer says which: map_size 0 with map set is the program's own. */
#include "libdios/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool buffer_id_is_zero(const uint8_t id[DIOS_ID_SIZE])
{
	static const uint8_t zero[DIOS_ID_SIZE];
	return memcmp(id, zero, DIOS_ID_SIZE) == 0;
}

static const uint8_t held_id[DIOS_ID_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

bool buffer_is_private(const struct dios_buffer *b)
{
	return !buffer_id_is_zero(b->id) && memcmp(b->id, held_id, DIOS_ID_SIZE) != 0;
}

void buffer_set_held(const struct dios_ioctl_acquire *a, struct dios_buffer *b)
{
	if (a->place & DIOS_PLACE_HELD) memcpy(b->id, held_id, DIOS_ID_SIZE);
}

int buffer_open(const uint8_t id[DIOS_ID_SIZE], int open_flags, int *ret_fd)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * DIOS_ID_SIZE + 1];

	for (size_t i = 0; i < DIOS_ID_SIZE; i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	text[2 * DIOS_ID_SIZE] = '\0';
	return call_open_dios("buf", text, open_flags, ret_fd);
}

static int buffer_map(const uint8_t id[DIOS_ID_SIZE], bool writable, size_t size, void **ret_map)
{
	int fd, r = buffer_open(id, writable ? O_RDWR : O_RDONLY, &fd);
	if (r < 0) return r;
	void *map = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	r = map == MAP_FAILED ? -errno : 0;
	close(fd);
	if (r == 0) *ret_map = map;
	return r;
}

int buffer_new(int fd, uint64_t size, uint8_t ret_id[DIOS_ID_SIZE])
{
	struct dios_ioctl_buffer b = { CALL_HEADER(0), .action = DIOS_BUFFER_NEW, .size = size };
	int r = call_ioctl(fd, DIOS_IOC_BUFFER, &b);
	if (r == 0) memcpy(ret_id, b.buffer, DIOS_ID_SIZE);
	return r;
}

void buffer_free(int fd, const uint8_t id[DIOS_ID_SIZE])
{
	struct dios_ioctl_buffer b = { CALL_HEADER(0), .action = DIOS_BUFFER_FREE };
	memcpy(b.buffer, id, DIOS_ID_SIZE);
	(void)call_ioctl(fd, DIOS_IOC_BUFFER, &b);   /* it goes with the descriptor at the latest */
}

/* Closing a descriptor of the file writes back what any mapping of it holds. */
int buffer_flush(const uint8_t id[DIOS_ID_SIZE])
{
	int fd, r = buffer_open(id, O_RDWR, &fd);
	if (r < 0) return r;
	return close(fd) < 0 ? -errno : 0;
}

int buffer_take_inline(const struct dios_ioctl_acquire *a, struct dios_buffer *ret_buffer)
{
	static char nothing[1];   /* no bytes take no memory: who stops at the end of a stream has nothing to release */
	size_t size = (size_t)a->size;
	if (a->size > DIOS_INLINE_MAX) return -EIO;
	void *data = size ? malloc(size) : NULL;
	if (size && !data) return -ENOMEM;
	if (size) memcpy(data, a->data, size);
	*ret_buffer = (struct dios_buffer){ .data = data ? data : nothing, .size = size, .offset = a->offset, .version = a->object_version, .map = data };
	buffer_set_held(a, ret_buffer);
	return 0;
}

int buffer_take_mapped(dios_ref ref, const struct dios_ioctl_acquire *a, bool writable, struct dios_buffer *ret_buffer)
{
	void *map = NULL;
	int r = a->size > SIZE_MAX || a->size == 0 ? -EIO : buffer_map(a->buffer, writable, (size_t)a->size, &map);
	if (r < 0) {
		buffer_free(ref, a->buffer);
		return r;
	}
	*ret_buffer = (struct dios_buffer){ .data = map, .size = (size_t)a->size, .offset = a->offset, .version = a->object_version, .map = map,
		.map_size = (size_t)a->size };
	memcpy(ret_buffer->id, a->buffer, sizeof(ret_buffer->id));
	return 0;
}

void buffer_release(struct dios_buffer *b)
{
	if (b->map && b->map_size) munmap(b->map, b->map_size);
	else free(b->map);
	b->data = b->map = NULL;
	b->size = b->map_size = 0;
	memset(b->id, 0, sizeof(b->id));
}
