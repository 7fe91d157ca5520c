/* What reading and the scrubber have found damaged: the blocks whose bytes did not match their checksum, so that status can name their objects. One is forgotten when it is
 * whole again (put back, repaired, overwritten) or gone: each is looked at again now and then, by reading it. Bounded: of more than fit it is only known
 * that there are more, and `dios fsck` lists them all. */
#include "objects/damaged.h"
#include "objects/check.h"
#include "objects/object.h"

#include <stdio.h>
#include <string.h>
#include "base/condition.h"
#include "base/counter.h"
#include "base/log.h"
#include "store/why.h"

#define DAMAGED_MAX 256u                      /* blocks; an object whose disk is gone has no end of them */
#define LOOK_INTERVAL_NS (10 * NS_PER_SECOND) /* at one block */
#define NAMED_MAX 3u                          /* objects named in the sentence */

COUNTER(damaged_found, "dios_damaged_objects_total", "Objects that were found damaged");

struct damaged {
	struct lock lock;
	struct damaged_block blocks[DAMAGED_MAX];
	unsigned count, next;
	bool more;
	int64_t next_look_ns;
};

int damaged_init(struct objects *os)
{
	os->damaged = calloc(1, sizeof(*os->damaged));
	if (!os->damaged) return -ENOMEM;
	lock_init(&os->damaged->lock, "damaged", LOCK_LEAF);
	return 0;
}

void damaged_done(struct objects *os)
{
	if (!os->damaged) return;
	lock_done(&os->damaged->lock);
	free(os->damaged);
	os->damaged = NULL;
}

static bool seen_before(const struct damaged *d, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (d->blocks[j].ino == d->blocks[i].ino) return true;
	return false;
}

/* Locked. */
static void say(const struct damaged *d)
{
	char list[NAMED_MAX * (NAME_TEXT_SIZE + 40) + 1] = "";
	size_t used = 0;
	unsigned objects = 0;
	if (d->count == 0) {
		condition_clear(CONDITION_DAMAGE);
		return;
	}
	for (unsigned i = 0; i < d->count; i++) {
		char text[NAME_TEXT_SIZE + 1];
		if (seen_before(d, i) || objects++ >= NAMED_MAX) continue;
		if (d->blocks[i].ino == 0) {
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%sthe state (%.40s)", objects > 1 ? ", " : "", d->blocks[i].file);
			continue;
		}
		name_to_text(&d->blocks[i].name, text);
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s (inode %llu)", objects > 1 ? ", " : "", text, (unsigned long long)d->blocks[i].ino);
	}
	condition_raise(CONDITION_DAMAGE, "%s%u object%s %s damaged bytes: %s%s", d->more ? "at least " : "", objects, objects == 1 ? "" : "s",
		objects == 1 ? "has" : "have", list, objects > NAMED_MAX ? ", and others" : "");
}

static bool add(struct damaged *d, const struct damaged_block *block, bool *ret_object)
{
	LOCK_GUARD(&d->lock);
	*ret_object = true;
	for (unsigned i = 0; i < d->count; i++) {
		if (d->blocks[i].ino == block->ino && d->blocks[i].block == block->block) return false;
		*ret_object &= d->blocks[i].ino != block->ino;
	}
	if (d->count == DAMAGED_MAX) d->more = true;
	else d->blocks[d->count++] = *block;
	say(d);
	return true;
}

bool damaged_add(struct objects *os, const struct damaged_block *block)
{
	bool object;
	if (!add(os->damaged, block, &object)) return false;
	if (object) {
		counter_add(&damaged_found, 1);
		log_error("objects", "damage found ino=%llu block=%llu file=%s: what is damaged is not served; 'dios fsck' lists all of it", (unsigned long long)block->ino,
			(unsigned long long)block->block, block->file);
	}
	return true;
}

void damaged_note(struct object *o, uint64_t block)
{
	struct damaged_block b = { .ino = o->ino, .block = block, .name = o->record.name, .since_ns = clock_wall_ns(o->os->clock), .file = "state" };
	if (o->record.place == PLACE_HEAD) head_path(o->ino, b.file);
	(void)damaged_add(o->os, &b);
}

int objects_note_damaged_state(struct objects *os)
{
	struct damaged_block b = { .since_ns = clock_wall_ns(os->clock) };
	char file[64];
	snprintf(b.file, sizeof(b.file), "%s", state_file_of(store_why(), file));
	(void)damaged_add(os, &b);
	return -EIO;
}

bool damaged_known(struct objects *os, uint64_t ino)
{
	LOCK_GUARD(&os->damaged->lock);
	for (unsigned i = 0; i < os->damaged->count; i++)
		if (os->damaged->blocks[i].ino == ino) return true;
	return false;
}

struct damaged_block *damaged_list(struct objects *os, size_t *ret_count)
{
	struct damaged *d = os->damaged;
	LOCK_GUARD(&d->lock);
	struct damaged_block *copy = d->count ? malloc(d->count * sizeof(*copy)) : NULL;
	if (copy) memcpy(copy, d->blocks, d->count * sizeof(*copy));
	*ret_count = copy ? d->count : 0;
	return copy;
}

static bool still_damaged(struct objects *os, uint64_t ino, uint64_t block)
{
	uint8_t bytes[BLOCK_SIZE];
	struct object *o;
	if (ino == 0) return true;   /* the scrubber's next pass over the state says */
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r != -ENOENT;
	r = o->record.kind == KIND_BLOB ? blob_read_committed(o, block * BLOCK_SIZE, bytes, BLOCK_SIZE) : 0;
	object_release(o);
	return r < 0;
}

void damaged_forget(struct objects *os, uint64_t ino, uint64_t block)
{
	struct damaged *d = os->damaged;
	LOCK_GUARD(&d->lock);
	for (unsigned i = 0; i < d->count; i++)
		if (d->blocks[i].ino == ino && d->blocks[i].block == block) {
			d->blocks[i] = d->blocks[--d->count];
			log_notice("objects", "no longer damaged ino=%llu block=%llu", (unsigned long long)ino, (unsigned long long)block);
			break;
		}
	if (d->count == 0) d->more = false;
	say(d);
}

void damaged_run(struct objects *os, int64_t now_ns)
{
	struct damaged *d = os->damaged;
	struct damaged_block look;
	lock_acquire(&d->lock);
	bool due = d->count > 0 && now_ns >= d->next_look_ns;
	if (due) {
		d->next = (d->next + 1) % d->count;
		look = d->blocks[d->next];
		/* A round through all of them in the interval, so that many do not take longer to be forgotten than one. */
		d->next_look_ns = now_ns + LOOK_INTERVAL_NS / d->count;
	}
	lock_release(&d->lock);
	if (due && !still_damaged(os, look.ino, look.block)) damaged_forget(os, look.ino, look.block);
}
