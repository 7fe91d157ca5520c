/* The small files of a data directory and their copies, and what lies where nothing should; see examine.h. */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/grow.h"
#include "objects/examine_internal.h"
#include "store/format.h"
#include "store/reserve.h"

/* ---- format and key ----------------------------------------------------------------------------------------------- */

static int problem_or_repaired(struct examine *e, const char *file, int (*mend)(struct examine *e), const char *problem, const char *done)
{
	int r = e->options->repair ? mend(e) : 1;

	if (r == 0)
		examine_say(e, FINDING_REPAIRED, 0, file, "%s: %s", problem, done);
	else if (r == 1)
		examine_say(e, FINDING_PROBLEM, 0, file, "%s: --repair puts it right (%s)", problem, done);
	else
		examine_say(e, FINDING_PROBLEM, 0, file, "%s, and it cannot be put right: %s", problem, strerror(-r));
	return 0;
}

static int mend_format(struct examine *e)
{
	struct format f;
	int r = format_read_copy(e->disk, &f);

	return r < 0 ? r : format_write(e->disk, &f);
}

static int mend_format_copy(struct examine *e)
{
	struct format f;
	char ignored[256];
	int r = format_read_file(e->disk, "format", &f, ignored, sizeof(ignored));

	return r < 0 ? r : format_write(e->disk, &f);
}

static int mend_key(struct examine *e)
{
	uint8_t key[32];
	int r = key_read_copy(e->disk, key);

	if (r == 0)
		r = key_write(e->disk, key);
	explicit_bzero(key, sizeof(key));
	return r;
}

static int mend_key_copy(struct examine *e)
{
	uint8_t key[32];
	char ignored[256];
	int r = key_read(e->disk, key, ignored, sizeof(ignored));

	if (r == 0)
		r = key_write(e->disk, key);
	explicit_bzero(key, sizeof(key));
	return r;
}

static int examine_format(struct examine *e)
{
	struct format f, copy;
	char why[256] = "";
	int r = format_read_file(e->disk, "format", &f, why, sizeof(why)), c = format_read_copy(e->disk, &copy);

	if (r == -ENOTSUP) {
		snprintf(e->error, e->error_size, "%s: %s", e->directory, why);
		return r;
	}
	if (r < 0 && c < 0) {
		/* A foreign directory has no copy. */
		snprintf(e->error, e->error_size, "%s: %s", e->directory, why);
		if (r != -EBADMSG && c == -ENOENT)
			return r;
		examine_say(e, FINDING_PROBLEM, 0, "format", "%s, and there is no whole copy of it: put it back from a backup", why);
		return -EBADMSG;
	}
	if (r < 0) {
		problem_or_repaired(e, "format", mend_format, r == -ENOENT ? "it is missing" : "it is damaged", "its copy is put back");
		e->disk->owner = format_owner(&copy);
		return e->options->repair ? 0 : -EBADMSG;
	}
	if (c == 0 && !format_same(&f, &copy)) {
		examine_say(e, FINDING_PROBLEM, 0, "format", "it and format.copy are of different data directories: put back the one that belongs here (the ids of this cluster are in each)");
		return -EBADMSG;
	}
	e->disk->owner = format_owner(&f);
	if (c == -ENOENT)
		examine_say(e, FINDING_NOTE, 0, "format.copy", "there is no copy of 'format' yet: the next start makes it");
	else if (c < 0)
		problem_or_repaired(e, "format.copy", mend_format_copy, "it is damaged", "it is made again from 'format'");
	return 0;
}

static int examine_key(struct examine *e)
{
	uint8_t key[32];
	char why[256];
	int c = key_read_copy(e->disk, key);
	int r = key_read(e->disk, key, why, sizeof(why));

	explicit_bzero(key, sizeof(key));
	if (r < 0 && c < 0) {
		examine_say(e, FINDING_PROBLEM, 0, "key", "%s", why);
		return -EBADMSG;
	}
	if (r < 0) {
		problem_or_repaired(e, "key", mend_key, "it is missing or damaged", "its copy is put back");
		return e->options->repair ? 0 : -EBADMSG;
	}
	if (c == -ENOENT)
		examine_say(e, FINDING_NOTE, 0, "key.copy", "there is no copy of 'key' yet: the next start makes it");
	else if (c < 0)
		problem_or_repaired(e, "key.copy", mend_key_copy, "it is damaged", "it is made again from 'key'");
	return 0;
}

static int mend_reserve(struct examine *e) { return reserve_make(e->disk); }

int examine_small_files(struct examine *e)
{
	int r = examine_format(e);

	if (r == 0)
		r = examine_key(e);
	if (r == 0 && !examine_exists(e, "reserve"))
		problem_or_repaired(e, "reserve", mend_reserve, "it is missing, so there is no room for the log on a full disk", "it is made new");
	return r;
}

/* ---- what lies where nothing should ------------------------------------------------------------------------------- */

static bool is_hex(const char *name, size_t digits)
{
	return strlen(name) == digits && strspn(name, "0123456789abcdef") == digits;
}

static bool is_state_name(const char *name)
{
	static const char *const whole[] = { "CURRENT", "IDENTITY", "LOCK", "lost" }, *const starts[] = { "LOG", "MANIFEST-", "OPTIONS-" }, *const ends[] = { ".sst", ".log", ".dbtmp", ".blob" };
	size_t size = strlen(name);

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (strcmp(name, whole[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (size > strlen(ends[i]) && isdigit((unsigned char)name[0]) && strcmp(name + size - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

static bool is_top_name(const char *name)
{
	static const char *const names[] = { "format", "format.copy", "key", "key.copy", "lock", "state", "log", "stage", "heads", "side", "reserve", "unfinished",
		"lost", "lost+found", "scrub", "holder.pid" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	if (strncmp(name, "diosd.log", 9) == 0)
		return true;
	return strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".new") == 0;   /* what a crash left of writing one of them */
}

struct listing { struct examine *e; const char *folder; char **names; size_t count, capacity; };

static int collect(void *arg, const char *name)
{
	struct listing *l = arg;

	char **grown = grow(l->names, &l->capacity, l->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->names = grown;
	l->names[l->count] = strdup(name);
	return l->names[l->count] ? (l->count++, 0) : -ENOMEM;
}

/* A name may be anybody's. */
static void show(const char *path, char *shown, size_t size)
{
	size_t used = 0;

	for (const char *c = path; *c && used + 5 < size; c++)
		used += (size_t)snprintf(shown + used, size - used, (unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f && *c != '\\' ? "%c" : "\\x%02x", (unsigned char)*c);
	shown[used] = '\0';
}

static void stray(struct examine *e, const char *path, const char *what)
{
	char place[64], shown[300];

	show(path, shown, sizeof(shown));
	int r = e->options->repair ? examine_put_away(e, path, what, place) : 1;
	if (r == 0)
		examine_say(e, FINDING_REPAIRED, 0, shown, "%s: it is kept as %s", what, place);
	else if (r == 1)
		examine_say(e, FINDING_PROBLEM, 0, shown, "%s: --repair takes it away, to 'lost'", what);
	else
		examine_say(e, FINDING_PROBLEM, 0, shown, "%s, and it cannot be moved away: %s", what, strerror(-r));
}

/* Of a file; the directory is not needed, which a daemon knows by its descriptor only. */
static bool is_there(struct examine *e, const char *path)
{
	struct disk_file *file = NULL;
	int r = disk_open(e->disk, path, O_RDONLY, &file);

	disk_close(file);
	return r != -ENOENT && r != -ENOTDIR;
}

/* A head in another folder than its number's. */
static void misplaced(struct examine *e, const char *path, const char *right)
{
	if (is_there(e, right)) {
		stray(e, path, "it is the second head of its object, in a wrong folder");
		return;
	}
	int r = e->options->repair ? examine_rename(e, path, right) : 1;
	if (r == 0)
		examine_say(e, FINDING_REPAIRED, 0, path, "the head was in a wrong folder: it is put back as %s", right);
	else
		examine_say(e, FINDING_PROBLEM, 0, path, "the head is in a wrong folder: --repair puts it back as %s", right);
}

static void judge(struct examine *e, const char *folder, const char *name)
{
	char path[400], right[64], shown[300];

	if (strlen(name) > 255)
		return;
	snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] ? "/" : "", name);
	if (folder[0] == '\0') {
		show(name, shown, sizeof(shown));
		if (!is_top_name(name))
			examine_say(e, FINDING_NOTE, 0, shown, "it is none of dios' files: it is left alone");
	} else if (strcmp(folder, "state") == 0) {
		if (!is_state_name(name))
			stray(e, path, "it is no file of the state's store");
	} else if (strcmp(folder, "log") == 0) {
		if (!is_hex(name, 8) && !(strlen(name) == 12 && strcmp(name + 8, ".old") == 0))   /* deleted half way */
			stray(e, path, "it is no segment of the log");
	} else if (strcmp(folder, "stage") == 0) {
		if (!is_hex(name, 8) && strncmp(name, "numbers", 7) != 0 && strcmp(name, "live") != 0)
			stray(e, path, "it is no segment of the staging log");
	} else if (strcmp(folder, "side") == 0) {
		if (!is_hex(name, 16))
			stray(e, path, "it is no side file");
	} else if (strcmp(folder, "heads") == 0) {
		if (!is_hex(name, 2))
			stray(e, path, "it is no folder of heads");
	} else if (!is_hex(name, 16)) {
		stray(e, path, "it is no head");
	} else {
		head_path(strtoull(name, NULL, 16), right);
		if (strcmp(path, right) != 0)
			misplaced(e, path, right);
	}
}

static int examine_folder(struct examine *e, const char *folder)
{
	struct listing l = { .e = e, .folder = folder };
	int r = disk_list(e->disk, folder[0] ? folder : ".", collect, &l);

	/* The first start makes those of heads and side files. */
	if (r == -ENOENT && strncmp(folder, "heads/", 6) != 0 && is_there(e, "stage/numbers") && strcmp(folder, "state") != 0 && strcmp(folder, "log") != 0) {
		examine_say(e, e->options->repair ? FINDING_REPAIRED : FINDING_PROBLEM, 0, folder, "this folder is missing, with all that was in it");
		r = 0;
	}
	if (r == -ENOTDIR && strncmp(folder, "heads/", 6) == 0) {
		examine_say(e, FINDING_NOTE, 0, folder, "this folder is a file since a power cut, and has held nothing: the daemon makes it anew when it starts");
		r = 0;
	}
	for (size_t i = 0; i < l.count; i++) {
		if (r >= 0)
			judge(e, folder, l.names[i]);
		free(l.names[i]);
	}
	free(l.names);
	return r == -ENOENT ? 0 : r;
}

int examine_strays(struct examine *e)
{
	static const char *const folders[] = { "", "state", "log", "stage", "side", "heads" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
		r = examine_folder(e, folders[i]);
	for (unsigned i = 0; r == 0 && i < 256; i++) {
		char folder[16];
		snprintf(folder, sizeof(folder), "heads/%02x", i);
		r = examine_folder(e, folder);
	}
	return r;
}

int examine_strays_beside(struct store *store, const struct examine_options *options, struct check_result *result)
{
	struct examine e = { .disk = store->disk, .options = options, .result = result };

	return examine_strays(&e);
}
