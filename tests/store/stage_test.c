/* The promises of store/stage.h, on both disks where no crash is needed. */
#include <pthread.h>

#include "store/stage.h"
#include "tests/store/store_test.h"

static const uint8_t this_boot[16] = "this boot", other_boot[16] = "other boot";

static int append(struct stage *s, uint64_t ino, enum stage_kind kind, uint64_t offset, const char *text, struct stage_record *ret)
{
	*ret = (struct stage_record){ .ino = ino, .kind = kind, .offset = offset, .size = text ? strlen(text) : 100, .time_ns = 1234567890123 };
	return stage_append(s, ret, text);
}

static const char *read_text(struct stage *s, struct stage_place place, uint64_t skip, size_t size)
{
	static char text[64];
	int r = stage_read(s, place, skip, text, size);

	text[size] = '\0';
	if (r < 0)
		snprintf(text, sizeof(text), "%d", r);
	return text;
}

struct seen { struct stage_record records[2000]; int count, stop_at; uint64_t last_seq; bool unordered; };

static int see(void *arg, const struct stage_record *r)
{
	struct seen *seen = arg;

	seen->unordered |= r->seq <= seen->last_seq;
	seen->last_seq = r->seq;
	if (seen->count < 2000)
		seen->records[seen->count] = *r;
	return ++seen->count == seen->stop_at ? -ECANCELED : 0;
}

static bool same(const struct stage_record *a, const struct stage_record *b)
{
	return a->ino == b->ino && a->seq == b->seq && a->kind == b->kind && a->offset == b->offset && a->size == b->size && a->time_ns == b->time_ns;
}

static void kinds_and_replay(struct disk *d)
{
	static struct seen seen;
	struct stage_record r[5];
	struct stage *s = NULL;
	int wrong = 0;

	memset(&seen, 0, sizeof(seen));
	is_int(stage_open(d, "stage1", this_boot, &s), 0, "a new staging log");
	is_int(stage_replay(s, see, &seen), 0, "replay");
	is_int(seen.count, 0, "of nothing");
	is_int(append(s, 7, STAGE_DATA, 4096, "hello world", &r[0]), 0, "bytes");
	is_int(append(s, 8, STAGE_TAIL, 1 << 20, NULL, &r[1]), 0, "a tail");
	is_int(append(s, 7, STAGE_HOLE, 0, NULL, &r[2]), 0, "a hole");
	is_int(append(s, 9, STAGE_SIZE, 1ull << 40, NULL, &r[3]), 0, "a size");
	is_int(append(s, 7, STAGE_DATA, 0, "x", &r[4]), 0, "more bytes");
	ok(r[0].seq > 0 && r[0].seq < r[1].seq && r[1].seq < r[2].seq && r[2].seq < r[3].seq && r[3].seq < r[4].seq, "sequence numbers grow");
	is_str(read_text(s, r[0].place, 0, 11), "hello world", "the bytes are read");
	is_str(read_text(s, r[0].place, 6, 5), "world", "a part of them");
	is_str(read_text(s, r[4].place, 0, 1), "x", "the others");
	stage_close(s);

	is_int(stage_open(d, "stage1", this_boot, &s), 0, "opened by the next daemon");
	is_int(stage_replay(s, see, &seen), 0, "replay");
	is_int(seen.count, 5, "gives each record");
	for (int i = 0; i < 5; i++)
		wrong += !same(&seen.records[i], &r[i]);
	is_int(wrong, 0, "as it was");
	ok(!seen.unordered, "in order");
	is_str(read_text(s, seen.records[0].place, 0, 11), "hello world", "and its bytes are read");
	uint64_t last = r[4].seq;
	is_int(append(s, 7, STAGE_DATA, 0, "y", &r[0]), 0, "a new record");
	ok(r[0].seq > last, "has a new number");
	for (int i = 0; i < 5; i++)
		stage_release(s, seen.records[i].place);
	is_str(read_text(s, r[0].place, 0, 1), "y", "releasing the old ones leaves the new one");
	stage_close(s);

	memset(&seen, 0, sizeof(seen));
	stage_open(d, "stage1", this_boot, &s);
	stage_replay(s, see, &seen);
	ok(seen.count >= 1 && same(&seen.records[seen.count - 1], &r[0]), "the new one is replayed (with %d before it)", seen.count - 1);
	last = r[0].seq;
	stage_close(s);

	memset(&seen, 0, sizeof(seen));
	is_int(stage_open(d, "stage1", other_boot, &s), 0, "opened after another boot");
	is_int(stage_replay(s, see, &seen), 0, "replay");
	is_int(seen.count, 0, "gives nothing: what is from before is discarded");
	is_int(append(s, 7, STAGE_DATA, 0, "z", &r[0]), 0, "a record");
	ok(r[0].seq > last, "has a number never used before");
	stage_close(s);
	stage_open(d, "stage1", this_boot, &s);
	memset(&seen, 0, sizeof(seen));
	stage_replay(s, see, &seen);
	is_int(seen.count, 0, "nor does the first boot's come back");
	stage_close(s);
}

static void replay_stops(struct disk *d)
{
	static struct seen seen;
	struct stage_record r;
	struct stage *s = NULL;

	memset(&seen, 0, sizeof(seen));
	stage_open(d, "stops", this_boot, &s);
	for (int i = 0; i < 10; i++)
		append(s, 1, STAGE_DATA, 0, "x", &r);
	stage_close(s);
	stage_open(d, "stops", this_boot, &s);
	seen.stop_at = 4;
	is_int(stage_replay(s, see, &seen), -ECANCELED, "what the caller returns ends the replay");
	is_int(seen.count, 4, "there");
	stage_close(s);
}

static int count_names(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static int files_in(struct disk *d, const char *folder)
{
	int count = 0;

	disk_list(d, folder, count_names, &count);
	return count;
}

/* Much more goes through than is live at a time. */
static void segments_come_back(struct disk *d)
{
	enum { SIZE = 256 << 10, LIVE = 40, COUNT = 2000 };
	static uint8_t bytes[SIZE], back[SIZE];
	struct stage_record *live = calloc(LIVE, sizeof(*live));
	struct stage *s = NULL;
	int most = 0, wrong = 0;
	uint64_t least_bytes = UINT64_MAX, most_bytes = 0;

	stage_open(d, "recycle", this_boot, &s);
	for (uint64_t i = 0; i < COUNT; i++) {
		struct stage_record *r = &live[i % LIVE];
		if (i >= LIVE) {
			memset(bytes, (int)(i - LIVE), SIZE);
			wrong += stage_read(s, r->place, 0, back, SIZE) != 0 || memcmp(back, bytes, SIZE) != 0;
			stage_release(s, r->place);
		}
		memset(bytes, (int)i, SIZE);
		*r = (struct stage_record){ .ino = i, .kind = STAGE_DATA, .size = SIZE };
		wrong += stage_append(s, r, bytes) != 0;
		if (i % 50 == 0) {
			uint64_t now = stage_bytes(s);
			most = files_in(d, "recycle") > most ? files_in(d, "recycle") : most;
			most_bytes = now > most_bytes ? now : most_bytes;
			least_bytes = now < least_bytes ? now : least_bytes;
		}
	}
	is_int(wrong, 0, "500 MiB in pieces of 256 KiB, each read back before it is released");
	ok(most <= 8, "no more than %d files at a time for 10 MiB that are live", most);
	ok(most_bytes <= 160 << 20, "and %" PRIu64 " bytes of segments", most_bytes);
	stage_close(s);
	static struct seen seen;
	memset(&seen, 0, sizeof(seen));
	stage_open(d, "recycle", this_boot, &s);
	stage_replay(s, see, &seen);
	int found = 0;
	for (int i = 0; i < LIVE; i++)
		for (int k = 0; k < seen.count && k < 2000; k++)
			found += same(&seen.records[k], &live[i]);
	is_int(found, LIVE, "what was not released is replayed");
	ok(!seen.unordered, "in order, over segments used again");
	stage_close(s);
	free(live);
}

/* A record that is the largest; and one that says so wrongly is the caller's bug. */
static void largest(struct disk *d)
{
	static uint8_t bytes[STAGE_RECORD_MAX], back[STAGE_RECORD_MAX];
	struct stage_record r = { .ino = 1, .kind = STAGE_DATA, .size = STAGE_RECORD_MAX };
	struct stage *s = NULL;

	memset(bytes, 'L', sizeof(bytes));
	stage_open(d, "largest", this_boot, &s);
	is_int(stage_append(s, &r, bytes), 0, "the largest record");
	is_int(stage_read(s, r.place, 0, back, sizeof(back)), 0, "is read");
	is_mem(back, bytes, sizeof(bytes), "with all its bytes");
	stage_close(s);
}

struct worker { pthread_t thread; struct stage *stage; uint64_t ino; int wrong; };

static void *work(void *arg)
{
	struct worker *w = arg;
	char text[32], back[32];

	for (int i = 0; i < 500; i++) {
		struct stage_record r;
		snprintf(text, sizeof(text), "%" PRIu64 "/%d", w->ino, i);
		w->wrong += append(w->stage, w->ino, STAGE_DATA, 0, text, &r) != 0;
		w->wrong += stage_read(w->stage, r.place, 0, back, strlen(text)) != 0 || memcmp(back, text, strlen(text)) != 0;
		if (i % 3)
			stage_release(w->stage, r.place);
	}
	return NULL;
}

static void threads(struct disk *d)
{
	struct worker w[4];
	struct stage *s = NULL;
	int wrong = 0;

	stage_open(d, "threads", this_boot, &s);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct worker){ .stage = s, .ino = (uint64_t)i + 1 };
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(w[i].thread, NULL);
		wrong += w[i].wrong;
	}
	is_int(wrong, 0, "4 threads append, read and release, each for its inode");
	stage_close(s);
}

static void suite(struct disk *d, const char *which)
{
	printf("# %s\n", which);
	kinds_and_replay(d);
	replay_stops(d);
	largest(d);
	segments_come_back(d);
}

int main(void)
{
	struct random_seeded random;
	struct disk *d;
	char path[PATH_MAX];

	folder_make(path);
	disk_posix_new(path, &d);
	suite(d, "posix");
	threads(d);
	disk_free(d);
	folder_remove(path);

	random_seeded_init(&random, 1);
	disk_sim_new(&random.source, 512 << 20, &d);
	suite(d, "simulated");
	disk_free(d);
	return done_testing();
}
