/* What a stream does by itself: records that have become too old go, and an end that could not be recorded is tried again.
 *
 * A stream is in the list from the moment when it is opened or appended to with records that will be too old one day; its time is that of the
 * oldest. Appending trims too, so the list matters for streams that nobody writes to. One that nobody has opened since the start keeps
 * what it has until then. */
#include "objects/object.h"

#include "base/log.h"

#define BATCH 64u
#define RETRY_NS NS_PER_SECOND

struct stream_age { uint64_t ino; int64_t due_ns; /* wall clock */ bool end; UT_hash_handle hh; };

void stream_age_init(struct objects *os) { lock_init(&os->stream_age_lock, "stream ages", LOCK_LEAF); }

void stream_age_done(struct objects *os)
{
	struct stream_age *a, *next;
	HASH_ITER(hh, os->stream_ages, a, next) {
		HASH_DEL(os->stream_ages, a);
		free(a);
	}
	lock_done(&os->stream_age_lock);
}

/* Without memory for it, the next append or open will do. */
static void note(struct objects *os, uint64_t ino, int64_t due_ns, bool end)
{
	LOCK_GUARD(&os->stream_age_lock);
	struct stream_age *a;
	HASH_FIND(hh, os->stream_ages, &ino, sizeof(ino), a);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a) return;
		*a = (struct stream_age){ .ino = ino, .due_ns = due_ns };
		HASH_ADD(hh, os->stream_ages, ino, sizeof(a->ino), a);
		if (!hash_added(hh, a)) {
			free(a);
			return;
		}
	}
	if (due_ns < a->due_ns) a->due_ns = due_ns;
	a->end |= end;
}

static bool known(struct objects *os, uint64_t ino)
{
	LOCK_GUARD(&os->stream_age_lock);
	struct stream_age *a;
	HASH_FIND(hh, os->stream_ages, &ino, sizeof(ino), a);
	return a != NULL;
}

void stream_age_note(struct object *o)
{
	const struct stream_state *s = &o->record.stream;
	int64_t oldest_ns;
	if (s->trim_age_ns <= 0 || s->start == s->end || known(o->os, o->ino)) return;
	if (state_stream_oldest(cluster_state(o->os->cluster, o->ino), o->ino, &oldest_ns) < 0) return;
	note(o->os, o->ino, oldest_ns > INT64_MAX - s->trim_age_ns ? INT64_MAX : oldest_ns + s->trim_age_ns, false);
}

void stream_end_later(struct object *o) { note(o->os, o->ino, clock_wall_ns(o->os->clock) + RETRY_NS, true); }

static size_t take_due(struct objects *os, int64_t now_ns, struct stream_age *taken)
{
	size_t count = 0;
	struct stream_age *a, *next;
	LOCK_GUARD(&os->stream_age_lock);
	HASH_ITER(hh, os->stream_ages, a, next) {
		if (a->due_ns > now_ns || count == BATCH) continue;
		taken[count++] = *a;
		HASH_DEL(os->stream_ages, a);
		free(a);
	}
	return count;
}

void stream_age_run(struct objects *os)
{
	struct stream_age due[BATCH];
	int64_t now_ns = clock_wall_ns(os->clock);
	size_t count = take_due(os, now_ns, due);
	for (size_t i = 0; i < count; i++) {
		struct object *o;
		int r = object_acquire(os, due[i].ino, &o);
		if (r == 0) {
			r = stream_tidy(o, due[i].end);
			if (r == 0) stream_age_note(o);
			object_release(o);
		}
		if (r == 0 || r == -ENOENT) continue;
		log_warning("objects", "a stream could not be %s ino=%llu error=%d: it is tried again", due[i].end ? "ended" : "trimmed", (unsigned long long)due[i].ino, -r);
		note(os, due[i].ino, now_ns + RETRY_NS, due[i].end);
	}
}
