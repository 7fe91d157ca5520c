/* Layout of the shared memory: header, slots' states, open table, token table, invalidations, the book of private buffers, the slots' bytes, answers and records, each at a page; and the private buffers. */
#include <assert.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "fs/region.h"

#define PAGE 4096u

static size_t page_up(size_t n) { return (n + PAGE - 1) & ~(size_t)(PAGE - 1); }

/* Returns the size of the whole; places parts when base is not NULL. */
static size_t region_layout(uint8_t *base, struct region *region)
{
	size_t header = 0;
	size_t slots = header + page_up(sizeof(struct region_header));
	size_t handles = slots + page_up(SLOT_COUNT * sizeof(struct slot_entry));
	size_t tokens = handles + page_up(HANDLE_COUNT * sizeof(struct handle_entry));
	size_t forgets = tokens + page_up(TOKEN_COUNT * sizeof(struct token_entry));
	size_t buffers = forgets + page_up(FORGET_COUNT * sizeof(struct forget_entry));
	size_t data = buffers + page_up(sizeof(struct private_buffer_book));
	size_t answers = data + (size_t)SLOT_COUNT * SLOT_SIZE;
	size_t records = answers + (size_t)SLOT_COUNT * SLOT_ANSWER_SIZE;
	size_t size = records + (size_t)SLOT_COUNT * SLOT_RECORD_SIZE;

	if (base) {
		region->header = (struct region_header *)(void *)base;
		region->slots = (struct slot_entry *)(void *)(base + slots);
		region->handles = (struct handle_entry *)(void *)(base + handles);
		region->tokens = (struct token_entry *)(void *)(base + tokens);
		region->forgets = (struct forget_entry *)(void *)(base + forgets);
		region->buffers = (struct private_buffer_book *)(void *)(base + buffers);
		region->slot_data = base + data;
		region->answer_data = base + answers;
		region->record_data = base + records;
		region->size = size;
	}
	return size;
}

int region_create(const char *mount, const char *data, uint64_t mount_id, int *ret_fd)
{
	if (strlen(mount) >= REGION_PATH_MAX || strlen(data) >= REGION_PATH_MAX)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = memfd_create("dios-region", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(region_layout(NULL, NULL) + PRIVATE_BUFFERS_FILE)) < 0)
		return -errno;
	struct region_header *h = mmap(NULL, page_up(sizeof(*h)), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return -errno;
	h->version = REGION_VERSION;
	h->header_size = sizeof(*h);
	h->mount_id = mount_id;
	h->holder_pid = getpid();
	h->mounted_ns = clock_wall_ns(&clock_system);
	memcpy(h->mount, mount, strlen(mount) + 1);
	memcpy(h->data, data, strlen(data) + 1);
	h->magic = REGION_MAGIC;
	munmap(h, page_up(sizeof(*h)));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The first bytes are the same in every version. */
static int region_check(int fd)
{
	struct { uint64_t magic; uint32_t version, header_size; } h;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != REGION_MAGIC)
		return -EBADMSG;
	return h.version != REGION_VERSION || h.header_size != sizeof(struct region_header) ? -ENOTSUP : 0;
}

int region_attach(int fd, struct region *ret_region)
{
	size_t size = region_layout(NULL, NULL);
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = region_check(fd);
	if (r < 0)
		return r;
	if ((uint64_t)st.st_size != size + PRIVATE_BUFFERS_FILE)
		return -EBADMSG;
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	region_layout(base, ret_region);
	ret_region->fd = fd;
	ret_region->header->starts_ns[ret_region->header->starts % REGION_STARTS_KEPT] = clock_boot_ns(&clock_system);
	ret_region->header->starts++;
	return 0;
}

void region_detach(struct region *region)
{
	if (region->header)
		munmap(region->header, region->size);
	memset(region, 0, sizeof(*region));
}

bool region_slot_waits(const struct region *region, uint32_t slot)
{
	uint32_t size = ((const struct fuse_in_header *)region_slot(region, slot))->len;

	return region->slots[slot].state == SLOT_USED && size >= sizeof(struct fuse_in_header) && size <= SLOT_SIZE;
}
