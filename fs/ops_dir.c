/* Reading directories. A cookie is the entry's own, from the state: it grows with insertion and is never used again, so that a listing
 * is stable under change. 1 is ".", 2 is "..", the state's cookies follow by 2. */
#include <string.h>

#include "fs/magic.h"
#include "fs/session.h"

#define COOKIE_DOT 1
#define COOKIE_DOTDOT 2
#define COOKIE_BASE 2

/* A directory has a handle though reading needs none: things can be attached to its descriptor (DIOS_IOC_CREATE). */
static void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h;

	if (magic_is(node)) {
		magic_opendir(req, node, fi);
		return;
	}
	int r = handle_new(fs->handles, HANDLE_DIRECTORY, node, node, &h);
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	h->object_kind = KIND_DIRECTORY;
	h->entry->object_kind = KIND_DIRECTORY;
	fi->fh = h->fh;
	if (fuse_reply_open(req, fi) == -ENOENT)        /* the program was interrupted: no RELEASEDIR will come */
		handle_free(fs->handles, h);
}

struct listing {
	fuse_req_t req;
	struct fs *fs;
	char *out;
	size_t size, used;
	uint64_t node;
	bool plus, full;
};

/* Puts one entry into the answer; false: it does not fit. a: NULL for entries whose attributes the kernel gets no other way. */
static bool listing_add(struct listing *l, const char *name, const struct fuse_entry_param *entry, uint64_t cookie)
{
	size_t left = l->size - l->used, n;

	if (l->plus)
		n = fuse_add_direntry_plus(l->req, l->out + l->used, left, name, entry, (off_t)cookie);
	else
		n = fuse_add_direntry(l->req, l->out + l->used, left, name, &entry->attr, (off_t)cookie);
	if (n > left) {
		l->full = true;
		return false;
	}
	l->used += n;
	return true;
}

static int listing_each(void *arg, const struct state_entry *e)
{
	struct listing *l = arg;
	struct fuse_entry_param entry = { .attr = { .st_ino = e->ino, .st_mode = e->mode } };
	char name[NAME_MAX_BYTES + 1];
	struct attributes a;

	if (e->name_size > NAME_MAX_BYTES)
		return 0;
	memcpy(name, e->name, e->name_size);
	name[e->name_size] = '\0';
	/* Node 0 says: no attributes now, look it up. */
	if (l->plus && object_get(l->fs->objects, e->ino, &a) == 0)
		attr_entry(l->fs, &a, &entry);
	return listing_add(l, name, &entry, e->cookie + COOKIE_BASE) ? 0 : 1;
}

static int listing_dots(struct listing *l, uint64_t after)
{
	struct fuse_entry_param entry = { .attr = { .st_ino = l->node, .st_mode = S_IFDIR } };
	struct attributes a;

	if (after < COOKIE_DOT && !listing_add(l, ".", &entry, COOKIE_DOT))
		return 0;
	if (after >= COOKIE_DOTDOT)
		return 0;
	int r = object_get(l->fs->objects, l->node, &a);
	if (r < 0)
		return r;
	entry.attr.st_ino = a.record.parent ? a.record.parent : l->node;
	listing_add(l, "..", &entry, COOKIE_DOTDOT);
	return 0;
}

static void read_directory(fuse_req_t req, uint64_t node, size_t size, uint64_t after, struct fuse_file_info *fi, bool plus)
{
	struct fs *fs = fs_of(req);
	struct listing l = { .req = req, .fs = fs, .node = node, .size = size, .plus = plus };

	if (magic_is(node)) {
		magic_readdir(req, node, size, after, handle_get(fs->handles, fi->fh), plus);
		return;
	}
	l.out = request_scratch(size);
	int r = l.out ? listing_dots(&l, after) : -ENOMEM;
	if (r == 0 && !l.full)
		r = object_read_directory(fs->objects, node, after > COOKIE_BASE ? after - COOKIE_BASE : 0, listing_each, &l);
	/* A directory that was removed while it is open is empty. */
	if (r < 0 && r != -ENOENT)
		reply_error(req, r);
	else
		fuse_reply_buf(req, l.out, l.used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, node, size, (uint64_t)offset, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, node, size, (uint64_t)offset, fi, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_get(fs->handles, fi->fh);

	(void)node;
	if (h)
		handle_free(fs->handles, h);
	reply_error(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	reply_error(req, magic_is(node) || fs_of(req)->relaxed ? 0 : cluster_sync(objects_cluster(fs_of(req)->objects)));
}

void ops_fill_dir(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->releasedir = op_releasedir;
	ops->fsyncdir = op_fsyncdir;
}
