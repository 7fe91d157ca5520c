/* The simulated disk: the calls of store/disk.h over the tree of sim_node.c and the bytes of sim_content.c, with steps,
 * a capacity, and faults. Deterministic: all chance comes from the given source. Single-threaded. */
#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "store/sim.h"

#define SIM_INODES (1u << 20)   /* what disk_space says; not enforced */

struct sim_file { struct disk_file file; struct sim_disk *disk; struct sim_node *node; bool writable; };

static struct sim_disk *to_disk(struct disk *d) { return (struct sim_disk *)d; }
static const struct sim_disk *to_const_disk(const struct disk *d) { return (const struct sim_disk *)d; }
static struct sim_file *to_file(struct disk_file *f) { return (struct sim_file *)f; }

static const struct disk_ops sim_ops;

int sim_step(struct sim_disk *d)
{
	if (d->crashed)
		return -ESHUTDOWN;
	d->steps++;
	d->crashed = d->crash_step != 0 && d->steps >= d->crash_step;
	return d->crashed ? 1 : 0;
}

bool sim_coin(struct sim_disk *d)
{
	return random_below(d->disk.random, 2) == 0;
}

static uint64_t room(const struct sim_disk *d)
{
	uint64_t pages = d->capacity_bytes / SIM_PAGE;

	return pages > d->used_pages ? pages - d->used_pages : 0;
}

/* The folder that `path` lies in, and the last part of the path. The path "." has the part ".". */
static int walk(struct sim_disk *d, const char *path, struct sim_node **ret_folder, const char **ret_name)
{
	struct sim_node *folder = d->root;
	const char *slash;

	if (d->crashed)
		return -ESHUTDOWN;
	while ((slash = strchr(path, '/'))) {
		char part[256];
		size_t size = (size_t)(slash - path);
		if (size >= sizeof(part))
			return -ENAMETOOLONG;
		memcpy(part, path, size);
		part[size] = '\0';
		folder = sim_node_find(folder, part);
		if (!folder)
			return -ENOENT;
		if (!folder->folder)
			return -ENOTDIR;
		path = slash + 1;
	}
	*ret_folder = folder;
	*ret_name = path;
	return 0;
}

static int walk_folder(struct sim_disk *d, const char *path, struct sim_node **ret_folder)
{
	struct sim_node *folder;
	const char *name;
	int r = walk(d, path, &folder, &name);

	if (r == 0 && strcmp(name, ".") != 0)
		folder = sim_node_find(folder, name);
	if (r < 0)
		return r;
	if (!folder)
		return -ENOENT;
	if (!folder->folder)
		return -ENOTDIR;
	*ret_folder = folder;
	return 0;
}

/* Makes an entry, in the step that the caller has begun, which may be the one in which the machine dies. */
static int make_node(struct sim_disk *d, struct sim_node *parent, const char *name, bool folder, struct sim_node **ret_node)
{
	int step = sim_step(d);

	if (step < 0 || (step > 0 && sim_coin(d)))
		return -ESHUTDOWN;
	struct sim_node *node = sim_node_new(folder, d->disk.random, &d->used_pages);
	if (!node)
		return -ENOMEM;
	int r = sim_node_change(parent, NULL, name, node);
	sim_node_unref(node);
	if (r == 0 && ret_node)
		*ret_node = node;
	return step > 0 ? -ESHUTDOWN : r;
}

static int sim_open(struct disk *disk, const char *path, int flags, struct disk_file **ret_file)
{
	struct sim_disk *d = to_disk(disk);
	struct sim_node *folder, *node;
	const char *name;
	int r = walk(d, path, &folder, &name);

	if (r < 0)
		return r;
	node = sim_node_find(folder, name);
	if (!node && !(flags & O_CREAT))
		return -ENOENT;
	if (node && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (node && node->folder)
		return -EISDIR;
	if (!node) {
		r = make_node(d, folder, name, false, &node);
	} else if (flags & O_TRUNC) {
		int step = sim_step(d);
		if (step == 0 || (step > 0 && sim_coin(d)))
			r = sim_content_truncate(&node->content, 0);
		if (step)
			r = -ESHUTDOWN;
	}
	if (r < 0)
		return r;
	struct sim_file *f = malloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct sim_file){ .file.ops = &sim_ops, .disk = d, .node = node, .writable = (flags & O_ACCMODE) == O_RDWR };
	node->refs++;
	node->opens++;
	node->writers += f->writable;
	d->open_files++;
	*ret_file = &f->file;
	return 0;
}

static void sim_close(struct disk_file *file)
{
	struct sim_file *f = to_file(file);

	f->disk->open_files--;
	f->node->opens--;
	f->node->writers -= f->writable;
	sim_node_settle(f->node);
	sim_node_unref(f->node);
	free(f);
}

static void touch(struct sim_file *f)
{
	if (f->disk->clock)
		f->node->content.mtime_ns = clock_wall_ns(f->disk->clock);
}

static ssize_t sim_pread(struct disk_file *file, void *data, size_t size, uint64_t offset)
{
	struct sim_file *f = to_file(file);

	if (f->disk->crashed)
		return -ESHUTDOWN;
	if (offset >= f->node->content.size)
		return 0;
	if (size > f->node->content.size - offset)
		size = (size_t)(f->node->content.size - offset);
	int r = sim_content_read(&f->node->content, data, size, offset);
	return r < 0 ? r : (ssize_t)size;
}

static int sim_pwritev(struct disk_file *file, const struct iovec *iov, int count, uint64_t offset)
{
	struct sim_file *f = to_file(file);
	int step = sim_step(f->disk), r = 0;
	uint64_t total = 0;

	if (step < 0)
		return step;
	if (!f->writable)
		return -EROFS;
	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	touch(f);
	/* Who dies while writing has written some of it, up to the end of a sector. */
	if (step > 0 && total > 0) {
		uint64_t end = offset + random_below(f->disk->disk.random, total + 1);
		end = end == offset + total ? end : end / SIM_SECTOR * SIM_SECTOR;
		total = end > offset ? end - offset : 0;
	}
	for (int i = 0; r == 0 && i < count && total > 0; i++) {
		size_t size = iov[i].iov_len < total ? iov[i].iov_len : (size_t)total;
		r = sim_content_write(&f->node->content, iov[i].iov_base, size, offset, room(f->disk));
		offset += size;
		total -= size;
	}
	return step > 0 ? -ESHUTDOWN : r;
}

static int sim_sync(struct disk_file *file)
{
	struct sim_file *f = to_file(file);
	struct sim_disk *d = f->disk;
	int step = sim_step(d);

	if (step)
		return -ESHUTDOWN;
	d->syncs++;
	if (d->syncs == d->fail_sync) {
		sim_content_fail_sync(&f->node->content);
		return -EIO;
	}
	sim_content_sync(&f->node->content);
	return 0;
}

/* The beginning and end that the changes of a file have in common. */
enum change { CHANGE_TRUNCATE, CHANGE_ALLOCATE, CHANGE_PUNCH };

static int change_file(struct disk_file *file, enum change change, uint64_t offset, uint64_t size)
{
	struct sim_file *f = to_file(file);
	int step = sim_step(f->disk), r = 0;

	if (step < 0)
		return step;
	if (!f->writable)
		return -EROFS;
	if (change != CHANGE_ALLOCATE)
		touch(f);
	if (step == 0 || sim_coin(f->disk)) {
		if (change == CHANGE_TRUNCATE)
			r = sim_content_truncate(&f->node->content, size);
		else if (change == CHANGE_ALLOCATE)
			r = sim_content_allocate(&f->node->content, offset, size, room(f->disk));
		else
			r = sim_content_punch(&f->node->content, offset, size);
	}
	return step > 0 ? -ESHUTDOWN : r;
}

static int sim_truncate(struct disk_file *file, uint64_t size) { return change_file(file, CHANGE_TRUNCATE, 0, size); }
static int sim_allocate(struct disk_file *file, uint64_t offset, uint64_t size) { return change_file(file, CHANGE_ALLOCATE, offset, size); }
static int sim_punch(struct disk_file *file, uint64_t offset, uint64_t size) { return change_file(file, CHANGE_PUNCH, offset, size); }

static int sim_size(struct disk_file *file, uint64_t *ret_size)
{
	if (to_file(file)->disk->crashed)
		return -ESHUTDOWN;
	*ret_size = to_file(file)->node->content.size;
	return 0;
}

static int sim_stat(struct disk_file *file, struct disk_stat *ret_stat)
{
	const struct sim_content *c = &to_file(file)->node->content;

	if (to_file(file)->disk->crashed)
		return -ESHUTDOWN;
	*ret_stat = (struct disk_stat){ .size = c->size, .blocks = c->allocated_pages * SIM_PAGE_SECTORS, .mtime_ns = c->mtime_ns };
	return 0;
}

static int sim_set_mtime(struct disk_file *file, int64_t mtime_ns)
{
	if (to_file(file)->disk->crashed)
		return -ESHUTDOWN;
	to_file(file)->node->content.mtime_ns = mtime_ns;
	return 0;
}

static int sim_seek(struct disk_file *file, uint64_t offset, bool hole, uint64_t *ret_offset)
{
	const struct sim_content *c = &to_file(file)->node->content;

	if (to_file(file)->disk->crashed)
		return -ESHUTDOWN;
	if (offset >= c->size)
		return -ENXIO;
	*ret_offset = sim_content_seek(c, offset, hole);
	return *ret_offset < c->size || hole ? 0 : -ENXIO;
}

static int sim_clone(struct disk_file *from, struct disk_file *to)
{
	struct sim_disk *d = to_file(to)->disk;
	int step = sim_step(d), r = 0;

	if (step < 0)
		return step;
	if (step == 0 || sim_coin(d))
		r = sim_content_copy(&to_file(from)->node->content, &to_file(to)->node->content, room(d));
	touch(to_file(to));
	return step > 0 ? -ESHUTDOWN : r;
}

/* What is not synced may be on the disk or not in any case. */
static void sim_begin_sync(struct disk_file *file, uint64_t offset, uint64_t size)
{
	(void)file;
	(void)offset;
	(void)size;
}

static int sim_drop_cache(struct disk_file *file, uint64_t offset, uint64_t size)
{
	if (to_file(file)->disk->crashed)
		return -ESHUTDOWN;
	sim_content_drop_cache(&to_file(file)->node->content, offset, size);
	return 0;
}

static int sim_fd(struct disk_file *file)
{
	(void)file;
	return -1;
}

/* An entry is renamed (to != NULL) or goes. */
static int change_name(struct sim_disk *d, struct sim_node *folder, const char *name, const char *to)
{
	struct sim_node *node = sim_node_find(folder, name);

	if (!node)
		return -ENOENT;
	if (node->folder)
		return to ? -EINVAL : -EISDIR;
	int step = sim_step(d), r = 0;
	if (step < 0)
		return step;
	if (step == 0 || sim_coin(d))
		r = sim_node_change(folder, name, to, to ? node : NULL);
	return step > 0 ? -ESHUTDOWN : r;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_node *folder, *to_folder;
	const char *name, *to_name;
	int r = walk(to_disk(disk), from, &folder, &name);

	if (r == 0)
		r = walk(to_disk(disk), to, &to_folder, &to_name);
	if (r < 0)
		return r;
	return folder == to_folder ? change_name(to_disk(disk), folder, name, to_name) : -EXDEV;
}

static int sim_unused(struct disk *disk, const char *path, bool unread)
{
	struct sim_node *folder, *node;
	const char *name;
	int r = walk(to_disk(disk), path, &folder, &name);

	if (r < 0)
		return r;
	node = sim_node_find(folder, name);
	if (!node)
		return -ENOENT;
	return node->writers > 0 || (unread && node->opens > 0) ? -EAGAIN : 0;
}

static int sim_unlink(struct disk *disk, const char *path)
{
	struct sim_node *folder;
	const char *name;
	int r = walk(to_disk(disk), path, &folder, &name);

	return r < 0 ? r : change_name(to_disk(disk), folder, name, NULL);
}

static int sim_mkdir(struct disk *disk, const char *path)
{
	struct sim_node *folder;
	const char *name;
	int r = walk(to_disk(disk), path, &folder, &name);

	if (r < 0 || sim_node_find(folder, name))
		return r;
	return make_node(to_disk(disk), folder, name, true, NULL);
}

static int sim_sync_dir(struct disk *disk, const char *path)
{
	struct sim_node *folder;
	int r = walk_folder(to_disk(disk), path, &folder);

	if (r < 0)
		return r;
	return sim_step(to_disk(disk)) ? -ESHUTDOWN : sim_node_sync(folder);
}

static int sim_list(struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct sim_node *folder;
	int r = walk_folder(to_disk(disk), path, &folder);

	if (r < 0)
		return r;
	/* each() may change the folder: it is shown as it was. */
	size_t count = folder->now.count;
	char **names = calloc(count + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		names[i] = strdup(folder->now.names[i].name);
		if (!names[i])
			r = -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = each(arg, names[i]);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return r;
}

static int sim_space(struct disk *disk, struct disk_space *ret_space)
{
	const struct sim_disk *d = to_disk(disk);

	if (d->crashed)
		return -ESHUTDOWN;
	*ret_space = (struct disk_space){ .total_bytes = d->capacity_bytes, .free_bytes = room(d) * SIM_PAGE,
		.total_inodes = SIM_INODES, .free_inodes = SIM_INODES };
	return 0;
}

static void sim_free(struct disk *disk)
{
	struct sim_disk *d = to_disk(disk);

	assert(d->open_files == 0);
	while (d->images) {
		struct sim_image *image = d->images;
		d->images = image->next;
		sim_map_unref(image->durable);
		free(image->directory);
		free(image);
	}
	sim_node_unref(d->root);
	free(d);
}

static const struct disk_ops sim_ops = {
	.open = sim_open, .close = sim_close, .pread = sim_pread, .pwritev = sim_pwritev, .sync = sim_sync,
	.truncate = sim_truncate, .allocate = sim_allocate, .punch = sim_punch, .size = sim_size, .stat = sim_stat,
	.set_mtime = sim_set_mtime, .seek = sim_seek, .unused = sim_unused, .clone = sim_clone,
	.begin_sync = sim_begin_sync, .drop_cache = sim_drop_cache, .fd = sim_fd, .rename = sim_rename, .unlink = sim_unlink, .mkdir = sim_mkdir,
	.sync_dir = sim_sync_dir, .list = sim_list, .space = sim_space, .free = sim_free,
};

int disk_sim_new(struct random_source *random, uint64_t capacity_bytes, struct disk **ret_disk)
{
	struct sim_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->root = sim_node_new(true, random, &d->used_pages);
	if (!d->root) {
		free(d);
		return -ENOMEM;
	}
	d->disk = (struct disk){ .ops = &sim_ops, .random = random };
	d->capacity_bytes = capacity_bytes;
	*ret_disk = &d->disk;
	return 0;
}

uint64_t disk_sim_steps(const struct disk *d)
{
	return to_const_disk(d)->steps;
}

void disk_sim_crash_after(struct disk *d, uint64_t steps)
{
	to_disk(d)->crash_step = steps ? to_disk(d)->steps + steps : 0;
}

bool disk_sim_crashed(const struct disk *d)
{
	return to_const_disk(d)->crashed;
}

void disk_sim_process_kill(struct disk *d)
{
	to_disk(d)->crashed = false;
	to_disk(d)->crash_step = 0;
}

void disk_sim_power_cut(struct disk *d)
{
	sim_node_power_cut(to_disk(d)->root);
	disk_sim_process_kill(d);
}

void disk_sim_set_capacity(struct disk *d, uint64_t capacity_bytes)
{
	to_disk(d)->capacity_bytes = capacity_bytes;
}

void disk_sim_set_clock(struct disk *d, struct clock *clock)
{
	to_disk(d)->clock = clock;
}

int disk_sim_flip_bit(struct disk *d, const char *path, uint64_t bit)
{
	struct sim_node *folder, *node;
	const char *name;
	int r = walk(to_disk(d), path, &folder, &name);

	if (r < 0)
		return r;
	node = sim_node_find(folder, name);
	if (!node || node->folder)
		return -ENOENT;
	if (bit / 8 >= node->content.size)
		return -ERANGE;
	sim_content_flip(&node->content, bit);
	return 0;
}

void disk_sim_fail_sync(struct disk *d, uint64_t nth)
{
	to_disk(d)->fail_sync = nth ? to_disk(d)->syncs + nth : 0;
}
