/* One way to propose a command from this floor: what it touched becomes stale in memory, and watchers hear of it. */
#include "objects/object.h"

int object_propose(struct objects *os, struct object *o, struct command *c, bool durable, struct result *ret_result)
{
	int r = cluster_propose(os->cluster, c, durable, ret_result);
	if (r == -EIO && o) atomic_store(&o->stale, true);   /* the outcome is not known: it may have been applied */
	if (r < 0) return r;
	if (!durable) atomic_store(&os->unsynced, true);
	uint64_t own = o && ret_result->has_record && ret_result->record.ino == o->ino ? o->ino : 0;
	if (own) o->record = ret_result->record;
	table_forget(os, ret_result, own);
	if (o) {
		o->changed = true;
		return 0;
	}
	for (uint32_t i = 0; i < ret_result->touched_count; i++) watch_fire(os, ret_result->touched[i]);
	return 0;
}
