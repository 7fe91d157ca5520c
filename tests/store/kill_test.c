/* kill -9 of a process that uses both logs on a real disk: what had returned before it died is there. The simulation kills at
 * every step; this one shows that the machine's page cache keeps what the simulation says it does. */
#include <signal.h>
#include <sys/wait.h>

#include "store/log.h"
#include "store/stage.h"
#include "tests/store/store_test.h"

#define ROUNDS 20
#define BYTES 3000u

static const uint8_t boot_id[16] = "a boot";

/* What the child tells after each call that has returned. */
struct told { uint64_t index, staged; };

/* Content that follows from the number, so that any mix-up shows. */
static void fill(uint8_t bytes[BYTES], uint64_t number)
{
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(number * 31 + i * 7 + (number >> 8));
}

static void live(const char *path, int out)
{
	uint8_t bytes[BYTES];
	struct stage *stage = NULL;
	struct log *log = NULL;
	struct told told = { 0, 0 };
	struct log_group g;
	struct disk *d;

	if (disk_posix_new(path, &d) < 0 || log_open(d, "log", 1 << 20, &log) < 0 || stage_open(d, "stage", boot_id, &stage) < 0)
		_exit(1);
	log_get_group(log, 1, &g);
	told.index = g.last_index;
	for (;;) {
		struct log_entry e = { .index = told.index + 1, .term = 1, .type = 1, .data = { bytes, BYTES } };
		fill(bytes, e.index);
		if (log_append(log, 1, &e, 1) < 0)
			_exit(2);
		told.index++;
		struct stage_record r = { .ino = 1, .kind = STAGE_DATA, .offset = told.staged, .size = BYTES };
		fill(bytes, told.staged);
		if (stage_append(stage, &r, bytes) < 0)
			_exit(3);
		told.staged++;
		if (write(out, &told, sizeof(told)) != sizeof(told))
			_exit(4);
	}
}

struct seen { struct stage *stage; uint64_t count; int wrong; };

static int see(void *arg, const struct stage_record *r)
{
	uint8_t bytes[BYTES], want[BYTES];
	struct seen *s = arg;

	fill(want, s->count);
	s->wrong += r->ino != 1 || r->offset != s->count || r->size != BYTES || stage_read(s->stage, r->place, 0, bytes, BYTES) != 0 ||
		memcmp(bytes, want, BYTES) != 0;
	s->count++;
	stage_release(s->stage, r->place);
	return 0;
}

static int check_log(struct disk *d, const struct told *told, uint64_t *ret_last)
{
	uint8_t want[BYTES];
	struct log *log = NULL;
	struct buffer data;
	struct log_group g;
	uint64_t term;
	uint16_t type;
	int wrong = log_open(d, "log", 1 << 20, &log) != 0;

	if (wrong)
		return wrong;
	log_get_group(log, 1, &g);
	wrong += g.last_index < told->index || g.last_index > told->index + 1;   /* one more may have been written, and not told */
	buffer_init(&data, 1 << 20);
	for (uint64_t i = g.first_index; i <= g.last_index; i++) {
		fill(want, i);
		wrong += log_read(log, 1, i, &term, &type, &data) != 0 || data.size != BYTES || memcmp(data.data, want, BYTES) != 0;
	}
	buffer_done(&data);
	*ret_last = g.last_index;
	wrong += log_compact(log, 1, g.last_index > 500 ? g.last_index - 500 : 0, 1) != 0;
	log_close(log);
	return wrong;
}

int main(void)
{
	int log_wrong = 0, stage_wrong = 0, ended = 0;
	uint64_t last = 0, staged = 0;
	char path[PATH_MAX];
	struct disk *d;

	folder_make(path);
	if (disk_posix_new(path, &d) < 0)
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		struct told told = { last, 0 }, next;
		struct seen seen = { 0 };
		int pipes[2], status;
		if (pipe(pipes) < 0)
			return 1;
		pid_t child = fork();
		if (child == 0)
			live(path, pipes[1]);
		close(pipes[1]);
		/* Somewhere in its work, another place each round. */
		for (int i = 0; i < 20 + round * 37 && read(pipes[0], &next, sizeof(next)) == sizeof(next); i++)
			told = next;
		kill(child, SIGKILL);
		while (read(pipes[0], &next, sizeof(next)) == sizeof(next))
			told = next;
		close(pipes[0]);
		waitpid(child, &status, 0);
		ended += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		log_wrong += check_log(d, &told, &last);
		stage_wrong += stage_open(d, "stage", boot_id, &seen.stage) != 0 || stage_replay(seen.stage, see, &seen) != 0;
		stage_wrong += seen.wrong + (seen.count < told.staged || seen.count > told.staged + 1);
		stage_close(seen.stage);
		staged += seen.count;
	}
	is_int(ended, ROUNDS, "%d processes are killed at work", ROUNDS);
	is_int(log_wrong, 0, "each entry whose append had returned is in the log, as it was (%" PRIu64 ")", last);
	is_int(stage_wrong, 0, "each record is in the staging log, as it was (%" PRIu64 "), and nothing that was released", staged);
	disk_free(d);
	folder_remove(path);
	return done_testing();
}
