/* The file stage/live: two lists, of which the newer whole one is in force. Never synced, as the segments: it matters only where the machine has not
 * stopped. It is written before a segment's first record, and before a segment is wiped or removed; so what it names is there, and a torn
 * list leaves the one before, which is as true. An earlier daemon does not write it, and reserves other numbers: then nothing is told. */
#include "store/stage_live.h"

#include <fcntl.h>
#include <stdio.h>

int stage_live_read(struct disk *disk, const char *folder, uint64_t start, struct stage_live *ret_live)
{
	uint8_t bytes[STAGE_LIVE_SIZE];
	struct disk_file *file;
	struct stage_live live;
	bool found = false;
	char path[64];

	snprintf(path, sizeof(path), "%s/live", folder);
	int r = disk_open(disk, path, O_RDONLY, &file);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < 2; i++) {
		ssize_t n = disk_pread(file, bytes, sizeof(bytes), i * sizeof(bytes));
		if (n != sizeof(bytes) || stage_live_decode(bytes, &live) < 0 || live.start != start || (found && live.generation < ret_live->generation))
			continue;
		*ret_live = live;
		found = true;
	}
	disk_close(file);
	return found ? 0 : -ENOENT;
}

int stage_live_open(struct disk *disk, const char *folder, struct disk_file **ret_file)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/live", folder);
	return disk_open(disk, path, O_RDWR | O_CREAT, ret_file);
}

int stage_live_write(struct disk_file *file, struct stage_live *live)
{
	uint8_t bytes[STAGE_LIVE_SIZE];

	live->generation++;
	stage_live_encode(live, bytes);
	return disk_pwrite(file, bytes, sizeof(bytes), live->generation % 2 * sizeof(bytes));
}
