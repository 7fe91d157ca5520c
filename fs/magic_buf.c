/* .dios/buf: private buffers of the calls, mapped by programs through the kernel's page cache. Who keeps them: see magic_buffer.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/magic_parts.h"

#define NUMBER_MASK ((1ULL << MAGIC_CLASS_SHIFT) - 1)

static int id_parse(const char *text, uint8_t id[16])
{
	if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };
		id[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

static int buf_attr(struct fs *fs, uint64_t node, struct stat *st)
{
	const struct magic_buffers *b = fs->magic->buffers;
	uint64_t size;
	uint32_t uid;
	int r = b ? b->get(fs, node & NUMBER_MASK, &size, &uid) : -ENOENT;

	if (r < 0)
		return r;
	memset(st, 0, sizeof(*st));
	st->st_ino = node;
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_uid = uid;
	st->st_size = (off_t)size;
	st->st_blocks = (blkcnt_t)((size + 511) / 512);
	st->st_blksize = 65536;
	return 0;
}

void buf_lookup(fuse_req_t req, const char *name)
{
	struct fs *fs = fs_of(req);
	const struct magic_buffers *b = fs->magic->buffers;
	struct fuse_entry_param entry = { 0 };
	struct caller caller;
	struct name task_name;
	uint8_t id[16];
	uint64_t number = 0;
	int r = b ? id_parse(name, id) : -ENOENT;

	fs_caller(req, &caller, &task_name);
	if (r == 0)
		r = b->find(fs, id, &caller, &number);
	entry.ino = magic_node(MAGIC_CLASS_BUFFER, number & NUMBER_MASK);
	if (r == 0)
		r = buf_attr(fs, entry.ino, &entry.attr);
	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_entry(req, &entry);
}

void buf_getattr(fuse_req_t req, uint64_t node)
{
	struct stat st;
	int r = buf_attr(fs_of(req), node, &st);

	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_attr(req, &st, 0);
}

int buf_open_again(struct handle *h)
{
	return h->fs->magic->buffers->open_again(h->fs, h->entry->node & NUMBER_MASK, &h->data);
}

void buf_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	const struct magic_buffers *b = fs->magic->buffers;
	struct handle *h = NULL;
	int r = b ? handle_new(fs->handles, HANDLE_BUFFER, node, node, &h) : -ENOENT;

	if (r == 0 && (fi->flags & O_TRUNC))
		r = -EPERM;
	if (r == 0)
		r = b->open(fs, node & NUMBER_MASK, &h->data);
	if (r < 0) {
		if (h)
			handle_free(fs->handles, h);
		reply_error(req, r);
		return;
	}
	fi->fh = h->fh;
	fi->keep_cache = 1;        /* the daemon's own changes are invalidated by whoever makes them */
	if (fuse_reply_open(req, fi) == -ENOENT)
		handle_free(fs->handles, h);
}
