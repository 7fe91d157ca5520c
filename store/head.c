/* Heads and side files, with a bounded cache of open ones.
 *
 * Names are made durable by folder: each file that is made gets the next number of its folder, and a file's sync syncs the folder
 * too unless a sync that began at or after that number has succeeded. Files that were there count as the newest, so the first
 * sync in a folder since the start covers names that an earlier daemon has made. A sync that fails makes the file doubtful, and it stays so
 * until it is told otherwise, also when it leaves the cache (the doubtful ones are pinned in it). */
#include "store/head.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/hash.h"

#include "base/lock.h"
#include "base/log.h"

#define HEAD_FOLDERS 256u     /* heads/00 ... heads/ff: keeps folders short with a million heads */

enum file_kind { FILE_HEAD, FILE_SIDE };
struct file_key { uint64_t id; uint64_t kind; };

struct head {
	struct file_key key;
	struct disk_file *file;
	unsigned users;
	uint64_t name_number;           /* durable once the folder was synced at or after it */
	bool doubtful, removed;
	bool unwritable;                /* the file system is read-only: writing gives EROFS */
	struct head *older, *newer;     /* idle ones, by last use */
	UT_hash_handle hh;
};

struct heads {
	struct disk *disk;
	struct aside *aside;            /* borrowed; NULL: no threads */
	struct lock lock;               /* guards all below and the fields of heads */
	struct head *table;
	struct head idle;               /* list head: newer = oldest idle one */
	size_t idle_count, open_max;
	struct { uint64_t made /* or removed */, removed, synced; } names[HEAD_FOLDERS + 1];   /* the last one is side/ */
};

static unsigned folder_of(uint64_t ino) { return (unsigned)((ino * 0x9e3779b97f4a7c15ull) >> 56); }

static unsigned folder_index(struct file_key key) { return key.kind == FILE_HEAD ? folder_of(key.id) : HEAD_FOLDERS; }

static void file_path(struct file_key key, char path[static 64])
{
	if (key.kind == FILE_HEAD) snprintf(path, 64, "heads/%02x/%016" PRIx64, folder_of(key.id), key.id);
	else snprintf(path, 64, "side/%016" PRIx64, key.id);
}

static void folder_path(struct file_key key, char path[static 64])
{
	if (key.kind == FILE_HEAD) snprintf(path, 64, "heads/%02x", folder_of(key.id));
	else snprintf(path, 64, "side");
}

void head_path(uint64_t ino, char path[static 64]) { file_path((struct file_key){ ino, FILE_HEAD }, path); }
void side_path(uint64_t id, char path[static 64]) { file_path((struct file_key){ id, FILE_SIDE }, path); }

/* On a file system without a journal a power cut can leave the name of a new folder with the inode of a file that had been deleted. Nothing that
 * was synced was ever in such a folder: the sync of a head covers its folder too. */
static int folder_make(struct disk *disk, const char *path)
{
	int r = disk_mkdir(disk, path);
	if (r != -ENOTDIR) return r;
	log_warning("store", "a folder is a file since a power cut, it is made anew path=%s", path);
	r = disk_unlink(disk, path);
	return r == 0 ? disk_mkdir(disk, path) : r;
}

int heads_open(struct disk *disk, size_t open_max, struct heads **ret_heads)
{
	int r = folder_make(disk, "heads");
	if (r == 0) r = folder_make(disk, "side");
	for (unsigned i = 0; r == 0 && i < HEAD_FOLDERS; i++) {
		char path[16];
		snprintf(path, sizeof(path), "heads/%02x", i);
		r = folder_make(disk, path);
	}
	if (r == 0) r = disk_sync_dir(disk, "heads");
	if (r == 0) r = disk_sync_dir(disk, ".");
	if (r < 0) return r;
	struct heads *h = calloc(1, sizeof(*h));
	if (!h) return -ENOMEM;
	for (unsigned i = 0; i <= HEAD_FOLDERS; i++) h->names[i].made = h->names[i].removed = 1;
	h->disk = disk;
	h->open_max = open_max;
	h->idle.newer = h->idle.older = &h->idle;
	lock_init(&h->lock, "heads", LOCK_STORE);
	*ret_heads = h;
	return 0;
}

/* ---- the cache (lock held) --------------------------------------------------------------------------------------- */

static void idle_remove(struct heads *h, struct head *head)
{
	if (!head->newer) return;
	head->newer->older = head->older;
	head->older->newer = head->newer;
	head->newer = head->older = NULL;
	h->idle_count--;
}

static void idle_append(struct heads *h, struct head *head)
{
	head->older = h->idle.older;
	head->newer = &h->idle;
	head->older->newer = h->idle.older = head;
	h->idle_count++;
}

static void head_forget(struct heads *h, struct head *head)
{
	idle_remove(h, head);
	if (!head->removed) HASH_DEL(h->table, head);
	disk_close(head->file);
	free(head);
}

/* A doubtful file stays. */
static void shrink(struct heads *h, size_t idle_max)
{
	struct head *head = h->idle.newer;
	while (h->idle_count > idle_max && head != &h->idle) {
		struct head *next = head->newer;
		if (!head->doubtful) head_forget(h, head);
		head = next;
	}
}

void heads_close(struct heads *h)
{
	if (!h) return;
	struct head *head, *next;
	HASH_ITER(hh, h->table, head, next) {
		assert(head->users == 0);
		head_forget(h, head);
	}
	lock_done(&h->lock);
	free(h);
}

void heads_set_aside(struct heads *h, struct aside *a) { h->aside = a; }

struct opened_file { struct disk_file *file; bool made, unwritable; };

/* What is there is read on a read-only file system too. */
static int file_open(struct heads *h, const char *path, bool create, struct opened_file *ret)
{
	*ret = (struct opened_file){ 0 };
	int r = disk_open(h->disk, path, O_RDWR, &ret->file);
	if (r == -ENOENT && create) {
		r = disk_open(h->disk, path, O_RDWR | O_CREAT, &ret->file);
		ret->made = r == 0;
	}
	if (r == -EROFS) {
		r = disk_open(h->disk, path, O_RDONLY, &ret->file);
		ret->unwritable = r == 0;
		if (r == -ENOENT && create) r = -EROFS;
	}
	return r;
}

static int file_get(struct heads *h, struct file_key key, bool create, struct head **ret)
{
	LOCK_GUARD(&h->lock);
	struct head *head;
	HASH_FIND(hh, h->table, &key, sizeof(key), head);
	if (!head) {
		char path[64];
		file_path(key, path);
		struct opened_file opened;
		int r = file_open(h, path, create, &opened);
		if ((r == -EMFILE || r == -ENFILE) && h->idle_count > 0) {
			shrink(h, 0);
			r = file_open(h, path, create, &opened);
		}
		if (r < 0) return r;
		unsigned folder = folder_index(key);
		if (opened.made) h->names[folder].made++;
		head = calloc(1, sizeof(*head));
		if (head) {
			*head = (struct head){ .key = key, .file = opened.file, .unwritable = opened.unwritable, .name_number = h->names[folder].made };
			HASH_ADD(hh, h->table, key, sizeof(key), head);
		}
		if (!head || !hash_added(hh, head)) {
			free(head);
			disk_close(opened.file);
			return -ENOMEM;
		}
	}
	idle_remove(h, head);
	head->users++;
	*ret = head;
	return 0;
}

void head_put(struct heads *h, struct head *head)
{
	LOCK_GUARD(&h->lock);
	assert(head->users > 0);
	if (--head->users > 0) return;
	/* By the next use the file system may be writable again. */
	if (head->removed || (head->unwritable && !head->doubtful)) {
		head_forget(h, head);
		return;
	}
	idle_append(h, head);
	shrink(h, h->open_max);
}

int head_get(struct heads *h, uint64_t ino, bool create, struct head **ret_head)
{
	return file_get(h, (struct file_key){ ino, FILE_HEAD }, create, ret_head);
}

struct disk_file *head_file(struct head *head) { return head->file; }

static bool no_descriptors(int error) { return error == -EMFILE || error == -ENFILE; }

static int sync_folder_of(struct heads *h, struct file_key key)
{
	char folder[64];
	folder_path(key, folder);
	return disk_sync_dir(h->disk, folder);
}

struct folder_sync { struct heads *h; struct file_key key; };

static int folder_sync_run(void *arg)
{
	struct folder_sync *f = arg;
	return sync_folder_of(f->h, f->key);
}

/* Which of the two is durable first means nothing: either alone is as if neither were. */
static int sync_with_folder(struct heads *h, struct head *head)
{
	struct folder_sync f = { h, head->key };
	struct aside_job job;
	aside_begin(h->aside, &job, folder_sync_run, &f);
	int r = disk_sync(head->file), folder = aside_end(h->aside, &job);
	if (r < 0) return r;
	/* A folder that could not even be opened says nothing about the bytes. */
	if (no_descriptors(folder)) {
		lock_acquire(&h->lock);
		shrink(h, 0);
		lock_release(&h->lock);
		folder = sync_folder_of(h, head->key);
	}
	return folder;
}

int head_sync(struct heads *h, struct head *head)
{
	unsigned index = folder_index(head->key);
	lock_acquire(&h->lock);
	bool sync_folder = head->name_number > h->names[index].synced, doubtful = head->doubtful;
	uint64_t made = h->names[index].made;
	lock_release(&h->lock);
	if (doubtful) return -EIO;
	int r = sync_folder ? sync_with_folder(h, head) : disk_sync(head->file);
	if (no_descriptors(r)) return r;
	LOCK_GUARD(&h->lock);
	if (r < 0) head->doubtful = true;
	else if (sync_folder && h->names[index].synced < made) h->names[index].synced = made;
	return r;
}

int head_unused(struct heads *h, uint64_t ino, bool unread)
{
	struct file_key key = { ino, FILE_HEAD };
	char path[64];
	file_path(key, path);
	LOCK_GUARD(&h->lock);
	struct head *head;
	HASH_FIND(hh, h->table, &key, sizeof(key), head);
	if (head && (head->users > 0 || head->doubtful)) return -EAGAIN;
	if (head) head_forget(h, head);   /* it would be seen */
	return disk_unused(h->disk, path, unread);
}

int head_open_fd(struct heads *h, uint64_t ino, bool create)
{
	struct file_key key = { ino, FILE_HEAD };
	char path[64];
	struct disk_file *file;
	file_path(key, path);
	int r = disk_open(h->disk, path, O_RDONLY | (create ? O_CREAT : 0), &file);
	if (r < 0) return r;
	if (create) {
		LOCK_GUARD(&h->lock);
		h->names[folder_index(key)].made++;
	}
	int fd = disk_fd(file) < 0 ? -1 : fcntl(disk_fd(file), F_DUPFD_CLOEXEC, 0);
	r = fd < 0 ? disk_fd(file) < 0 ? -EOPNOTSUPP : -errno : fd;
	disk_close(file);
	return r;
}

bool head_doubtful(struct heads *h, struct head *head)
{
	LOCK_GUARD(&h->lock);
	return head->doubtful;
}

void head_trust(struct heads *h, struct head *head)
{
	LOCK_GUARD(&h->lock);
	head->doubtful = false;
	head->name_number = ++h->names[folder_index(head->key)].made;   /* its folder is synced once more with it */
}

static int file_remove(struct heads *h, struct file_key key)
{
	char path[64];
	file_path(key, path);
	LOCK_GUARD(&h->lock);
	struct head *head;
	HASH_FIND(hh, h->table, &key, sizeof(key), head);
	if (head) {
		HASH_DEL(h->table, head);
		head->removed = true;
		if (head->users == 0) head_forget(h, head);
	}
	int r = disk_unlink(h->disk, path);
	h->names[folder_index(key)].removed = ++h->names[folder_index(key)].made;
	return r == -ENOENT ? 0 : r;
}

static int settle_names(struct heads *h, unsigned index)
{
	char path[16];
	lock_acquire(&h->lock);
	uint64_t made = h->names[index].made;
	bool due = h->names[index].removed > h->names[index].synced;
	lock_release(&h->lock);
	if (!due) return 0;
	snprintf(path, sizeof(path), "heads/%02x", index);
	int r = disk_sync_dir(h->disk, path);
	LOCK_GUARD(&h->lock);
	if (r == 0 && h->names[index].synced < made) h->names[index].synced = made;
	return r;
}

int head_settle_names(struct heads *h, uint64_t ino) { return settle_names(h, folder_of(ino)); }

int heads_settle_names(struct heads *h)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < HEAD_FOLDERS; i++) r = settle_names(h, i);
	return r;
}

int head_remove(struct heads *h, uint64_t ino) { return file_remove(h, (struct file_key){ ino, FILE_HEAD }); }

/* ---- listing ----------------------------------------------------------------------------------------------------- */

struct listing { int (*each)(void *arg, uint64_t id); void *arg; };

static int list_name(void *arg, const char *name)
{
	struct listing *l = arg;
	char *end;
	errno = 0;
	uint64_t id = strtoull(name, &end, 16);
	if (errno || *end || end - name != 16) {
		log_notice("store", "a file that is none of ours among the heads: %s", name);
		return 0;
	}
	return l->each(l->arg, id);
}

int heads_list(struct heads *h, int (*each)(void *, uint64_t), void *arg)
{
	struct listing l = { each, arg };
	for (unsigned i = 0; i < HEAD_FOLDERS; i++) {
		char path[16];
		snprintf(path, sizeof(path), "heads/%02x", i);
		int r = disk_list(h->disk, path, list_name, &l);
		if (r != 0) return r;
	}
	return 0;
}

int sides_list(struct heads *h, int (*each)(void *, uint64_t), void *arg)
{
	struct listing l = { each, arg };
	return disk_list(h->disk, "side", list_name, &l);
}

/* ---- side files -------------------------------------------------------------------------------------------------- */

static int side_get(struct heads *h, uint64_t id, bool create, struct head **ret) { return file_get(h, (struct file_key){ id, FILE_SIDE }, create, ret); }

int side_write(struct heads *h, uint64_t id, const void *data, size_t size, uint64_t offset)
{
	struct head *side;
	int r = side_get(h, id, true, &side);
	if (r < 0) return r;
	r = disk_pwrite(side->file, data, size, offset);
	head_put(h, side);
	return r;
}

int side_sync(struct heads *h, uint64_t id)
{
	struct head *side;
	int r = side_get(h, id, false, &side);
	if (r < 0) return r;
	r = head_sync(h, side);
	head_put(h, side);
	return r;
}

int side_read(struct heads *h, uint64_t id, void *data, size_t size, uint64_t offset)
{
	struct head *side;
	int r = side_get(h, id, false, &side);
	if (r < 0) return r == -ENOENT ? -EIO : r;
	ssize_t n = disk_pread(side->file, data, size, offset);
	head_put(h, side);
	return n < 0 ? (int)n : (size_t)n == size ? 0 : -EIO;
}

int side_remove(struct heads *h, uint64_t id) { return file_remove(h, (struct file_key){ id, FILE_SIDE }); }
