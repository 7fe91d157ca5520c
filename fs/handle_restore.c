/* Opening again what an earlier daemon had open (RULES D1). Whatever becomes of a handle, the daemon goes on: one that cannot be had again gives EIO
 * to those who use it, and the others are not concerned. */
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "fs/ioctl_calls.h"
#include "fs/magic.h"
#include "fs/open.h"
#include "fs/passthrough.h"
#include "fs/slot.h"

static int restore_object(struct fs *fs, struct handle *h)
{
	const struct handle_entry *e = h->entry;
	struct reference_options options;

	open_options(fs, (int)e->flags, e->rights, &options);
	options.range_offset = e->range_offset;
	options.range_length = e->range_length;
	options.expiry_ns = e->expiry_ns;
	options.stream_mode = (enum stream_mode)e->stream_mode;
	int r = reference_restore(fs->objects, e->ino, &options, e->reference_id, e->position, &h->reference);
	if (r == 0)
		r = passthrough_restore(h);
	return r < 0 ? r : ioctl_mutex_restore(h);
}

static int restore(struct fs *fs, struct handle *h)
{
	if (h->entry->kind == HANDLE_OBJECT)
		return restore_object(fs, h);
	return magic_is(h->entry->node) ? magic_restore(h) : 0;
}

/* Handles of requests that were not done: the kernel has not heard of them. */
static void drop_unfinished(struct fs *fs)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		const struct slot_entry *s = &fs->region->slots[i];
		uint64_t fh = s->handle - 1;
		uint32_t index = (uint32_t)fh;
		if (s->handle == 0 || !region_slot_waits(fs->region, i) || s->answer_size > 0 || index >= fs->region->header->handles_touched)
			continue;
		const struct handle_entry *e = &fs->region->handles[index];
		if (e->kind != HANDLE_FREE && e->generation == fh >> 32)
			handle_drop(fs->handles, index);
	}
}

int handles_restore(struct fs *fs)
{
	uint32_t count = 0, lost = 0;

	drop_unfinished(fs);
	for (uint32_t i = 0; i < fs->region->header->handles_touched; i++) {
		struct handle *h;
		if (fs->region->handles[i].kind == HANDLE_FREE || fs->region->handles[i].kind == HANDLE_KEPT)
			continue;
		int r = handle_adopt(fs->handles, i, &h);
		if (r < 0)
			return r;
		r = restore(fs, h);
		count++;
		if (r == 0)
			continue;
		h->lost = true;
		lost++;
		log_warning("fs", "an open file is lost ino=%llu error=%d: whoever uses it gets EIO", (unsigned long long)h->entry->ino, -r);
	}
	for (uint32_t i = 0; i < fs->region->header->handles_touched; i++)
		if (fs->region->handles[i].kind == HANDLE_KEPT && ioctl_restore_created(fs, i) < 0)
			handle_drop(fs->handles, i);
	ioctl_restore_buffers(fs);
	log_notice("fs", "open files were opened again count=%u lost=%u", count, lost);
	return 0;
}
