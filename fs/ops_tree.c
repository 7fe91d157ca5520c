/* Changes of the tree: mknod, mkdir, symlink, link, unlink, rmdir, rename. The folder .dios is not part of it: its name is taken, and
 * what is in it can neither be moved nor replaced. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/magic.h"
#include "fs/session.h"

/* 0, or why this name cannot be changed by the user. */
static int name_check(uint64_t parent, const char *name, int magic_error)
{
	if (magic_is(parent))
		return -EPERM;
	if (strlen(name) > NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	return parent == ROOT_INO && strcmp(name, MAGIC_NAME) == 0 ? magic_error : 0;
}

static void create_and_reply(fuse_req_t req, struct command_create *c, const char *name)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct attributes a;

	int r = name_check(c->parent, name, -EEXIST);
	c->entry = (struct slice){ .data = (const uint8_t *)name, .size = strlen(name) };
	c->uid = ctx->uid;
	c->gid = ctx->gid;
	if (r == 0)
		r = object_create(fs->objects, c, 0, NULL, &a);
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	attr_entry(fs, &a, &entry);
	fuse_reply_entry(req, &entry);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct command_create c = { .parent = parent, .kind = S_ISREG(mode) ? KIND_BLOB : KIND_SPECIAL, .mode = mode, .rdev = rdev };

	create_and_reply(req, &c, name);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct command_create c = { .parent = parent, .kind = KIND_DIRECTORY, .mode = S_IFDIR | (mode & 07777) };

	create_and_reply(req, &c, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct command_create c = { .parent = parent, .kind = KIND_SYMLINK, .mode = S_IFLNK | 0777,
		.target = { .data = (const uint8_t *)target, .size = strlen(target) } };

	if (c.target.size > SYMLINK_MAX)
		reply_error(req, ENAMETOOLONG);
	else
		create_and_reply(req, &c, name);
}

static void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct attributes a;
	int r = magic_is(node) ? -EPERM : name_check(parent, name, -EEXIST);

	if (r == 0)
		r = object_link(fs->objects, node, parent, name, strlen(name), &a);
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	attr_entry(fs, &a, &entry);
	fuse_reply_entry(req, &entry);
}

static void remove_entry(fuse_req_t req, uint64_t parent, const char *name, bool directory)
{
	if (magic_is(parent) && !directory) {
		magic_unlink(req, parent, name);
		return;
	}
	int r = name_check(parent, name, directory ? -EBUSY : -EISDIR);
	if (r == 0)
		r = object_unlink(fs_of(req)->objects, parent, name, strlen(name), directory);
	reply_error(req, r);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name) { remove_entry(req, parent, name, false); }
static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name) { remove_entry(req, parent, name, true); }

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	int r = name_check(parent, name, -EBUSY);

	if (r == 0)
		r = name_check(new_parent, new_name, -EBUSY);
	if (r == 0 && (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		r = -EINVAL;
	if (r == 0)
		r = object_rename(fs_of(req)->objects, parent, name, strlen(name), new_parent, new_name, strlen(new_name), flags);
	reply_error(req, r);
}

void ops_fill_tree(struct fuse_lowlevel_ops *ops)
{
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
}
