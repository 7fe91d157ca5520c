/* Extended attributes. user.dios.* are made here and read-only; they are not listed, so that copying tools do not carry them to other objects.
 * There are no ACLs: system.posix_acl_* is refused, the mode is all there is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/magic.h"
#include "fs/session.h"
#include "fs/xattr.h"

#define LIST_MAX 65536u         /* bytes: the kernel's own limit */

static bool has_prefix(const char *name, const char *prefix) { return strncmp(name, prefix, strlen(prefix)) == 0; }

static int name_check(uint64_t node, const char *name, bool write)
{
	if (has_prefix(name, "system."))
		return -EOPNOTSUPP;
	if (write && has_prefix(name, VIRTUAL_PREFIX))
		return -EPERM;
	if (write && magic_is(node))
		return -EPERM;
	return 0;
}

/* size 0 asks how large the value is. */
static void reply_value(fuse_req_t req, int r, const struct buffer *value, size_t size)
{
	if (r < 0)
		reply_error(req, r);
	else if (size == 0)
		fuse_reply_xattr(req, value->size);
	else if (value->size > size)
		reply_error(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)value->data, value->size);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct fs *fs = fs_of(req);
	uint64_t ino = magic_is(node) ? magic_object(fs, node) : node;
	struct buffer value;
	int r = name_check(node, name, false);

	buffer_init(&value, XATTR_VALUE_MAX);
	if (r == 0 && (magic_is(ino) || (ino != node && !has_prefix(name, VIRTUAL_PREFIX))))
		r = -ENODATA;
	if (r == 0 && has_prefix(name, VIRTUAL_PREFIX))
		r = virtual_xattr_get(fs, ino, name + strlen(VIRTUAL_PREFIX), &value);
	else if (r == 0)
		r = object_get_xattr(fs->objects, ino, name, &value);
	reply_value(req, r, &value, size);
	buffer_done(&value);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value, size_t size, int flags)
{
	int r = name_check(node, name, true);

	if (r == 0 && size > XATTR_VALUE_MAX)
		r = -E2BIG;
	if (r == 0)
		r = object_set_xattr(fs_of(req)->objects, node, name, (struct slice){ .data = (const uint8_t *)value, .size = size }, flags);
	reply_error(req, r);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct buffer names;
	int r = 0;

	buffer_init(&names, LIST_MAX);
	if (!magic_is(node))
		r = object_list_xattrs(fs_of(req)->objects, node, &names);
	reply_value(req, r, &names, size);
	buffer_done(&names);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name)
{
	int r = name_check(node, name, true);

	if (r == 0)
		r = object_remove_xattr(fs_of(req)->objects, node, name);
	reply_error(req, r);
}

void ops_fill_xattr(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = op_getxattr;
	ops->setxattr = op_setxattr;
	ops->listxattr = op_listxattr;
	ops->removexattr = op_removexattr;
}
