/* The reserve. Invariant: reserve_held means that the file has all its room; given back, it is a hole of the same size. When
 * other programs have filled the file system, the log's next segment, and what it takes to flush the state and delete,
 * come out of it; deletions then make the room to take it again. */
#include "store/reserve.h"

#include <fcntl.h>

#include "base/log.h"

#define RESERVE_FILE_BYTES (64ull << 20)   /* a log segment of 16 MiB, and a flush of the state */
#define RESERVE_FILE_SHARE 16              /* of a small file system no more than this part */
#define PAGE_BYTES 4096u

int reserve_make(struct disk *disk)
{
	struct disk_space space;
	struct disk_file *file;
	int r = disk_space(disk, &space);

	if (r < 0)
		return r;
	uint64_t size = space.total_bytes / RESERVE_FILE_SHARE / PAGE_BYTES * PAGE_BYTES;
	size = size < RESERVE_FILE_BYTES ? size : RESERVE_FILE_BYTES;
	r = disk_open(disk, "reserve", O_RDWR | O_CREAT, &file);
	if (r < 0)
		return r;
	r = disk_allocate(file, 0, size);
	/* A file system that can't promise room has no reserve: the file stays empty. */
	if (r == 0)
		r = disk_truncate(file, size);
	else if (r == -EOPNOTSUPP)
		r = 0;
	disk_close(file);
	return r;
}

/* The log has no room. */
static int reserve_release(void *arg, uint64_t bytes)
{
	struct store *s = arg;

	LOCK_GUARD(&s->reserve_lock);
	if (!s->reserve_held)
		return -ENOSPC;
	int r = disk_punch(s->reserve_file, 0, s->reserve_file_bytes);
	if (r < 0)
		return r;
	s->reserve_held = false;
	atomic_store(&s->room_left, 0);
	log_warning("store", "the disk is full, the reserve is given to the log bytes=%llu wanted=%llu", (unsigned long long)s->reserve_file_bytes, (unsigned long long)bytes);
	return 0;
}

bool reserve_renew(struct store *s, const struct disk_space *space)
{
	if (!s->reserve_file)
		return true;
	LOCK_GUARD(&s->reserve_lock);
	if (s->reserve_held || space->free_bytes < s->reserve_bytes || space->free_bytes - s->reserve_bytes < s->reserve_file_bytes)
		return s->reserve_held;
	s->reserve_held = disk_allocate(s->reserve_file, 0, s->reserve_file_bytes) == 0;
	if (s->reserve_held)
		log_notice("store", "the reserve is held again bytes=%llu", (unsigned long long)s->reserve_file_bytes);
	return s->reserve_held;
}

int reserve_open(struct store *s)
{
	int r = disk_open(s->disk, "reserve", O_RDWR, &s->reserve_file);

	if (r == -ENOENT) {
		s->reserve_file = NULL;
		return 0;
	}
	if (r == 0)
		r = disk_size(s->reserve_file, &s->reserve_file_bytes);
	if (r == 0 && s->reserve_file_bytes > 0) {
		int allocated = disk_allocate(s->reserve_file, 0, s->reserve_file_bytes);
		s->reserve_held = allocated == 0;
		r = allocated == 0 || allocated == -ENOSPC || allocated == -EOPNOTSUPP ? 0 : allocated;
		if (allocated == -EOPNOTSUPP)
			s->reserve_file_bytes = 0;
	}
	if (r < 0 || s->reserve_file_bytes == 0) {
		disk_close(s->reserve_file);
		s->reserve_file = NULL;
		return r;
	}
	lock_init(&s->reserve_lock, "reserve", LOCK_STORE);
	log_set_make_room(s->log, reserve_release, s);
	return 0;
}

void reserve_close(struct store *s)
{
	if (!s->reserve_file)
		return;
	lock_done(&s->reserve_lock);
	disk_close(s->reserve_file);
}
