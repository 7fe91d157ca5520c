/* The promises of store/log.h, on both disks where no crash is needed. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/crc32c.h"
#include "store/bytes.h"
#include "store/log.h"
#include "store/log_format.h"
#include "tests/store/store_test.h"

#define SMALL (16u << 10)   /* bytes of a segment: a few entries fill it */

static int append(struct log *log, uint32_t group, uint64_t index, uint64_t term, const char *text)
{
	struct log_entry e = { .index = index, .term = term, .type = 7, .data = text_slice(text) };

	return log_append(log, group, &e, 1);
}

/* "term:text", or the error's number. */
static const char *read_entry(struct log *log, uint32_t group, uint64_t index)
{
	static char text[1024];
	struct buffer data;
	uint64_t term;
	uint16_t type;

	buffer_init(&data, LOG_ENTRY_MAX + 4096);
	int r = log_read(log, group, index, &term, &type, &data);
	if (r < 0)
		snprintf(text, sizeof(text), "%d", r);
	else
		snprintf(text, sizeof(text), "%" PRIu64 ":%.*s%s", term, (int)data.size, (const char *)data.data, type == 7 ? "" : "?");
	buffer_done(&data);
	return text;
}

static void is_group(struct log *log, uint32_t group, uint64_t first, uint64_t last, uint64_t base_term, const char *what)
{
	struct log_group g;

	log_get_group(log, group, &g);
	ok(g.group == group && g.first_index == first && g.last_index == last && g.base_index == first - 1 && g.base_term == base_term,
	   "%s: [%" PRIu64 ", %" PRIu64 "] after (%" PRIu64 ", term %" PRIu64 ")", what, g.first_index, g.last_index, g.base_index, g.base_term);
}

static struct log *reopen(struct disk *d, struct log *log, const char *folder, uint32_t size)
{
	struct log *again = NULL;

	log_close(log);
	is_int(log_open(d, folder, size, &again), 0, "opened again");
	return again;
}

static void appends_and_reads(struct disk *d)
{
	struct log *log = NULL;
	struct log_group g;

	is_int(log_open(d, "log1", SMALL, &log), 0, "a new log");
	log_get_group(log, 3, &g);
	ok(g.group == 3 && g.first_index == 1 && g.last_index == 0 && !g.term && !g.voted_for && !g.base_index && !g.base_term, "a new group is empty");
	is_str(read_entry(log, 3, 1), "-2", "reading what is not there: ENOENT");
	is_int(append(log, 3, 1, 1, "one"), 0, "entry 1");
	is_int(append(log, 3, 2, 1, "two"), 0, "entry 2");
	is_int(append(log, 3, 4, 1, "four"), -EINVAL, "a gap: EINVAL");
	is_int(append(log, 3, 0, 1, "zero"), -EINVAL, "entry 0: EINVAL");
	is_int(append(log, 9, 1, 5, ""), 0, "an empty entry of another group");
	is_str(read_entry(log, 3, 1), "1:one", "read");
	is_str(read_entry(log, 3, 2), "1:two", "read");
	is_str(read_entry(log, 9, 1), "5:", "read");
	struct log_entry odd[2] = { { .index = 3, .term = 1 }, { .index = 5, .term = 1 } };
	is_int(log_append(log, 3, odd, 2), -EINVAL, "indexes that are not consecutive: EINVAL");
	is_group(log, 3, 1, 2, 0, "nothing of them was appended");
	is_int(log_append(log, 3, odd, 0), 0, "no entries at all is fine");
	is_int(log_sync(log), 0, "sync");
	is_int(log_sync(log), 0, "sync with nothing to do");
	log = reopen(d, log, "log1", SMALL);
	is_str(read_entry(log, 3, 1), "1:one", "found again");
	is_str(read_entry(log, 9, 1), "5:", "found again");
	is_group(log, 3, 1, 2, 0, "found again");

	is_int(append(log, 3, 3, 2, "three"), 0, "entry 3, in the segment that was there");
	is_int(append(log, 3, 2, 3, "TWO"), 0, "entry 2 again, of a later term");
	is_group(log, 3, 1, 2, 0, "the tail was cut there");
	is_str(read_entry(log, 3, 2), "3:TWO", "and replaced");
	is_int(append(log, 3, 3, 3, "THREE"), 0, "entry 3 again");
	is_int(log_cut_tail(log, 3, 3), 0, "cut at 3");
	is_int(log_cut_tail(log, 3, 3), 0, "nothing left to cut is fine");
	is_int(log_cut_tail(log, 77, 1), 0, "also in a group that is not there");
	log = reopen(d, log, "log1", SMALL);
	is_group(log, 3, 1, 2, 0, "replacing and cutting are found again");
	is_str(read_entry(log, 3, 2), "3:TWO", "the replaced entry too");

	is_int(log_set_vote(log, 3, 8, 42), 0, "a vote");
	log_get_group(log, 3, &g);
	ok(g.term == 8 && g.voted_for == 42, "is known");
	log = reopen(d, log, "log1", SMALL);
	log_get_group(log, 3, &g);
	ok(g.term == 8 && g.voted_for == 42 && g.last_index == 2, "and found again, with the entries");
	log_close(log);
}

static void sizes(struct disk *d)
{
	static char big[20000];
	struct log *log = NULL;
	struct log_entry e = { .index = 1, .term = 1, .data = { (const uint8_t *)big, sizeof(big) } };

	is_int(log_open(d, "sizes", 4096, &log), -EINVAL, "segments too small: EINVAL");
	is_int(log_open(d, "sizes", SMALL + 1, &log), -EINVAL, "not a multiple of 64: EINVAL");
	is_int(log_open(d, "sizes", SMALL, &log), 0, "open");
	is_int(log_append(log, 1, &e, 1), -EMSGSIZE, "an entry larger than a segment: EMSGSIZE");
	e.data.size = SMALL - 512 - 64 - 64;
	is_int(log_append(log, 1, &e, 1), 0, "one that just fits");
	e.index = 2;
	is_int(log_append(log, 1, &e, 1), 0, "and another, in the next segment");
	is_int(log_bytes(log), 2 * (SMALL - 512 - 64), "bytes are counted");
	is_int(log_compact(log, 1, 1, 1), 0, "compacted");
	is_int(log_bytes(log), SMALL - 512 - 64, "and no longer counted");
	log_close(log);

	is_int(log_open(d, "large", LOG_ENTRY_MAX + 4096, &log), 0, "segments for the largest entry");
	char *huge = calloc(1, LOG_ENTRY_MAX + 1);
	e = (struct log_entry){ .index = 1, .term = 1, .type = 1, .data = { (const uint8_t *)huge, LOG_ENTRY_MAX + 1 } };
	is_int(log_append(log, 1, &e, 1), -EMSGSIZE, "larger than the largest: EMSGSIZE");
	memset(huge, 'h', LOG_ENTRY_MAX);
	e.data.size = LOG_ENTRY_MAX;
	is_int(log_append(log, 1, &e, 1), 0, "the largest");
	struct buffer data;
	uint64_t term;
	uint16_t type;
	buffer_init(&data, LOG_ENTRY_MAX + 4096);
	is_int(log_read(log, 1, 1, &term, &type, &data), 0, "is read");
	ok(data.size == LOG_ENTRY_MAX && memcmp(data.data, huge, LOG_ENTRY_MAX) == 0, "with all its bytes");
	buffer_done(&data);
	free(huge);
	log_close(log);
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

static void many_entries_at_once(struct disk *d)
{
	enum { COUNT = 500 };
	static struct log_entry e[COUNT];
	static char texts[COUNT][100];
	struct log *log = NULL;
	int wrong = 0;

	for (int i = 0; i < COUNT; i++) {
		snprintf(texts[i], sizeof(texts[i]), "entry %d %0*d", i, i % 70, 0);
		e[i] = (struct log_entry){ .index = (uint64_t)i + 1, .term = 2, .type = 7, .data = text_slice(texts[i]) };
	}
	log_open(d, "many", SMALL, &log);
	is_int(log_append(log, 1, e, COUNT), 0, "500 entries at once, over several segments");
	log = reopen(d, log, "many", SMALL);
	for (int i = 0; i < COUNT; i++) {
		char want[128];
		snprintf(want, sizeof(want), "2:%.99s", texts[i]);
		wrong += strcmp(read_entry(log, 1, (uint64_t)i + 1), want) != 0;
	}
	is_int(wrong, 0, "each is found again as it was");
	log_close(log);
}

/* Ten groups, compacted behind: the number of files stays bounded, and what must survive does. */
static void recycling(struct disk *d)
{
	struct log *log = NULL;
	char text[600];
	int most = 0, wrong = 0;

	memset(text, 'r', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_open(d, "recycle", SMALL, &log);
	is_int(log_set_vote(log, 99, 5, 6), 0, "a vote in a group that is quiet from then on");
	for (uint64_t i = 1; i <= 600; i++) {
		for (uint32_t g = 0; g < 10; g++)
			wrong += append(log, g, i, 1, text) != 0;
		if (i % 20 == 0) {
			wrong += log_sync(log) != 0;
			for (uint32_t g = 0; g < 10; g++)
				wrong += log_compact(log, g, i - 10, 1) != 0;
			most = files_in(d, "recycle") > most ? files_in(d, "recycle") : most;
		}
		if (i == 300)
			log = reopen(d, log, "recycle", SMALL);
	}
	is_int(wrong, 0, "6,000 entries of 600 bytes, compacted behind");
	ok(most > 5 && most < 40, "at most %d files of 16 KiB are in use", most);
	log = reopen(d, log, "recycle", SMALL);
	for (uint32_t g = 0; g < 10; g++)
		wrong += strcmp(read_entry(log, g, 595) + 2, text) != 0;
	is_int(wrong, 0, "the last entries are there");
	is_group(log, 4, 591, 600, 1, "the base is known");
	struct log_group quiet;
	log_get_group(log, 99, &quiet);
	ok(quiet.term == 5 && quiet.voted_for == 6, "the vote of the quiet group has outlived its first segment");
	is_str(read_entry(log, 4, 590), "-2", "what was compacted is not in the log");
	is_int(append(log, 4, 590, 2, "x"), -EINVAL, "nor can it be replaced");
	is_int(log_cut_tail(log, 4, 590), -EINVAL, "nor cut");
	log_close(log);
}

static void compaction(struct disk *d)
{
	struct log *log = NULL;

	log_open(d, "compact", SMALL, &log);
	for (uint64_t i = 1; i <= 10; i++)
		append(log, 1, i, i, "x");
	is_int(log_compact(log, 1, 4, 4), 0, "up to 4");
	is_group(log, 1, 5, 10, 4, "the others stay");
	is_int(log_compact(log, 1, 3, 3), 0, "less than before is nothing");
	is_group(log, 1, 5, 10, 4, "nothing changed");
	is_int(log_compact(log, 1, 10, 10), 0, "up to the last");
	is_group(log, 1, 11, 10, 10, "the log is empty behind it");
	is_int(append(log, 1, 11, 11, "y"), 0, "and goes on");
	is_int(log_compact(log, 1, 50, 20), 0, "beyond the last, as after installing a snapshot");
	is_group(log, 1, 51, 50, 20, "empty behind it");
	is_int(append(log, 1, 51, 20, "z"), 0, "and goes on there");
	is_int(append(log, 1, 52, 20, "z"), 0, "and goes on there");
	is_int(log_compact(log, 1, 51, 21), 0, "at an entry of another term");
	is_group(log, 1, 52, 51, 21, "what followed it is gone too");
	append(log, 1, 52, 22, "last");
	log = reopen(d, log, "compact", SMALL);
	is_group(log, 1, 52, 52, 21, "all of it is found again");
	is_str(read_entry(log, 1, 52), "22:last", "with its entry");
	log_close(log);
}

static void other_segment_size(struct disk *d)
{
	struct log *log = NULL;

	log_open(d, "resize", SMALL, &log);
	for (uint64_t i = 1; i <= 300; i++)
		append(log, 1, i, 1, "some text that fills segments");
	log = reopen(d, log, "resize", 2 * SMALL);
	is_str(read_entry(log, 1, 1), "1:some text that fills segments", "with larger segments the old ones are read");
	for (uint64_t i = 301; i <= 900; i++)
		append(log, 1, i, 1, "some text that fills segments");
	log = reopen(d, log, "resize", SMALL);
	is_group(log, 1, 1, 900, 0, "and both together with the old size");
	log_close(log);
}

static void foreign_files(struct disk *d)
{
	struct log *log = NULL;

	log_open(d, "foreign", SMALL, &log);
	append(log, 1, 1, 1, "x");
	log_close(log);
	file_put(d, "foreign/notes.txt", "hello");
	file_put(d, "foreign/0x000012", "nearly a number");
	file_put(d, "foreign/ffffffff", "the one after it would be the first again");
	file_put(d, "foreign/00000077", "");
	is_int(log_open(d, "foreign", SMALL, &log), 0, "files that are no segments, or were never finished, are no obstacle");
	is_str(read_entry(log, 1, 1), "1:x", "what is there is found");
	ok(file_exists(d, "foreign/notes.txt") && file_exists(d, "foreign/0x000012") && file_exists(d, "foreign/ffffffff"), "the foreign files are left alone");
	ok(!file_exists(d, "foreign/00000077"), "the unfinished segment is deleted");
	log_close(log);
	file_put(d, "foreign/00000088", "this is not a segment of a log at all, however long it may be ....");
	is_int(log_open(d, "foreign", SMALL, &log), -EBADMSG, "a segment whose header is damaged: EBADMSG");
}

struct worker { pthread_t thread; struct log *log; pthread_mutex_t *mutex; uint64_t *next; int wrong; };

/* Appends come from one thread at a time, syncs from all. */
static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(w->mutex);
		w->wrong += append(w->log, 1, (*w->next)++, 1, "from a thread") != 0;
		pthread_mutex_unlock(w->mutex);
		w->wrong += log_sync(w->log) != 0;
	}
	return NULL;
}

static void threads(struct disk *d)
{
	struct worker w[8];
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct log *log = NULL;
	uint64_t next = 1;
	int wrong = 0;

	log_open(d, "threads", 1 << 20, &log);
	for (int i = 0; i < 8; i++) {
		w[i] = (struct worker){ .log = log, .mutex = &mutex, .next = &next };
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(w[i].thread, NULL);
		wrong += w[i].wrong;
	}
	is_int(wrong, 0, "8 threads append and sync 100 times each");
	is_group(log, 1, 1, 800, 0, "all entries are there");
	log_close(log);
}

/* A record is one at its own place in this life of its segment only: not old bytes, not a copy, not a user's forgery. */
static void records_elsewhere(void)
{
	uint8_t bytes[128] = { 0 }, forged[128];
	struct log_record r = { .kind = LOG_ENTRY, .group = 1, .index = 2, .term = 3, .type = 4, .synced = { 5, 6 }, .data = text_slice("data") }, back;

	log_record_encode(&r, 10, 0x1234567890abcdef, 640, bytes);
	memcpy(bytes + LOG_RECORD_SIZE, "data", 4);
	is_int(log_record_decode(bytes, sizeof(bytes), 10, 0x1234567890abcdef, 640, &back), 0, "a record is read at its place");
	ok(back.kind == LOG_ENTRY && back.group == 1 && back.index == 2 && back.term == 3 && back.type == 4 && back.synced.seq == 5 &&
	   back.synced.offset == 6 && back.data.size == 4 && memcmp(back.data.data, "data", 4) == 0, "with all its fields");
	is_int(log_record_decode(bytes, sizeof(bytes), 11, 0x1234567890abcdef, 640, &back), -EBADMSG, "not in another life of the segment");
	is_int(log_record_decode(bytes, sizeof(bytes), 10, 0x1234567890abcdef, 704, &back), -EBADMSG, "not at another offset");
	is_int(log_record_decode(bytes, 64, 10, 0x1234567890abcdef, 640, &back), -EBADMSG, "not when the segment ends within");
	log_record_encode(&r, 10, 0, 640, forged);
	memcpy(forged + LOG_RECORD_SIZE, "data", 4);
	is_int(log_record_decode(forged, sizeof(forged), 10, 0x1234567890abcdef, 640, &back), -EBADMSG, "not by somebody who does not know the salt");
	int wrong = 0;
	for (size_t bit = 0; bit < (LOG_RECORD_SIZE + 4) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		wrong += log_record_decode(bytes, sizeof(bytes), 10, 0x1234567890abcdef, 640, &back) != -EBADMSG;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	is_int(wrong, 0, "not with any bit flipped");
}

static void newer_version(struct disk *d)
{
	uint8_t bytes[LOG_HEADER_SIZE];
	struct disk_file *f;
	struct log *log = NULL;

	log_header_encode(&(struct log_segment_header){ .seq = 1, .tail_seq = 1, .size = SMALL }, bytes);
	bytes[8]++;
	put_le32(bytes + 12, crc32c(crc32c(0, bytes, 12), bytes + 16, sizeof(bytes) - 16));
	disk_mkdir(d, "newer");
	disk_open(d, "newer/00000000", O_RDWR | O_CREAT, &f);
	disk_pwrite(f, bytes, sizeof(bytes), 0);
	disk_close(f);
	is_int(log_open(d, "newer", SMALL, &log), -ENOTSUP, "a segment of a newer version: ENOTSUP");
}

/* A disk whose syncs take until everybody has appended: so that sharing does not depend on how fast the machine is. */
static const struct disk_ops *plain_ops;
static struct disk_ops slow_ops;
static _Atomic int appended, syncs;
static int expected;

static int slow_open(struct disk *d, const char *path, int flags, struct disk_file **ret_file)
{
	int r = plain_ops->open(d, path, flags, ret_file);

	if (r == 0)
		(*ret_file)->ops = &slow_ops;
	return r;
}

static int slow_sync(struct disk_file *f)
{
	while (appended < expected)
		sched_yield();
	syncs++;
	return plain_ops->sync(f);
}

static void *append_and_sync(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(w->mutex);
	w->wrong += append(w->log, 1, (*w->next)++, 1, "from a thread") != 0;
	pthread_mutex_unlock(w->mutex);
	appended++;
	w->wrong += log_sync(w->log) != 0;
	return NULL;
}

static void syncs_are_shared(struct disk *d)
{
	struct worker w[8];
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct log *log = NULL;
	uint64_t next = 1;
	int wrong = 0;

	plain_ops = d->ops;
	slow_ops = *plain_ops;
	slow_ops.open = slow_open;
	slow_ops.sync = slow_sync;
	d->ops = &slow_ops;
	log_open(d, "shared", 1 << 20, &log);
	log_sync(log);
	syncs = 0;
	expected = 8;
	for (int i = 0; i < 8; i++) {
		w[i] = (struct worker){ .log = log, .mutex = &mutex, .next = &next };
		pthread_create(&w[i].thread, NULL, append_and_sync, &w[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(w[i].thread, NULL);
		wrong += w[i].wrong;
	}
	is_int(wrong, 0, "8 threads append and sync");
	ok(syncs == 1 || syncs == 2, "the first fdatasync serves one or all, a second all others (%d)", syncs);
	log_close(log);
	d->ops = plain_ops;
}

/* A disk on which the nth write of a segment's header fails, each time anew: the others work. */
static unsigned headers, failing_header;

static int failing_open(struct disk *d, const char *path, int flags, struct disk_file **ret_file)
{
	int r = plain_ops->open(d, path, flags, ret_file);

	if (r == 0)
		(*ret_file)->ops = &slow_ops;
	return r;
}

static int failing_pwritev(struct disk_file *f, const struct iovec *iov, int count, uint64_t offset)
{
	bool header = offset == 0 && iov[0].iov_len == LOG_DATA_START;

	return header && ++headers == failing_header ? -EIO : plain_ops->pwritev(f, iov, count, offset);
}

/* Entries, compacted behind; the log goes on after an error, or is opened anew. */
static int fill_over_failures(struct disk *d, const char *folder, const char *text)
{
	struct log *log = NULL;
	int wrong = 0, tries = 0;

	while (log_open(d, folder, SMALL, &log) < 0 && ++tries < 3) {}
	for (uint64_t i = 1; log && i <= 200; i++) {
		for (tries = 0; append(log, 1, i, 1, text) != 0 && tries < 3; tries++) {}
		wrong += tries == 3;
		if (i % 50 == 0) {
			wrong += log_sync(log) != 0 || log_compact(log, 1, i - 10, 1) != 0;
			(void)log_prepare(log);
			log_close(log);
			log = NULL;
			for (tries = 0; log_open(d, folder, SMALL, &log) < 0 && tries < 3; tries++) {}
		}
	}
	wrong += !log || strcmp(read_entry(log, 1, 200) + 2, text) != 0;
	log_close(log);
	return wrong;
}

/* The newest header alone says where the log begins: it is not given up before another one is there. */
static void headers_that_cannot_be_written(struct disk *d)
{
	int wrong = 0;
	char text[600], folder[32];

	memset(text, 'h', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	plain_ops = d->ops;
	slow_ops = *plain_ops;
	slow_ops.open = failing_open;
	slow_ops.pwritev = failing_pwritev;
	d->ops = &slow_ops;
	for (failing_header = 1, headers = 1; headers >= failing_header && failing_header < 100; failing_header++) {
		headers = 0;
		snprintf(folder, sizeof(folder), "header-%u", failing_header);
		int r = fill_over_failures(d, folder, text);
		if (r != 0)
			printf("# header %u\n", failing_header);
		wrong += r != 0;
	}
	ok(failing_header > 10 && failing_header < 100 && wrong == 0, "the header of a segment cannot be written, the 1st to the %uth in turn: the log is opened", failing_header - 2);
	d->ops = plain_ops;
}

static void suite(struct disk *d, const char *which)
{
	printf("# %s\n", which);
	appends_and_reads(d);
	sizes(d);
	many_entries_at_once(d);
	recycling(d);
	compaction(d);
	other_segment_size(d);
	foreign_files(d);
	newer_version(d);
	headers_that_cannot_be_written(d);
}

int main(void)
{
	struct random_seeded random;
	struct disk *d;
	char path[PATH_MAX];

	records_elsewhere();
	folder_make(path);
	disk_posix_new(path, &d);
	suite(d, "posix");
	threads(d);
	syncs_are_shared(d);
	disk_free(d);
	folder_remove(path);

	random_seeded_init(&random, 1);
	disk_sim_new(&random.source, 256 << 20, &d);
	suite(d, "simulated");
	disk_free(d);
	return done_testing();
}
