/* .dios/name: objects by their 256-bit names, for their owner and root, whatever path they have or have not. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/magic_parts.h"
#include "fs/open.h"

void name_lookup(fuse_req_t req, const char *text)
{
	struct name name;
	uint64_t ino;
	int r = name_from_text(text, strlen(text), &name);

	if (r == 0)
		r = object_find(fs_of(req)->objects, &name, &ino);
	if (r < 0)
		reply_error(req, r);
	else
		magic_reply_object(req, ino, true);
}

/* An object without a path: it stays until it is deleted, and may be given a path by link(2). */
void name_create(fuse_req_t req, const char *text, mode_t mode, struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct fs *fs = fs_of(req);
	struct command_create c = { .kind = KIND_BLOB, .mode = S_IFREG | (mode & 07777), .uid = ctx->uid, .gid = ctx->gid,
		.lifecycle = LIFECYCLE_SINGLE_DELETE };
	struct fuse_entry_param entry;
	struct reference *reference;
	struct attributes a;
	struct handle *h;

	int r = name_from_text(text, strlen(text), &c.name);
	if (r == 0)
		r = object_create(fs->objects, &c, open_rights(fi->flags), &reference, &a);
	if (r == -EEXIST && !(fi->flags & O_EXCL))
		r = -ESTALE;        /* the kernel looks up again, and is told whether the caller may */
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	reference_set_append(reference, (fi->flags & O_APPEND) != 0);
	struct open_request o = { .node = a.record.ino, .ino = a.record.ino };
	r = open_handle(fs, &o, KIND_BLOB, reference, fi, &h);
	if (r < 0) {
		reference_close(reference);
		reply_error(req, r);
		return;
	}
	attr_entry(fs, &a, &entry);
	entry.entry_timeout = 0;
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		handle_free(fs->handles, h);
}

void name_unlink(fuse_req_t req, const char *text)
{
	struct fs *fs = fs_of(req);
	struct name name;
	struct attributes a;
	uint64_t ino;
	int r = name_from_text(text, strlen(text), &name);

	if (r == 0)
		r = object_find(fs->objects, &name, &ino);
	if (r == 0)
		r = object_get(fs->objects, ino, &a);
	if (r == 0 && !magic_owns(req, &a.record))
		r = -EACCES;
	if (r == 0)
		r = object_delete(fs->objects, ino);
	reply_error(req, r);
}

/* ---- listing ----
 *
 * In the order of names. A cookie is the name's first 61 bits; the handle also remembers the whole name of the last entry given
 * out, so that going on from there is exact. Going on from elsewhere (seekdir) starts behind all names with those bits. */

#define COOKIE_FIRST 3u

static uint64_t cookie_of(const struct name *n)
{
	uint64_t bits = 0;

	for (int i = 0; i < 8; i++)
		bits = bits << 8 | n->bytes[i];
	return (bits >> 3) + COOKIE_FIRST;
}

static void name_after(uint64_t cookie, struct name *n)
{
	uint64_t bits = (cookie - COOKIE_FIRST) << 3 | 7;

	memset(n->bytes, 0xff, sizeof(n->bytes));
	for (int i = 7; i >= 0; i--, bits >>= 8)
		n->bytes[i] = (uint8_t)bits;
}

struct name_listing { struct magic_listing *l; struct handle *h; };

static int list_each(void *arg, const struct record *r)
{
	struct name_listing *n = arg;
	uint32_t uid = n->h->entry->uid;
	char text[NAME_TEXT_SIZE + 1];

	if ((uid != 0 && uid != r->uid) || r->kind == KIND_DIRECTORY)
		return 0;
	name_to_text(&r->name, text);
	if (!magic_list_add(n->l, text, r->ino, r->kind == KIND_TASK ? S_IFREG : r->mode & S_IFMT, cookie_of(&r->name)))
		return 1;
	LOCK_GUARD(&n->h->lock);
	n->h->list_last = r->name;
	n->h->list_cookie = cookie_of(&r->name);
	return 0;
}

void name_list(struct magic_listing *l, uint64_t after, struct handle *h)
{
	struct name_listing n = { .l = l, .h = h };
	struct name from;

	lock_acquire(&h->lock);
	if (after == h->list_cookie)
		from = h->list_last;
	else if (after >= COOKIE_FIRST)
		name_after(after, &from);
	lock_release(&h->lock);
	objects_each(h->fs->objects, after < COOKIE_FIRST ? NULL : &from, list_each, &n);
}
