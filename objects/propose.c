/* One way to propose a command from this floor: what it touched becomes stale in memory, and watchers hear of it. */
#include "objects/object.h"

static void tell(struct objects *os, struct object *o, const struct result *result)
{
	uint64_t own = o && result->has_record && result->record.ino == o->ino ? o->ino : 0;
	table_forget(os, result, own);
	if (o) {
		o->changed = true;
		return;
	}
	for (uint32_t i = 0; i < result->touched_count; i++) watch_fire(os, result->touched[i]);
}

int object_redone(struct objects *os, struct object *o, struct result *ret_result)
{
	int r = cluster_redone(os->cluster, ret_result);
	if (r <= 0) return r;
	/* Not yet synced, for all that is known. */
	atomic_store(&os->unsynced, true);
	tell(os, o, ret_result);
	if (o) {
		atomic_store(&o->stale, true);
		r = object_refresh(o);
	}
	return r < 0 ? r : 1;
}

int object_propose(struct objects *os, struct object *o, struct command *c, bool durable, struct result *ret_result)
{
	int r = c->counts ? object_redone(os, o, ret_result) : 0;
	if (r > 0) return durable ? cluster_sync(os->cluster) : 0;
	if (r == 0) r = cluster_propose(os->cluster, c, durable, ret_result);
	if (r == -EIO) table_forget_all(os);   /* the outcome is not known yet */
	if (r < 0) return r;
	if (!durable) atomic_store(&os->unsynced, true);
	if (o && ret_result->has_record && ret_result->record.ino == o->ino) {
		o->record = ret_result->record;
		if (o->record.in_place) (void)in_place_refresh(o);   /* it is done, whatever the head says */
		if (c->kind != COMMAND_STREAM_APPEND) stream_recent_follow(o);
	}
	tell(os, o, ret_result);
	return 0;
}
