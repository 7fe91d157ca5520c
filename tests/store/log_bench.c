/* What the Raft log and the staging log cost on this machine: log_bench [DIRECTORY] [COUNT]. Not a test: run by hand. */
#include <stdlib.h>

#include "base/clock.h"
#include "store/log.h"
#include "store/stage.h"
#include "tests/store/store_test.h"

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, int64_t *ns, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += ns[i];
	qsort(ns, count, sizeof(*ns), compare);
	printf("%-44s p50 %7.1f us  mean %7.1f us  p99 %7.1f us\n", what, (double)ns[count / 2] / 1e3, (double)sum / (double)count / 1e3,
	       (double)ns[count * 99 / 100] / 1e3);
}

static void bench_log(struct disk *d, const uint8_t *bytes, size_t size, size_t count, bool sync, const char *what)
{
	int64_t *ns = calloc(count, sizeof(*ns));
	struct log *log = NULL;
	struct log_entry e = { .term = 1, .type = 1, .data = { bytes, size } };

	if (!ns || log_open(d, "bench-log", LOG_SEGMENT_SIZE, &log) < 0)
		exit(1);
	struct log_group g;
	log_get_group(log, 1, &g);
	for (size_t i = 0; i < count; i++) {
		e.index = g.last_index + 1 + i;
		if (i % 1000 == 999)
			(void)(log_sync(log) || log_compact(log, 1, e.index - 1, 1) || log_prepare(log));
		int64_t start = clock_boot_ns(&clock_system);
		if (log_append(log, 1, &e, 1) < 0 || (sync && log_sync(log) < 0))
			exit(1);
		ns[i] = clock_boot_ns(&clock_system) - start;
	}
	print(what, ns, count);
	log_compact(log, 1, e.index, 1);
	log_close(log);
	free(ns);
}

static void bench_stage(struct disk *d, const uint8_t *bytes, size_t size, size_t count, const char *what)
{
	static const uint8_t boot_id[16] = { 1 };
	int64_t *ns = calloc(count, sizeof(*ns));
	struct stage *stage = NULL;

	if (!ns || stage_open(d, "bench-stage", boot_id, &stage) < 0)
		exit(1);
	for (size_t i = 0; i < count; i++) {
		struct stage_record r = { .ino = 5, .kind = STAGE_DATA, .offset = i * size, .size = size };
		int64_t start = clock_boot_ns(&clock_system);
		if (stage_append(stage, &r, bytes) < 0)
			exit(1);
		ns[i] = clock_boot_ns(&clock_system) - start;
		stage_release(stage, r.place);
	}
	print(what, ns, count);
	stage_close(stage);
	free(ns);
}

int main(int argc, char **argv)
{
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
	static uint8_t bytes[1 << 20];
	char path[PATH_MAX];
	struct disk *d;

	if (argc > 1)
		snprintf(path, sizeof(path), "%s", argv[1]);
	else
		folder_make(path);
	memset(bytes, 'b', sizeof(bytes));
	if (count == 0 || disk_posix_new(path, &d) < 0)
		return 1;
	bench_log(d, bytes, 4096, count, true, "log_append 4 KiB + log_sync");
	bench_log(d, bytes, 4096, count, false, "log_append 4 KiB");
	bench_log(d, bytes, 256, count, true, "log_append 256 bytes + log_sync");
	bench_log(d, bytes, 256, count, false, "log_append 256 bytes");
	bench_stage(d, bytes, 4096, count, "stage_append 4 KiB");
	bench_stage(d, bytes, sizeof(bytes), count / 20 + 1, "stage_append 1 MiB");
	disk_free(d);
	if (argc == 1)
		folder_remove(path);
	return 0;
}
