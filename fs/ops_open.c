/* open, create, tmpfile, release.
 *
 * Blobs are read through the kernel's page cache, which all opens of a node share, or past us (fs/passthrough.h). The cache is kept from open to
 * open, because what changes content otherwise says so (fs/invalidate.h). Streams, texts and whatever was opened by a token are direct I/O. An open of an object that a
 * task has still to produce waits. */
#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "fs/invalidate.h"
#include "fs/magic.h"
#include "fs/open.h"
#include "fs/passthrough.h"
#include "fs/wait.h"

uint32_t open_rights(int flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return RIGHT_READ;
	case O_WRONLY:
		return RIGHT_WRITE | RIGHT_APPEND;
	default:
		return RIGHT_READ | RIGHT_WRITE | RIGHT_APPEND;
	}
}

void open_options(const struct fs *fs, int flags, uint32_t rights, struct reference_options *ret_options)
{
	*ret_options = (struct reference_options){ .rights = rights, .append = (flags & O_APPEND) != 0,
		.sync = (flags & O_DSYNC) && !fs->relaxed, .nonblock = (flags & O_NONBLOCK) != 0 };
}

int open_handle(struct fs *fs, const struct open_request *o, enum object_kind kind, struct reference *r, struct fuse_file_info *fi,
	struct handle **ret_handle)
{
	const struct reference_options *options = reference_get_options(r);
	struct handle *h;

	int e = handle_new(fs->handles, HANDLE_OBJECT, o->node, o->ino, &h);
	if (e < 0)
		return e;
	h->object_kind = kind;
	h->entry->object_kind = (uint32_t)kind;
	h->reference = r;
	h->entry->flags = (uint32_t)fi->flags;
	h->entry->rights = options->rights;
	h->entry->range_offset = options->range_offset;
	h->entry->range_length = options->range_length;
	h->entry->expiry_ns = options->expiry_ns;
	memcpy(h->entry->reference_id, reference_id(r), sizeof(h->entry->reference_id));
	fi->fh = h->fh;
	fi->direct_io = kind != KIND_BLOB || o->node != o->ino;
	fi->keep_cache = !fi->direct_io;
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
	e = fi->direct_io ? 0 : passthrough_open(h, fi);
	if (e < 0) {
		h->reference = NULL;   /* the caller's still */
		handle_free(fs->handles, h);
		return e;
	}
	*ret_handle = h;
	return 0;
}

static int open_reference(struct fs *fs, struct open_request *o, struct reference **ret_reference)
{
	struct reference_options options;
	struct token_grant grant;
	uint64_t ino;
	uint32_t want = open_rights(o->fi.flags);

	open_options(fs, o->fi.flags, want, &options);
	if (!o->token)
		return reference_open(fs->objects, o->ino, &options, ret_reference);
	/* It may have been revoked, or have expired, since it was looked up. */
	int r = capability_verify(fs->objects, o->token->text, o->token->text_size, &o->caller, &ino, &grant);
	if (r < 0)
		return r;
	if ((want & RIGHT_WRITE) && !(grant.rights & RIGHT_WRITE) && options.append)
		want &= ~(uint32_t)RIGHT_WRITE;
	else if (want & RIGHT_WRITE)
		want &= ~(uint32_t)RIGHT_APPEND;       /* who may write may append */
	if (want & ~grant.rights)
		return -EACCES;
	if ((o->fi.flags & O_TRUNC) && (!(want & RIGHT_WRITE) || grant.ranged))
		return -EACCES;
	want |= grant.rights & (RIGHT_DELETE | RIGHT_DELEGATE | (want & RIGHT_READ ? RIGHT_EXECUTE : 0));   /* rights that open(2) does not ask for */
	options.rights = want;
	return capability_open(fs->objects, ino, &grant, want, &options, ret_reference);
}

struct opened { struct fuse_file_info fi; struct handle *h; };

static void reply_opened(void *arg, fuse_req_t req)
{
	struct opened *o = arg;
	struct fs *fs = fs_of(req);

	if (fuse_reply_open(req, &o->fi) == -ENOENT)
		handle_free(fs->handles, o->h);
	free(o);
}

static int open_truncate(struct fs *fs, const struct open_request *o)
{
	struct attribute_change change = { .mask = SET_SIZE | (o->kill_privilege ? SET_KILL_PRIVILEGE : 0) };

	return object_set(fs->objects, o->ino, &change, NULL);
}

/* Opens and fills in a handle. */
static int open_now(struct fs *fs, struct open_request *o, struct opened *ret, bool *ret_cut)
{
	struct reference *reference = NULL;
	struct attributes a;
	int r = open_reference(fs, o, &reference);

	if (r < 0)
		return r;
	ret->fi = o->fi;
	r = object_get(fs->objects, o->ino, &a);
	if (r == 0)
		r = open_handle(fs, o, a.record.kind, reference, &ret->fi, &ret->h);
	if (r < 0) {
		reference_close(reference);
		return r == -EAGAIN ? -EIO : r;
	}
	if ((o->fi.flags & O_TRUNC) && a.record.kind == KIND_BLOB) {
		r = open_truncate(fs, o);
		*ret_cut = r == 0;
	}
	if (r < 0) {
		handle_free(fs->handles, ret->h);
		return r == -EAGAIN ? -EIO : r;
	}
	ret->h->entry->version = a.record.version;
	return 0;
}

/* -EAGAIN: not yet; 0: answered. */
static int open_attempt(void *arg, fuse_req_t req)
{
	struct open_request *o = arg;
	struct fs *fs = fs_of(req);
	struct opened *opened = malloc(sizeof(*opened));
	bool cut = false;

	if (!opened)
		return -ENOMEM;
	int r = open_now(fs, o, opened, &cut);
	if (r < 0) {
		free(opened);
		return r;
	}
	if (cut && o->token) {
		invalidate_node(fs, o->ino, true);
		invalidate_then(req, reply_opened, opened);
	} else {
		reply_opened(opened, req);
	}
	return 0;
}

void open_object(fuse_req_t req, const struct open_request *from)
{
	struct open_request *o = malloc(sizeof(*o));

	if (!o) {
		reply_error(req, ENOMEM);
		return;
	}
	*o = *from;
	if (o->caller.task)
		o->caller.task = &o->task_name;
	int r = open_attempt(o, req);
	if (r == -EAGAIN && !(o->fi.flags & O_NONBLOCK)) {
		wait_park(req, o->ino, open_attempt, free, o);
		return;
	}
	if (r < 0)
		reply_error(req, r);
	free(o);
}

void open_text(fuse_req_t req, uint64_t node, uint64_t ino, struct buffer *text, const struct fuse_file_info *from)
{
	struct fs *fs = fs_of(req);
	struct fuse_file_info fi = *from;
	struct handle *h;
	int r = buffer_error(text);

	if (r == 0)
		r = handle_new(fs->handles, HANDLE_TEXT, node, ino, &h);
	if (r < 0) {
		buffer_done(text);
		reply_error(req, r);
		return;
	}
	h->text = *text;
	h->entry->flags = (uint32_t)fi.flags;
	fi.fh = h->fh;
	fi.direct_io = 1;
	fi.noflush = 1;
	if (fuse_reply_open(req, &fi) == -ENOENT)
		handle_free(fs->handles, h);
}

static void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct open_request o = { .node = node, .ino = node, .fi = *fi, .kill_privilege = request_kills_privilege() };

	if (magic_is(node))
		magic_open(req, node, fi);
	else
		open_object(req, &o);
}

/* Opens what was just made and answers with both. */
static void reply_created(fuse_req_t req, struct fuse_file_info *fi, struct reference *reference, const struct attributes *a)
{
	struct fs *fs = fs_of(req);
	struct open_request o = { .node = a->record.ino, .ino = a->record.ino };
	struct fuse_entry_param entry;
	struct handle *h;

	reference_set_append(reference, (fi->flags & O_APPEND) != 0);
	int r = open_handle(fs, &o, a->record.kind, reference, fi, &h);
	if (r < 0) {
		reference_close(reference);
		reply_error(req, r);
		return;
	}
	h->entry->version = a->record.version;
	attr_entry(fs, a, &entry);
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		handle_free(fs->handles, h);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct command_create c = { .parent = parent, .entry = { .data = (const uint8_t *)name, .size = strlen(name) }, .kind = KIND_BLOB,
		.mode = S_IFREG | (mode & 07777), .uid = ctx->uid, .gid = ctx->gid, .in_place = passthrough_creates(fs_of(req), fi->flags) };
	struct reference *reference;
	struct attributes a;
	int r = 0;

	if (magic_is(parent)) {
		magic_create(req, parent, name, mode, fi);
		return;
	}
	if (c.entry.size > NAME_MAX_BYTES)
		r = -ENAMETOOLONG;
	else if (parent == ROOT_INO && strcmp(name, MAGIC_NAME) == 0)
		r = -EISDIR;
	if (r == 0)
		r = object_create(fs_of(req)->objects, &c, open_rights(fi->flags), &reference, &a);
	/* Somebody else was first, past the kernel: it looks up again and opens, with its checks. */
	if (r == -EEXIST && !(fi->flags & O_EXCL))
		r = -ESTALE;
	if (r < 0)
		reply_error(req, r);
	else
		reply_created(req, fi, reference, &a);
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
static void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct fs *fs = fs_of(req);
	struct command_create c = { .kind = KIND_BLOB, .mode = S_IFREG | (mode & 07777), .uid = ctx->uid, .gid = ctx->gid, .orphan = true,
		.in_place = passthrough_creates(fs, fi->flags) };
	struct reference *reference;
	struct attributes a;

	if (magic_is(parent)) {
		reply_error(req, EOPNOTSUPP);
		return;
	}
	/* In the directory's slot: it may be given a name there. */
	name_random(cluster_random(objects_cluster(fs->objects)), ino_slot(parent), &c.name);
	int r = object_create(fs->objects, &c, open_rights(fi->flags), &reference, &a);
	if (r < 0)
		reply_error(req, r);
	else
		reply_created(req, fi, reference, &a);
}
#endif

static void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_get(fs->handles, fi->fh);

	(void)node;
	if (h)
		handle_free(fs->handles, h);
	reply_error(req, 0);
}

void ops_fill_open(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->create = op_create;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	ops->tmpfile = op_tmpfile;
#endif
	ops->release = op_release;
}
