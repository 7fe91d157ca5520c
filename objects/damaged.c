/* What reading has found damaged: the blocks whose bytes did not match their checksum, so that status can name their objects. One is forgotten when it is
 * whole again (put back, repaired, overwritten) or gone: each is looked at again now and then, by reading it. Bounded: of more than fit it is only known
 * that there are more, and `dios fsck` lists them all. */
#include "objects/object.h"

#include <stdio.h>
#include <string.h>
#include "base/condition.h"
#include "base/log.h"

#define DAMAGED_MAX 256u                      /* blocks; an object whose disk is gone has no end of them */
#define LOOK_INTERVAL_NS (10 * NS_PER_SECOND) /* at one block */
#define NAMED_MAX 3u                          /* objects named in the sentence */

struct damaged_block { uint64_t ino, block; struct name name; };
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
		name_to_text(&d->blocks[i].name, text);
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s (inode %llu)", objects > 1 ? ", " : "", text, (unsigned long long)d->blocks[i].ino);
	}
	condition_raise(CONDITION_DAMAGE, "%s%u object%s %s damaged bytes: %s%s", d->more ? "at least " : "", objects, objects == 1 ? "" : "s",
		objects == 1 ? "has" : "have", list, objects > NAMED_MAX ? ", and others" : "");
}

void damaged_note(struct object *o, uint64_t block)
{
	struct damaged *d = o->os->damaged;
	LOCK_GUARD(&d->lock);
	for (unsigned i = 0; i < d->count; i++)
		if (d->blocks[i].ino == o->ino && d->blocks[i].block == block) return;
	if (d->count == DAMAGED_MAX) d->more = true;
	else d->blocks[d->count++] = (struct damaged_block){ .ino = o->ino, .block = block, .name = o->record.name };
	say(d);
}

static bool still_damaged(struct objects *os, uint64_t ino, uint64_t block)
{
	uint8_t bytes[BLOCK_SIZE];
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r != -ENOENT;
	r = o->record.kind == KIND_BLOB ? blob_read_committed(o, block * BLOCK_SIZE, bytes, BLOCK_SIZE) : 0;
	object_release(o);
	return r < 0;
}

static void forget(struct damaged *d, uint64_t ino, uint64_t block)
{
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
	if (due && !still_damaged(os, look.ino, look.block)) forget(d, look.ino, look.block);
}
