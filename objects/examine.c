/* The order of an examination, and where what it takes out of use goes; see examine.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "objects/examine_internal.h"

#define LOST_MAX 999999u     /* names in DIR/lost */

void examine_say(struct examine *e, enum finding_kind kind, uint64_t ino, const char *file, const char *format, ...)
{
	char text[800];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (kind == FINDING_PROBLEM)
		e->result->problems++;
	else if (kind == FINDING_REPAIRED)
		e->result->repaired++;
	else
		e->result->notes++;
	e->options->report(e->options->arg, &(struct finding){ .kind = kind, .ino = ino, .file = file, .text = text });
}

int examine_path(const struct examine *e, char path[static 4096], const char *name)
{
	return (size_t)snprintf(path, 4096, "%s/%s", e->directory, name) < 4096 ? 0 : -ENAMETOOLONG;
}

bool examine_exists(const struct examine *e, const char *name)
{
	char path[4096];
	struct stat st;

	return examine_path(e, path, name) == 0 && lstat(path, &st) == 0;
}

int examine_rename(struct examine *e, const char *from, const char *to)
{
	char a[4096], b[4096];

	if (examine_path(e, a, from) < 0 || examine_path(e, b, to) < 0)
		return -ENAMETOOLONG;
	return rename(a, b) < 0 ? -errno : 0;
}

static int note_lost(struct examine *e, const char *place, const char *name, const char *why)
{
	char path[4096], when[32];
	time_t now = (time_t)(clock_wall_ns(&clock_system) / NS_PER_SECOND);
	struct tm tm;

	if (examine_path(e, path, "lost/list") < 0)
		return -ENAMETOOLONG;
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return dprintf(fd, "%s %s was %s: %s\n", when, place, name, why) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int examine_put_away(struct examine *e, const char *name, const char *why, char *ret_place)
{
	char place[64], flat[40];
	unsigned n = 1;
	int r = disk_mkdir(e->disk, "lost");

	if (r < 0)
		return r;
	snprintf(flat, sizeof(flat), "%.39s", name);
	for (char *c = flat; *c; c++)
		if (*c == '/' || (unsigned char)*c < 0x21 || (unsigned char)*c > 0x7e)
			*c = '-';
	do
		snprintf(place, sizeof(place), "lost/%04u-%s", n, flat);
	while (examine_exists(e, place) && n++ < LOST_MAX);
	r = examine_rename(e, name, place);
	if (r == 0)
		r = note_lost(e, place, name, why);
	if (r == 0)
		r = disk_sync_dir(e->disk, "lost");
	if (r == 0)
		r = disk_sync_dir(e->disk, ".");
	if (r == 0 && ret_place)
		snprintf(ret_place, 64, "%s", place);
	return r;
}

/* ---- the order ---------------------------------------------------------------------------------------------------- */

static int examine_all(struct examine *e)
{
	int r = examine_small_files(e);

	if (r == 0)
		r = examine_strays(e);
	if (r == 0)
		r = examine_log(e);
	if (r == 0)
		r = examine_state(e);
	if (r == 0 && !e->state_whole && e->options->repair)
		r = examine_state_repair(e);
	if (r == 0 && !e->log_whole && e->state_whole && e->options->repair)
		r = examine_log_repair(e);
	if (r == 0 && e->log_whole && e->state_whole)
		r = examine_stage(e);
	return r < 0 ? r : e->log_whole && e->state_whole ? 0 : -EBADMSG;
}

int objects_examine(const char *directory, const struct examine_options *options, struct check_result *result, bool *ret_lossy, char *error, size_t error_size)
{
	struct examine e = { .directory = directory, .options = options, .result = result, .error = error, .error_size = error_size };
	struct disk_file *lock = NULL;
	char why[256] = "";
	int r = disk_posix_new(directory, &e.disk);

	if (r < 0) {
		snprintf(error, error_size, "cannot open %s: %s", directory, strerror(-r));
		return r;
	}
	/* Nothing is made in a directory that is not ours. */
	if (!examine_exists(&e, "format") && !examine_exists(&e, "format.copy")) {
		snprintf(error, error_size, "%s: there is no file 'format' in it: not a dios data directory, or one whose making was interrupted", directory);
		r = -ENOENT;
	}
	if (r == 0 && (r = store_lock(e.disk, directory, &lock, why, sizeof(why))) < 0)
		snprintf(error, error_size, "%s: %s", directory, why);
	if (r == 0)
		r = examine_all(&e);
	disk_close(lock);
	disk_free(e.disk);
	*ret_lossy = e.lossy;
	return r;
}

/* ---- heads after a loss ------------------------------------------------------------------------------------------- */

struct keeping { struct examine e; struct state *state; };

static int keep_head(void *arg, uint64_t ino)
{
	struct keeping *k = arg;
	struct record record;
	char file[64], place[64];

	if (state_get(k->state, ino, &record) != -ENOENT)
		return 0;
	head_path(ino, file);
	int r = examine_put_away(&k->e, file, "its object's record is lost", place);
	if (r == 0)
		examine_say(&k->e, FINDING_REPAIRED, 0, file, "the head of inode %" PRIu64 ", whose record is lost, is kept as %s", ino, place);
	return r;
}

int examine_keep_heads(const char *directory, struct store *store, struct state *state, const struct examine_options *options, struct check_result *result)
{
	struct keeping k = { .e = { .directory = directory, .disk = store->disk, .options = options, .result = result }, .state = state };

	return heads_list(store->heads, keep_head, &k);
}
