/* See stage_numbers.h. It is written beside the old one, and takes its place when it is on the disk. */
#include "store/stage_numbers.h"

#include <fcntl.h>
#include <stdio.h>

#include "store/stage_format.h"

int stage_read_numbers(struct disk *disk, const char *folder, uint64_t *ret_reserved, uint64_t *ret_boot)
{
	uint8_t bytes[STAGE_NUMBERS_SIZE] = { 0 };
	struct disk_file *file;
	char path[64];

	snprintf(path, sizeof(path), "%s/numbers", folder);
	int r = disk_open(disk, path, O_RDONLY, &file);
	if (r < 0)
		return r;
	ssize_t n = disk_pread(file, bytes, sizeof(bytes), 0);
	disk_close(file);
	return n < 0 ? (int)n : stage_numbers_decode(bytes, ret_reserved, ret_boot);
}

int stage_write_numbers(struct disk *disk, const char *folder, uint64_t reserved, uint64_t boot)
{
	uint8_t bytes[STAGE_NUMBERS_SIZE];
	char path[64], temporary[64];
	struct disk_file *file;

	snprintf(path, sizeof(path), "%s/numbers", folder);
	snprintf(temporary, sizeof(temporary), "%s/numbers.new", folder);
	stage_numbers_encode(reserved, boot, bytes);
	int r = disk_open(disk, temporary, O_RDWR | O_CREAT | O_TRUNC, &file);
	if (r < 0)
		return r;
	r = disk_pwrite(file, bytes, sizeof(bytes), 0);
	if (r == 0)
		r = disk_sync(file);
	disk_close(file);
	if (r == 0)
		r = disk_rename(disk, temporary, path);
	if (r == 0)
		r = disk_sync_dir(disk, folder);
	return r == 0 ? disk_sync_dir(disk, ".") : r;
}
