/* The realm's quota, before apply decides (cluster/state_quota.c): so that write() can say it. What write() has taken in is somebody's, and its
 * commit is not refused any more, whatever the limit has become by then; so here is where it has to be known.
 *
 * What is written and not committed counts as pending: for each object a bound on the bytes that its commits will take, and their sum. What grows
 * in place, behind the state's back, is seen when the head is looked at (seal.c, within half a second) and counts until it is sealed. A write is
 * taken if what is used, has grown and is pending leave room for it. Where the bounds leave none, the object is committed, and what is
 * written over blocks that are there takes nothing. What apply decides about alone (commit_write, clones, records of streams) has to leave
 * room for what is pending too.
 *
 * A commit, or sealing, is counted twice while it is under way: as used by apply, and as pending or grown until we hear of it. So what is under way is left out where
 * a write would be refused: none is refused that has room. */
#include "objects/object.h"

#include "base/counter.h"

#define LOOKS_MAX 16              /* at sums that change meanwhile; then it is taken: it can be past the limit by what is under way */

COUNTER(refused, "dios_objects_quota_refused_total", "Writes that were refused because the quota is used up");

static struct state_usage usage_of(const struct objects *os)
{
	struct state_usage usage = { 0 };
	(void)state_get_usage(cluster_state(os->cluster, ROOT_INO), REALM_FIRST, &usage);
	return usage;
}

/* Whether what is used and pending is certainly past the limit. */
static bool is_over(struct objects *os, uint64_t more)
{
	for (unsigned look = 0; look < LOOKS_MAX; look++) {
		uint64_t ended = atomic_load(&os->commits_ended), before = atomic_load(&os->committing_bytes);
		uint64_t pending = atomic_load(&os->pending_bytes) + atomic_load(&os->grown_bytes);
		struct state_usage usage = usage_of(os);
		uint64_t under_way = atomic_load(&os->committing_bytes);
		if (under_way < before) under_way = before;
		if (usage.limit.bytes == 0 || usage.used.bytes + pending + more <= usage.limit.bytes + under_way) return false;
		if (ended == atomic_load(&os->commits_ended)) return true;
	}
	return false;
}

bool quota_has_room(struct objects *os, uint64_t bytes) { return bytes == 0 || usage_of(os).limit.bytes == 0 || !is_over(os, bytes); }

/* ---- what a write takes -------------------------------------------------------------------------------------------- */

static uint64_t round_up(uint64_t size, uint64_t unit) { return (size + unit - 1) / unit * unit; }

static uint64_t above(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

static uint64_t touched(uint64_t offset, uint64_t end) { return round_up(end, BLOCK_SIZE) - offset / BLOCK_SIZE * BLOCK_SIZE; }

static bool stays_inline(const struct object *o, uint64_t end)
{
	uint32_t most = o->os->options.inline_max;
	return o->record.place == PLACE_INLINE && !o->moving && end <= most && blob_size_now(o) <= most;
}

/* Content in the record takes all of its size, holes too. */
static uint64_t inline_growth(const struct object *o, uint64_t end)
{
	uint64_t size = blob_size_now(o);
	return above(round_up(end > size ? end : size, 512), o->record.blocks * 512);
}

/* No less than what the object will take once this is written too. */
static uint64_t growth_bound(const struct object *o, uint64_t offset, uint64_t end)
{
	if (stays_inline(o, end)) {
		uint64_t growth = inline_growth(o, end);
		return growth > o->pending ? growth : o->pending;
	}
	bool moves = o->record.place == PLACE_INLINE && !o->moving;
	return o->pending + touched(offset, end) + (moves ? o->os->options.inline_max + BLOCK_SIZE : 0);
}

static int count_holes(struct object *o, uint64_t first, uint64_t end, uint64_t *ret_count)
{
	struct state *state = cluster_state(o->os->cluster, o->ino);
	struct state_crcs crcs;
	uint64_t count = 0;
	for (uint64_t block = first; block < end;) {
		uint64_t mib = block / CRC_BLOCKS, next = (mib + 1) * CRC_BLOCKS < end ? (mib + 1) * CRC_BLOCKS : end;
		int r = state_get_crcs(state, o->ino, mib, &crcs);
		if (r < 0 && r != -ENOENT) return r;
		for (; block < next; block++) {
			unsigned i = block % CRC_BLOCKS;
			count += r < 0 || !(crcs.present[i / 8] >> (i % 8) & 1);
		}
	}
	*ret_count = count;
	return 0;
}

/* The same exactly, of an object that has nothing uncommitted. */
static int growth_exact(struct object *o, uint64_t offset, uint64_t end, uint64_t *ret_growth)
{
	uint64_t size = o->record.size, holes = 0;
	if (stays_inline(o, end)) {
		*ret_growth = inline_growth(o, end);
		return 0;
	}
	if (o->record.place == PLACE_INLINE) {   /* it moves to a head, all that it has */
		uint64_t there = round_up(size, BLOCK_SIZE), all = offset < there ? round_up(end > size ? end : size, BLOCK_SIZE) : there + touched(offset, end);
		*ret_growth = above(all, o->record.blocks * 512);
		return 0;
	}
	int r = count_holes(o, offset / BLOCK_SIZE, round_up(end, BLOCK_SIZE) / BLOCK_SIZE, &holes);
	*ret_growth = holes * BLOCK_SIZE;
	return r;
}

/* Makes what is pending of the object so much, if there is room for what is more. */
static bool take(struct object *o, uint64_t pending)
{
	struct objects *os = o->os;
	uint64_t more = above(pending, o->pending);
	if (more == 0) return true;
	LOCK_GUARD(&os->quota_lock);   /* or two that find the same room would both be refused, or both have it */
	if (is_over(os, more)) return false;
	atomic_fetch_add(&os->pending_bytes, more);
	o->pending += more;
	return true;
}

static int refuse(void)
{
	counter_add(&refused, 1);
	return -EDQUOT;
}

int quota_admit(struct object *o, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size, growth = 0;
	if (usage_of(o->os).limit.bytes == 0 || size == 0 || take(o, growth_bound(o, offset, end))) return 0;
	int r = blob_commit(o, false);
	if (r == 0) r = growth_exact(o, offset, end, &growth);
	return r < 0 ? r : take(o, growth) ? 0 : refuse();
}

int quota_admit_publication(struct object *o, uint64_t offset, uint64_t size)
{
	uint64_t growth = 0;
	if (usage_of(o->os).limit.bytes == 0 || size == 0) return 0;
	int r = growth_exact(o, offset, offset + size, &growth);
	return r < 0 ? r : quota_has_room(o->os, growth) ? 0 : refuse();
}

int quota_admit_record(struct object *o, uint64_t size)
{
	uint64_t there = o->record.stream.end - o->record.stream.start;
	return quota_has_room(o->os, above(round_up(there + size, 512), o->record.blocks * 512)) ? 0 : refuse();
}

void quota_note_replayed(struct object *o, uint64_t offset, uint64_t size)
{
	if (usage_of(o->os).limit.bytes == 0 || size == 0) return;
	uint64_t more = growth_bound(o, offset, offset + size) - o->pending;
	atomic_fetch_add(&o->os->pending_bytes, more);
	o->pending += more;
}

/* What has no room may go over what is there: the head's holes are the disk's to know. */
int quota_admit_in_place(struct object *o, uint64_t offset, uint64_t size)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	uint64_t hole;
	if (size == 0 || quota_has_room(o->os, touched(offset, offset + size))) return 0;
	if (offset >= o->record.size || offset + size > o->record.size) return refuse();
	int r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r == -ENOENT ? refuse() : r;
	r = disk_seek(head_file(head), offset, true, &hole);
	head_put(heads, head);
	return r < 0 ? r : hole >= offset + size ? 0 : refuse();
}

/* ---- as it is committed, or grows in place --------------------------------------------------------------------------- */

static void give_back(_Atomic uint64_t *sum, uint64_t *of, uint64_t bytes)
{
	if (bytes > *of) bytes = *of;
	if (bytes == 0) return;
	*of -= bytes;
	atomic_fetch_sub(sum, bytes);
}

uint64_t quota_commit_begin(struct object *o)
{
	uint64_t bytes = o->pending + o->grown;
	if (bytes > 0) atomic_fetch_add(&o->os->committing_bytes, bytes);
	return bytes;
}

void quota_commit_end(struct object *o, uint64_t begun, uint64_t blocks_before, bool done)
{
	struct objects *os = o->os;
	if (done) give_back(&os->pending_bytes, &o->pending, above(o->record.blocks, blocks_before) * 512);
	if (done && !o->record.in_place) give_back(&os->grown_bytes, &o->grown, UINT64_MAX);
	if (begun == 0) return;
	atomic_fetch_add(&os->commits_ended, 1);
	atomic_fetch_sub(&os->committing_bytes, begun);
}

void quota_settle(struct object *o)
{
	give_back(&o->os->pending_bytes, &o->pending, UINT64_MAX);
	give_back(&o->os->grown_bytes, &o->grown, UINT64_MAX);
}

void quota_note_in_place(struct object *o)
{
	struct objects *os = o->os;
	struct record sealed;
	uint64_t grown = 0;
	if (usage_of(os).limit.bytes > 0 && state_get(cluster_state(os->cluster, o->ino), o->ino, &sealed) == 0)
		grown = above(o->record.blocks, sealed.blocks) * 512;
	if (grown > o->grown) atomic_fetch_add(&os->grown_bytes, grown - o->grown);
	else atomic_fetch_sub(&os->grown_bytes, o->grown - grown);
	o->grown = grown;
}

/* ---- for people ------------------------------------------------------------------------------------------------------ */

void objects_get_usage(struct objects *os, struct state_usage *ret_usage)
{
	*ret_usage = usage_of(os);
	ret_usage->used.bytes += atomic_load(&os->grown_bytes);
}

int objects_set_quota(struct objects *os, const struct state_quota *quota)
{
	struct command c = { .kind = COMMAND_QUOTA, .quota = { .realm = REALM_FIRST, .bytes = quota->bytes, .objects = quota->objects } };
	struct result result;
	return object_propose(os, NULL, &c, true, &result);
}

int objects_statfs(struct objects *os, struct disk_space *ret_space)
{
	struct state_usage usage;
	struct disk_space space;
	int r = disk_space(os->store->disk, &space);
	if (r < 0) return r;
	objects_get_usage(os, &usage);
	if (usage.limit.bytes > 0 && usage.limit.bytes < space.total_bytes) {
		uint64_t left = above(usage.limit.bytes, usage.used.bytes);
		space.total_bytes = usage.limit.bytes;
		if (space.free_bytes > left) space.free_bytes = left;
	}
	/* A file system that makes inodes as they are wanted counts none. */
	if (usage.limit.objects > 0 && (space.total_inodes == 0 || usage.limit.objects < space.total_inodes)) {
		uint64_t left = above(usage.limit.objects, usage.used.objects);
		if (space.total_inodes == 0 || space.free_inodes > left) space.free_inodes = left;
		space.total_inodes = usage.limit.objects;
	}
	*ret_space = space;
	return 0;
}
