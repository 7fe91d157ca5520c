/* Names to nodes. What is not there is remembered by the kernel too, until somebody makes it. */
#include <string.h>

#include "fs/magic.h"
#include "fs/session.h"

/* "." and ".." are asked for when a file handle (name_to_handle_at) is turned into a node again. */
static void lookup_dots(fuse_req_t req, uint64_t node, bool parent)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct attributes a;
	int r = object_get(fs->objects, node, &a);

	if (r == 0 && parent)
		r = a.record.kind == KIND_DIRECTORY ? object_get(fs->objects, a.record.parent ? a.record.parent : ROOT_INO, &a) : -ENOTDIR;
	if (r < 0) {
		reply_error(req, r == -ENOENT ? -ESTALE : r);
		return;
	}
	attr_entry(fs, &a, &entry);
	fuse_reply_entry(req, &entry);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry = { .entry_timeout = fs->timeout_s };
	struct attributes a;

	if (magic_is(parent) || (parent == ROOT_INO && strcmp(name, MAGIC_NAME) == 0)) {
		magic_lookup(req, parent, name);
		return;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		lookup_dots(req, parent, name[1] == '.');
		return;
	}
	size_t size = strlen(name);
	if (size > NAME_MAX_BYTES) {
		reply_error(req, ENAMETOOLONG);
		return;
	}
	int r = object_lookup(fs->objects, parent, name, size, &a);
	if (r == 0)
		attr_entry(fs, &a, &entry);
	if (r == 0 || r == -ENOENT)
		fuse_reply_entry(req, &entry);
	else
		reply_error(req, r);
}

/* Node ids are inode numbers: only look-ups of tokens are counted (D1). */
static void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
	if (magic_is(node))
		magic_forget(fs_of(req), node, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		if (magic_is(forgets[i].ino))
			magic_forget(fs_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void ops_fill_lookup(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
}
