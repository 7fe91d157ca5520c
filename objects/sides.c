/* Side files that no row refers to any more: their rows were superseded or removed before a head took them, or the command that was to
 * refer to them was refused. Absorbing removes a side file itself where it takes the last row; the others are looked for here.
 *
 * Order: no row refers to it -> the log is synced, so that a power cut brings no such row back -> it is removed. One whose command
 * may still come has a publication under way (os->publishing), and then nothing is removed. */
#include "objects/object.h"

#include "base/log.h"

#define SIDES_BATCH 64u
#define SIDES_INTERVAL_NS (2 * NS_PER_SECOND)   /* the search goes over all rows */

struct side_search { struct objects *os; uint64_t side; bool found; };
struct side_sweep { struct objects *os; uint64_t unneeded[SIDES_BATCH]; unsigned count, left; };

static int search_row(void *arg, const struct state_row *row)
{
	struct side_search *s = arg;
	if (row->side != s->side) return 0;
	s->found = true;
	return 1;
}

static int search_ino(void *arg, uint64_t ino)
{
	struct side_search *s = arg;
	int r = state_each_row(cluster_state(s->os->cluster, ino), ino, 0, search_row, s);
	return r < 0 ? r : s->found;
}

static int look_at(void *arg, uint64_t side)
{
	struct side_sweep *w = arg;
	struct side_search search = { .os = w->os, .side = side };
	/* Before the search: a file that is listed and has no publication under way gets no row later. */
	if (atomic_load(&w->os->publishing) == 0 && w->count < SIDES_BATCH) {
		int r = state_each_unabsorbed(cluster_state(w->os->cluster, ROOT_INO), 0, search_ino, &search);
		if (r < 0) return r;
		if (!search.found) {
			w->unneeded[w->count++] = side;
			return 0;
		}
	}
	w->left++;
	return 0;
}

int sides_collect(struct objects *os)
{
	struct side_sweep w = { .os = os };
	int r = sides_list(os->store->heads, look_at, &w);
	if (r == 0 && w.count > 0) r = cluster_sync(os->cluster);
	for (unsigned i = 0; r == 0 && i < w.count; i++) r = side_remove(os->store->heads, w.unneeded[i]);
	if (r < 0 || w.left > 0) atomic_store(&os->sides_wanted, true);
	return r;
}

void sides_run(struct objects *os, int64_t now_ns)
{
	if (now_ns < os->next_sides_ns || !atomic_exchange(&os->sides_wanted, false)) return;
	os->next_sides_ns = now_ns + SIDES_INTERVAL_NS;
	int r = sides_collect(os);
	if (r < 0) log_warning("objects", "looking for unneeded side files failed error=%d: it is tried again", -r);
}
