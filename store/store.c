/* The data directory as a whole: made in an order that leaves either a whole one or one that says it is not, opened with a lock, closed
 * with everything synced. */
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/log.h"
#include "store/disk_sim.h"
#include "store/format.h"
#include "store/reserve.h"
#include "store/why.h"

#define RESERVE_BYTES (16ull << 20)        /* growth stops when the disk has less: deletions and the log go on */
#define RESERVE_BYTES_SIM (12ull << 20)
#define ROOM_STEP_SHARE 8                  /* of the reserve: what may be written before the disk is asked again; a byte is on disk up to three times for a while */
#define FLUSH_LOG_BYTES (64ull << 20)      /* replayed in about a second */
#define FLUSH_LOG_BYTES_SIM (256ull << 10)
#define SYNC_THREADS 2u          /* a new head: its folder and the log beside it */
#define HEADS_OPEN_MAX 256u                /* descriptors; the hard limit of a process may be as low as 4,096 */
#define SIM_SEGMENT_SIZE (4u << 20)
#define KV_CACHE_INIT (8ull << 20)

/* "unfinished" is there while the directory is being made: what lies beside it without a format file may be made anew. Without
 * it the same is a directory that has lost its format file, whose data and key must not be touched. */
static const char *const parts[] = { "unfinished", "format.new", "format.copy", "format.copy.new", "key", "key.new", "key.copy", "key.copy.new", "state", "log", "stage", "heads", "side", "reserve" };

/* ---- making ------------------------------------------------------------------------------------------------------ */

struct inspection { bool has_format, unfinished; char part[64], foreign[64]; };

static int inspect(void *arg, const char *name)
{
	struct inspection *found = arg;
	if (strcmp(name, "format") == 0) found->has_format = true;
	if (strcmp(name, "unfinished") == 0) found->unfinished = true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(name, parts[i]) != 0) continue;
		snprintf(found->part, sizeof(found->part), "%s", name);
		return 0;
	}
	if (strcmp(name, "format") != 0 && strcmp(name, "lock") != 0 && strcmp(name, "lost+found") != 0)
		snprintf(found->foreign, sizeof(found->foreign), "%s", name);
	return 0;
}

/* Everything but the format file. */
static int make_parts(struct disk *disk, struct random_source *random)
{
	uint8_t key[32];
	random_fill(random, key, sizeof(key));
	int r = key_write(disk, key);
	explicit_bzero(key, sizeof(key));
	/* All of them: one that is missing later is damage. */
	static const char *const folders[] = { "state", "log", "stage", "heads", "side" };
	for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(folders[0]); i++) {
		r = disk_mkdir(disk, folders[i]);
		/* Before its name: without a journal a durable name says nothing of what it names. */
		if (r == 0) r = disk_sync_dir(disk, folders[i]);
	}
	return r;
}

static struct format new_format(struct random_source *random, int64_t now_ns)
{
	struct format f = { .version = STORE_FORMAT_VERSION, .node_id = 1, .made_ns = now_ns };
	random_fill(random, f.cluster_id, sizeof(f.cluster_id));
	random_fill(random, f.disk_id, sizeof(f.disk_id));
	return f;
}

static int check_empty(const char *directory, struct disk *disk, char *error, size_t error_size)
{
	struct inspection found = { 0 };
	int r = disk_list(disk, ".", inspect, &found);
	if (r < 0) return store_say(error, error_size, r, "cannot list %s: %s", directory, strerror(-r));
	if (found.has_format) return store_say(error, error_size, -EEXIST, "%s is a dios data directory already", directory);
	if (found.foreign[0])
		return store_say(error, error_size, -ENOTEMPTY, "%s is not empty (it has '%s'): give a new or empty directory", directory, found.foreign);
	if (found.part[0] && !found.unfinished)
		return store_say(error, error_size, -ENOTEMPTY, "%s has parts of a data directory (as '%s') but no file 'format': put that file back from a backup, or give another directory", directory, found.part);
	return 0;
}

/* Holds the lock while *ret_file is open. */
int store_lock(struct disk *disk, const char *directory, struct disk_file **ret_file, char *error, size_t error_size)
{
	int r = disk_open(disk, "lock", O_RDWR | O_CREAT, ret_file);
	if (r < 0) return store_say(error, error_size, r, "cannot open %s/lock: %s", directory, strerror(-r));
	char pid[32] = "";
	if (flock(disk_fd(*ret_file), LOCK_EX | LOCK_NB) < 0) {
		ssize_t n = disk_pread(*ret_file, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		return store_say(error, error_size, -EBUSY, "it is in use by another daemon (pid %s): stop it, or use another directory", pid[0] ? pid : "unknown");
	}
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	disk_truncate(*ret_file, 0);
	return disk_pwrite(*ret_file, pid, (size_t)n, 0);
}

static int make_marker(struct disk *disk)
{
	struct disk_file *file;
	int r = disk_open(disk, "unfinished", O_RDWR | O_CREAT, &file);
	if (r < 0) return r;
	disk_close(file);
	return disk_sync_dir(disk, ".");
}

/* The directory's own name is durable too. */
static int sync_parent(const char *directory)
{
	char parent[4096];
	snprintf(parent, sizeof(parent), "%s/..", directory);
	struct disk *disk;
	int r = disk_posix_new(parent, &disk);
	if (r < 0) return r;
	r = disk_sync_dir(disk, ".");
	disk_free(disk);
	return r;
}

static int remove_segment(void *arg, const char *name)
{
	char path[300];
	snprintf(path, sizeof(path), "log/%.255s", name);
	return disk_unlink(arg, path);
}

static int make_all(const char *directory, struct disk *disk, struct random_source *random, struct clock *clock)
{
	char state[4096];
	snprintf(state, sizeof(state), "%s/state", directory);
	struct kv *kv = NULL;
	struct log *log = NULL;
	struct format f = new_format(random, clock_wall_ns(clock));
	disk->owner = format_owner(&f);
	int r = make_marker(disk);
	if (r == 0) r = make_parts(disk, random);
	if (r == 0) r = disk_list(disk, "log", remove_segment, disk);   /* an interrupted making's, which had another id */
	if (r == 0) r = reserve_make(disk);
	if (r == 0) r = log_open(disk, "log", LOG_SEGMENT_SIZE, &log);
	log_close(log);
	if (r == 0) r = kv_rocksdb_open(state, true, KV_CACHE_INIT, &kv);
	kv_close(kv);
	if (r == 0) r = sync_parent(directory);
	if (r == 0) r = format_write(disk, &f);
	/* From here on it is whole, whatever becomes of the marker. */
	if (r == 0) (void)disk_unlink(disk, "unfinished");
	return r;
}

int store_init(const char *directory, struct random_source *random, struct clock *clock, char *error, size_t error_size)
{
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return store_say(error, error_size, -errno, "cannot make directory %s: %s", directory, strerror(errno));
	struct disk *disk;
	int r = disk_posix_new(directory, &disk);
	if (r < 0) return store_say(error, error_size, r, "cannot open directory %s: %s", directory, strerror(-r));
	struct disk_file *lock = NULL;
	r = check_empty(directory, disk, error, error_size);   /* nothing is made in a directory that is not ours */
	char why[256] = "";
	if (r == 0 && (r = store_lock(disk, directory, &lock, why, sizeof(why))) < 0) store_say(error, error_size, r, "%s: %s", directory, why);
	if (r == 0) r = check_empty(directory, disk, error, error_size);   /* another maker may have been faster */
	if (r == 0) {
		r = make_all(directory, disk, random, clock);
		if (r < 0) store_say(error, error_size, r, "cannot make a data directory in %s: %s", directory, strerror(-r));
	}
	disk_close(lock);
	disk_free(disk);
	return r;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

int store_boot_id(uint8_t ret_id[16])
{
	char text[64];
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0) return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 36) return -EIO;
	text[n] = '\0';
	size_t digits = 0;
	memset(ret_id, 0, 16);
	for (const char *c = text; *c && digits < 32; c++) {
		int value = *c >= '0' && *c <= '9' ? *c - '0' : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10 : -1;
		if (value < 0) continue;
		ret_id[digits / 2] = (uint8_t)(ret_id[digits / 2] << 4 | value);
		digits++;
	}
	return digits == 32 ? 0 : -EIO;
}

/* Numbers that begin anew would make what is staged look committed. They are there before the first command is. */
static int check_numbers(struct store *s)
{
	struct disk_file *file;
	int r = disk_open(s->disk, "stage/numbers", O_RDONLY, &file);
	if (r == 0) disk_close(file);
	if (r != -ENOENT) return r;
	struct kv_iter *it = kv_iter_new(s->kv, NULL, (struct slice){ 0 }, (struct slice){ 0 });
	if (!it) return -ENOMEM;
	bool used = kv_iter_valid(s->kv, it);
	r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	if (r < 0 || !used) return r;
	store_why_set("stage/numbers: it is missing; it says which numbers of staged writes have been used");
	return -EBADMSG;
}

static int open_log(struct store *s, uint64_t segment_size, char *error, size_t error_size)
{
	store_why_clear();
	int r = log_open(s->disk, "log", segment_size, &s->log);
	if (r == -EBADMSG)
		return store_say(error, error_size, r, "the log is damaged before its last synced record%s%s: take the data from another replica or a backup; 'dios fsck --repair' says what can be saved here",
			store_why()[0] ? ": " : "", store_why());
	return r < 0 ? store_say(error, error_size, r, "the log cannot be opened: %s", strerror(-r)) : 0;
}

/* Without a change: a plain opening removes what a damaged manifest does not name, and the right tables with it. */
static int judge_state(struct store *s, const char *state, store_judge judge, char *error, size_t error_size)
{
	struct kv *kv;
	store_why_clear();
	int r = kv_rocksdb_open_read(state, KV_CACHE_INIT, &kv);
	if (r == 0) {
		r = judge ? judge(kv, s->log, s->cluster_key) : 0;
		kv_close(kv);
	}
	if (r == -ENOENT) r = -EBADMSG;
	if (r == -EBADMSG && store_why()[0])
		return store_say(error, error_size, r, "the state in %s is damaged: %s. 'dios fsck --repair' says what can be saved", state, store_why());
	if (r == -EBADMSG)
		return store_say(error, error_size, r, "the log and the state do not belong together, or one of them is older: restore both from one backup; 'dios fsck --repair' says what can be saved");
	return r < 0 ? store_say(error, error_size, r, "the state in %s cannot be opened: %s", state, strerror(-r)) : 0;
}

/* What both kinds of disk have in common; the kv is open. */
static int open_parts(struct store *s, const uint8_t boot_id[16], uint64_t segment_size, char *error, size_t error_size)
{
	struct format f;
	int r = format_read(s->disk, &f, error, error_size);
	if (r == 0) r = key_read(s->disk, s->cluster_key, error, error_size);
	if (r < 0) return r;
	memcpy(s->cluster_id, f.cluster_id, sizeof(s->cluster_id));
	memcpy(s->disk_id, f.disk_id, sizeof(s->disk_id));
	s->node_id = f.node_id;
	s->disk->owner = format_owner(&f);
	r = s->log ? 0 : open_log(s, segment_size, error, error_size);
	if (r < 0) return r;
	store_why_clear();
	r = check_numbers(s);
	if (r == 0) r = stage_open(s->disk, "stage", boot_id, &s->stage);
	if (r == -EBADMSG && store_why()[0]) return store_say(error, error_size, r, "the staging log is damaged: %s. 'dios fsck --repair' says what of it can be saved", store_why());
	if (r < 0) return store_say(error, error_size, r, "the staging log cannot be opened: %s", strerror(-r));
	r = heads_open(s->disk, HEADS_OPEN_MAX, &s->heads);
	if (r < 0) return store_say(error, error_size, r, "the folder of heads cannot be opened: %s", strerror(-r));
	if (format_keep_copies(s->disk, &f, s->cluster_key) < 0) log_warning("store", "no copies of 'format' and 'key' could be made beside them");
	r = reserve_open(s);
	return r < 0 ? store_say(error, error_size, r, "its file 'reserve' cannot be opened: %s", strerror(-r)) : 0;
}

static int open_posix(struct store *s, const char *directory, uint64_t cache_bytes, store_judge judge, char *error, size_t error_size)
{
	int r = disk_posix_new(directory, &s->disk);
	if (r < 0) return store_say(error, error_size, r, "cannot open %s: %s", directory, strerror(-r));
	struct format f;
	r = format_read(s->disk, &f, error, error_size);   /* before the lock: nothing is made in a directory that is not ours */
	if (r == 0) s->disk->owner = format_owner(&f);
	if (r == 0) r = store_lock(s->disk, directory, &s->lock_file, error, error_size);
	uint8_t boot_id[16];
	if (r == 0) r = store_boot_id(boot_id);
	if (r < 0) return r;
	char state[4096];
	snprintf(state, sizeof(state), "%s/state", directory);
	r = key_read(s->disk, s->cluster_key, error, error_size);
	if (r == 0) r = open_log(s, LOG_SEGMENT_SIZE, error, error_size);
	if (r == 0) r = judge_state(s, state, judge, error, error_size);
	if (r < 0) return r;
	r = kv_rocksdb_open(state, false, cache_bytes, &s->kv);
	if (r < 0) return store_say(error, error_size, r, "the state in %s cannot be opened: %s", state, r == -EBADMSG ? "it is damaged" : strerror(-r));
	s->reserve_bytes = RESERVE_BYTES;
	s->flush_log_bytes = FLUSH_LOG_BYTES;
	return open_parts(s, boot_id, LOG_SEGMENT_SIZE, error, error_size);
}

int store_open(const char *directory, uint64_t cache_bytes, struct store **ret_store, char *error, size_t error_size)
{
	return store_open_judged(directory, cache_bytes, NULL, ret_store, error, error_size);
}

int store_open_judged(const char *directory, uint64_t cache_bytes, store_judge judge, struct store **ret_store, char *error, size_t error_size)
{
	struct store *s = calloc(1, sizeof(*s));
	if (!s) return -ENOMEM;
	s->owns_disk = true;
	char why[1024] = "";
	int r = open_posix(s, directory, cache_bytes, judge, why, sizeof(why));
	if (r < 0) {
		if (why[0]) store_say(error, error_size, r, "%s: %s", directory, why);
		else store_say(error, error_size, r, "cannot open data directory %s: %s", directory, strerror(-r));
		store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

int store_open_sim(struct disk *disk, struct random_source *random, const uint8_t boot_id[16], struct store **ret_store)
{
	struct store *s = calloc(1, sizeof(*s));
	if (!s) return -ENOMEM;
	s->disk = disk;
	s->reserve_bytes = RESERVE_BYTES_SIM;
	s->flush_log_bytes = FLUSH_LOG_BYTES_SIM;
	struct inspection found = { 0 };
	int r = disk_list(disk, ".", inspect, &found);
	if (r == 0 && !found.has_format) {
		r = make_parts(disk, random);
		struct format f = new_format(random, 0);
		if (r == 0) r = format_write(disk, &f);
	}
	if (r == 0) r = kv_sim_open(disk, "state", &s->kv);
	if (r == 0) r = open_parts(s, boot_id, SIM_SEGMENT_SIZE, NULL, 0);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

int store_start_threads(struct store *s)
{
	int r = aside_new(SYNC_THREADS, &s->aside);
	if (r == 0) heads_set_aside(s->heads, s->aside);
	return r;
}

void store_close(struct store *s)
{
	if (!s) return;
	aside_free(s->aside);
	if (s->heads) heads_set_aside(s->heads, NULL);
	if (s->log && log_sync(s->log) < 0) log_error("store", "the log could not be synced at the end");
	heads_close(s->heads);
	stage_close(s->stage);
	log_close(s->log);
	kv_close(s->kv);
	reserve_close(s);
	disk_close(s->lock_file);
	if (s->owns_disk) disk_free(s->disk);
	explicit_bzero(s->cluster_key, sizeof(s->cluster_key));
	free(s);
}

/* The disk is asked once for every part of the reserve: what is written meanwhile, by us or by others, has room in the rest. */
bool store_has_room(struct store *s, uint64_t bytes)
{
	int64_t want = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
	if (atomic_fetch_sub(&s->room_left, want + 1) > want) return true;
	struct disk_space space;
	if (disk_space(s->disk, &space) < 0) return false;
	bool held = reserve_renew(s, &space);
	if (held && s->reserve_file && disk_space(s->disk, &space) < 0) return false;   /* the renewal may have taken it */
	if (!held || space.free_bytes < s->reserve_bytes || space.free_bytes - s->reserve_bytes < bytes) {
		atomic_store(&s->room_left, 0);
		return false;
	}
	int64_t left = (int64_t)((space.free_bytes - s->reserve_bytes - bytes) / 4);
	int64_t step = (int64_t)(s->reserve_bytes / ROOM_STEP_SHARE);
	atomic_store(&s->room_left, left < step ? left : step);
	return true;
}
