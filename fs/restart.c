/* Going on where an earlier daemon died, under a living mount (RULES D1 to D3): the kernel's first request is answered once more, for us alone;
 * what had been answered is sent as it was; what had been begun is finished; what had not is done.
 *
 * What had been begun goes first: it may have taken a place (the end of a file, a stream's record) that others would take otherwise. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "fs/invalidate.h"
#include "fs/loop.h"
#include "fs/magic.h"
#include "fs/restart.h"
#include "fs/slot.h"
#include "fs/wait.h"

#define ATTEMPTS_MAX 8u     /* daemons that may die doing one request again: it gets EIO then, and the others their turn */

void fs_keep_results(const struct region *region, struct cluster *cluster)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		struct redo *redo = &region->slots[i].redo;
		if (region_slot_waits(region, i) && region->slots[i].answer_size == 0)
			cluster_redo_keep(cluster, redo);
		else
			memset(redo, 0, sizeof(*redo));
	}
}

/* libfuse may change what it is given. */
static void answer_init(struct fs *fs)
{
	uint8_t bytes[INIT_SIZE];
	struct fuse_buf buf = { .mem = bytes, .size = fs->region->header->init_size };

	memcpy(bytes, fs->region->header->init, buf.size);
	request.init_flags = ((const struct fuse_init_in *)(const void *)(bytes + sizeof(struct fuse_in_header)))->flags;
	fuse_session_process_buf(fs->session, &buf);
	request.init_flags = 0;
}

static void send(struct fs *fs, const void *data, size_t size)
{
	/* ENOENT: the kernel has that answer already. */
	if (write(fs->options.device_fd, data, size) < 0 && errno != ENOENT)
		log_warning("fs", "an answer was not taken errno=%d", errno);
}

static void give_up(struct fs *fs, uint32_t slot)
{
	const struct fuse_in_header *in = slot_header(fs, slot);
	struct fuse_out_header out = { .len = sizeof(out), .error = -EIO, .unique = in->unique };

	log_error("fs", "a request is given up: daemons die of it opcode=%u ino=%llu pid=%u", in->opcode, (unsigned long long)in->nodeid, in->pid);
	atomic_fetch_add(&fs->region->header->given_up, 1);
	/* What it did before it died is not known, so neither is what the kernel may keep. */
	if (!magic_is(in->nodeid))
		invalidate_node(fs, in->nodeid, true);
	send(fs, &out, sizeof(out));
	slot_put(fs->slots, slot);
}

/* The kernel says that once, and not again to us. */
static void interrupt(struct fs *fs, uint64_t unique)
{
	struct { struct fuse_in_header header; struct fuse_interrupt_in body; } message = {
		.header = { .len = sizeof(message), .opcode = FUSE_INTERRUPT, .unique = unique | 1 }, .body = { .unique = unique } };
	struct fuse_buf buf = { .mem = &message, .size = sizeof(message) };

	fuse_session_process_buf(fs->session, &buf);
}

static void serve_again(struct fs *fs, uint32_t slot)
{
	struct slot_entry *e = &fs->region->slots[slot];
	struct fuse_in_header *in = slot_header(fs, slot);
	struct fuse_buf buf = { .mem = in, .size = in->len };

	if (e->attempts++ >= ATTEMPTS_MAX) {
		give_up(fs, slot);
		return;
	}
	if (e->flags & SLOT_INTERRUPTED)
		interrupt(fs, in->unique);
	loop_serve(fs, slot, &buf);
	slot_put(fs->slots, request.slot);       /* the same, or, if the request waits, one that it has left us */
}

static void wake_pollers(struct fs *fs)
{
	struct { struct fuse_out_header header; struct fuse_notify_poll_wakeup_out body; } message = {
		.header = { .len = sizeof(message), .error = FUSE_NOTIFY_POLL } };

	for (uint32_t i = 0; i < fs->region->header->handles_touched; i++) {
		struct handle_entry *e = &fs->region->handles[i];
		uint64_t kh = e->kind == HANDLE_FREE ? 0 : atomic_exchange(&e->poll_handle, 0);
		message.body.kh = kh;
		if (kh != 0)
			send(fs, &message, sizeof(message));
	}
}

enum { ANSWERED, BEGUN, WAITING, NOTHING };

static int kind_of(const struct region *region, uint32_t slot)
{
	const struct slot_entry *e = &region->slots[slot];

	if (!region_slot_waits(region, slot))
		return NOTHING;
	return e->answer_size > 0 ? ANSWERED : e->redo.placed || e->redo.numbers[0] != 0 ? BEGUN : WAITING;
}

static void do_again(struct fs *fs, uint32_t slot, int kind)
{
	uint32_t size = fs->region->slots[slot].answer_size;

	switch (kind) {
	case ANSWERED:
		if (size <= SLOT_ANSWER_SIZE)
			send(fs, region_answer(fs->region, slot), size);
		/* What the earlier daemon would have said after its answer. */
		if (size <= SLOT_ANSWER_SIZE && !magic_is(slot_header(fs, slot)->nodeid))
			invalidate_node(fs, slot_header(fs, slot)->nodeid, true);
		slot_put(fs->slots, slot);
		break;
	case NOTHING:
		slot_put(fs->slots, slot);
		break;
	default:
		serve_again(fs, slot);
	}
}

void restart_run(struct fs *fs)
{
	uint8_t kinds[SLOT_COUNT];
	uint32_t slots[SLOT_COUNT], used = 0, counts[NOTHING + 1] = { 0 };

	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (fs->region->slots[i].state == SLOT_USED) {
			kinds[used] = (uint8_t)kind_of(fs->region, i);
			slots[used++] = i;
		}
	request.fs = fs;
	request.worker = true;
	answer_init(fs);
	invalidate_restored(fs);
	for (int kind = ANSWERED; kind <= NOTHING; kind++)
		for (uint32_t i = 0; i < used; i++)
			if (kinds[i] == kind) {
				counts[kind]++;
				do_again(fs, slots[i], kind);
			}
	wait_run_ready(fs);
	request_scratch_free();
	request = (struct request){ .serving = SLOT_NONE };
	objects_restored(fs->objects);
	wake_pollers(fs);
	log_notice("fs", "requests were gone on with answered=%u begun=%u waiting=%u", counts[ANSWERED], counts[BEGUN], counts[WAITING]);
}
