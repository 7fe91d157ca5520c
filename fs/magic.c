/* .dios: which node is what, and the folders' own operations. See magic.h for how node ids are made. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/magic_parts.h"
#include "fs/open.h"

static const struct { const char *name; uint64_t number; mode_t mode; } folders[] = {
	{ "name", FIXED_NAME, S_IFDIR | 0777 },       /* anybody may make objects there; the daemon says who may remove what */
	{ "cap", FIXED_CAP, S_IFDIR | 0111 },
	{ "buf", FIXED_BUF, S_IFDIR | 0111 },
	{ "tasks", FIXED_TASKS, S_IFDIR | 0555 },
};
#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))

int magic_new(struct fs *fs, struct magic **ret_magic)
{
	struct magic *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->fs = fs;
	int r = tokens_new(fs, &m->tokens);
	if (r == 0)
		r = fsck_new(fs, &m->fsck);
	if (r < 0) {
		magic_free(m);
		return r;
	}
	*ret_magic = m;
	return 0;
}

void magic_free(struct magic *m)
{
	if (!m)
		return;
	fsck_free(m->fsck);
	tokens_free(m->tokens);
	free(m);
}

void magic_stop(struct magic *m) { fsck_stop(m->fsck); }

void magic_set_buffers(struct fs *fs, const struct magic_buffers *buffers) { fs->magic->buffers = buffers; }

/* ---- entries ---- */

static void node_attr(uint64_t node, mode_t mode, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = node;
	st->st_mode = mode;
	st->st_nlink = S_ISDIR(mode) ? 2 : 1;
	st->st_blksize = 4096;
}

void magic_entry(uint64_t node, mode_t mode, struct fuse_entry_param *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->ino = node;
	node_attr(node, mode, &entry->attr);
}

void magic_reply_entry(fuse_req_t req, uint64_t node, mode_t mode)
{
	struct fuse_entry_param entry;

	magic_entry(node, mode, &entry);
	fuse_reply_entry(req, &entry);
}

bool magic_owns(fuse_req_t req, const struct record *record)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == record->uid;
}

void magic_reply_object(fuse_req_t req, uint64_t ino, bool owner_only)
{
	struct fuse_entry_param entry;
	struct fs *fs = fs_of(req);
	struct attributes a;
	int r = object_get(fs->objects, ino, &a);

	if (r == 0 && owner_only && !magic_owns(req, &a.record))
		r = -EACCES;
	/* A directory has one place in the kernel's tree of names: there and nowhere else. */
	if (r == 0 && a.record.kind == KIND_DIRECTORY)
		r = -EISDIR;
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	attr_entry(fs, &a, &entry);
	entry.entry_timeout = 0;
	fuse_reply_entry(req, &entry);
}

static mode_t file_mode(uint64_t file)
{
	const struct magic_file *f = &magic_files[file];

	return S_IFREG | (f->print && !f->private ? 0444 : 0400) | (f->write ? 0200 : 0);
}

static int fixed_mode(uint64_t node, mode_t *ret_mode)
{
	uint64_t number = node & ~INO_LOCAL_BIT;

	if (number == FIXED_ROOT) {
		*ret_mode = S_IFDIR | 0555;
		return 0;
	}
	for (size_t i = 0; i < FOLDER_COUNT; i++)
		if (folders[i].number == number) {
			*ret_mode = folders[i].mode;
			return 0;
		}
	if (number < FIXED_FILES || number - FIXED_FILES >= magic_file_count)
		return -ESTALE;
	*ret_mode = file_mode(number - FIXED_FILES);
	return 0;
}

static void root_lookup(fuse_req_t req, const char *name)
{
	for (size_t i = 0; i < FOLDER_COUNT; i++)
		if (strcmp(name, folders[i].name) == 0) {
			magic_reply_entry(req, INO_LOCAL_BIT | folders[i].number, folders[i].mode);
			return;
		}
	for (size_t i = 0; i < magic_file_count; i++)
		if (strcmp(name, magic_files[i].name) == 0) {
			magic_reply_entry(req, INO_LOCAL_BIT | (FIXED_FILES + i), file_mode(i));
			return;
		}
	reply_error(req, ENOENT);
}

void magic_lookup(fuse_req_t req, uint64_t parent, const char *name)
{
	if (!magic_is(parent)) {
		magic_reply_entry(req, MAGIC_ROOT, S_IFDIR | 0555);
		return;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		reply_error(req, ESTALE);       /* handles of these nodes do not outlive the kernel's cache */
		return;
	}
	if (magic_class_of(parent) != MAGIC_CLASS_FIXED) {
		task_lookup(req, parent, name);
		return;
	}
	switch (parent & ~INO_LOCAL_BIT) {
	case FIXED_ROOT:
		root_lookup(req, name);
		break;
	case FIXED_NAME:
		name_lookup(req, name);
		break;
	case FIXED_CAP:
		token_lookup(req, name);
		break;
	case FIXED_BUF:
		buf_lookup(req, name);
		break;
	case FIXED_TASKS:
		task_lookup(req, parent, name);
		break;
	default:
		reply_error(req, ENOTDIR);
	}
}

void magic_forget(struct fs *fs, uint64_t node, uint64_t count)
{
	if (magic_class_of(node) == MAGIC_CLASS_TOKEN)
		token_forget(fs, node, count);
}

/* ---- attributes ---- */

void magic_getattr(fuse_req_t req, uint64_t node)
{
	struct stat st;
	mode_t mode;

	switch (magic_class_of(node)) {
	case MAGIC_CLASS_FIXED:
		if (fixed_mode(node, &mode) < 0) {
			reply_error(req, ESTALE);
			return;
		}
		node_attr(node, mode, &st);
		fuse_reply_attr(req, &st, 0);
		break;
	case MAGIC_CLASS_TOKEN:
		token_getattr(req, node);
		break;
	case MAGIC_CLASS_BUFFER:
		buf_getattr(req, node);
		break;
	default:
		task_getattr(req, node);
	}
}

void magic_setattr(fuse_req_t req, uint64_t node, struct stat *st, int to_set)
{
	if (magic_class_of(node) == MAGIC_CLASS_TOKEN)
		token_setattr(req, node, st, to_set);
	else
		reply_error(req, EPERM);
}

uint64_t magic_object(struct fs *fs, uint64_t node)
{
	const struct token_entry *token = magic_class_of(node) == MAGIC_CLASS_TOKEN ? token_find(fs, node) : NULL;

	return token ? token->ino : node;
}

/* ---- files ---- */

void magic_open_control(fuse_req_t req, uint64_t node, uint64_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h;
	int r = handle_new(fs->handles, HANDLE_CONTROL, node, ino, &h);

	if (r < 0) {
		reply_error(req, r);
		return;
	}
	h->entry->uid = fuse_req_ctx(req)->uid;
	fi->fh = h->fh;
	fi->direct_io = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		handle_free(fs->handles, h);
}

void magic_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct buffer text;

	switch (magic_class_of(node)) {
	case MAGIC_CLASS_FIXED:
		break;
	case MAGIC_CLASS_TOKEN:
		token_open(req, node, fi);
		return;
	case MAGIC_CLASS_BUFFER:
		buf_open(req, node, fi);
		return;
	default:
		task_open(req, node, fi);
		return;
	}
	uint64_t number = node & ~INO_LOCAL_BIT;
	if (number < FIXED_FILES || number - FIXED_FILES >= magic_file_count) {
		reply_error(req, EISDIR);
		return;
	}
	if ((fi->flags & O_ACCMODE) == O_WRONLY && magic_files[number - FIXED_FILES].write) {
		magic_open_control(req, node, node, fi);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		reply_error(req, EACCES);
		return;
	}
	if (!magic_files[number - FIXED_FILES].print) {
		fsck_open(fs->magic->fsck, req, node, fi);
		return;
	}
	buffer_init(&text, 16u << 20);
	int r = magic_files[number - FIXED_FILES].print(fs, &text);
	if (r < 0) {
		buffer_done(&text);
		reply_error(req, r);
		return;
	}
	open_text(req, node, node, &text, fi);
}

int magic_restore(struct handle *h)
{
	struct fs *fs = h->fs;
	uint64_t node = h->entry->node, number = node & ~INO_LOCAL_BIT;

	if (h->entry->kind == HANDLE_DIRECTORY)
		return node == (INO_LOCAL_BIT | FIXED_TASKS) ? task_opendir(fs, h) : 0;
	if (h->entry->kind == HANDLE_CONTROL)
		return 0;
	if (h->entry->kind == HANDLE_BUFFER)
		return buf_open_again(h);
	if (h->entry->kind != HANDLE_TEXT)
		return -EIO;
	buffer_init(&h->text, 16u << 20);
	if (magic_class_of(node) != MAGIC_CLASS_FIXED)
		return task_text(fs, node, &h->text);
	if (number < FIXED_FILES || number - FIXED_FILES >= magic_file_count || !magic_files[number - FIXED_FILES].print)
		return -EIO;
	return magic_files[number - FIXED_FILES].print(fs, &h->text);
}

void magic_create(fuse_req_t req, uint64_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	if (parent == (INO_LOCAL_BIT | FIXED_NAME))
		name_create(req, name, mode, fi);
	else
		reply_error(req, EPERM);
}

void magic_unlink(fuse_req_t req, uint64_t parent, const char *name)
{
	if (parent == (INO_LOCAL_BIT | FIXED_NAME))
		name_unlink(req, name);
	else
		reply_error(req, EPERM);
}

void magic_read(fuse_req_t req, struct handle *h, size_t size, uint64_t offset)
{
	const struct magic_buffers *buffers = h->fs->magic->buffers;

	if (h->entry->kind == HANDLE_BUFFER) {
		uint8_t *out = request_scratch(size);
		ssize_t n = out ? buffers->read(h->fs, h->data, offset, out, size) : -ENOMEM;
		if (n < 0)
			reply_error(req, (int)n);
		else
			fuse_reply_buf(req, (const char *)out, (size_t)n);
		return;
	}
	if (h->entry->kind != HANDLE_TEXT) {
		reply_error(req, EINVAL);
		return;
	}
	/* A copy: once the kernel has the bytes the handle may be released. */
	size_t left = offset < h->text.size ? h->text.size - offset : 0;
	uint8_t *out = request_scratch(size);
	if (left > size)
		left = size;
	if (!out) {
		reply_error(req, ENOMEM);
		return;
	}
	if (left > 0)
		memcpy(out, h->text.data + offset, left);
	fuse_reply_buf(req, (const char *)out, left);
}

/* One line a write; a newline at its end is not part of it. Nobody but root gets so far, by the file's mode. */
static void file_write(fuse_req_t req, struct handle *h, const char *data, size_t size)
{
	uint64_t number = (h->entry->node & ~INO_LOCAL_BIT) - FIXED_FILES;
	size_t line = size > 0 && data[size - 1] == '\n' ? size - 1 : size;
	int r = number < magic_file_count && magic_files[number].write ? magic_files[number].write(h->fs, data, line) : -EACCES;

	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_write(req, size);
}

void magic_write(fuse_req_t req, struct handle *h, const char *data, size_t size, uint64_t offset)
{
	if (h->entry->kind == HANDLE_CONTROL && magic_class_of(h->entry->node) == MAGIC_CLASS_FIXED) {
		file_write(req, h, data, size);
		return;
	}
	if (h->entry->kind == HANDLE_CONTROL) {
		task_write(req, h, data, size);
		return;
	}
	ssize_t n = h->entry->kind == HANDLE_BUFFER ? h->fs->magic->buffers->write(h->fs, h->data, offset, data, size) : -EACCES;
	if (n < 0)
		reply_error(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

void magic_release(struct handle *h)
{
	if (h->data && h->entry->kind == HANDLE_BUFFER)
		h->fs->magic->buffers->release(h->fs, h->data);
}

/* ---- folders ---- */

void magic_opendir(fuse_req_t req, uint64_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h;
	int r = handle_new(fs->handles, HANDLE_DIRECTORY, node, node, &h);

	if (r < 0) {
		reply_error(req, r);
		return;
	}
	h->object_kind = KIND_DIRECTORY;
	h->entry->object_kind = KIND_DIRECTORY;
	h->entry->uid = fuse_req_ctx(req)->uid;
	if (node == (INO_LOCAL_BIT | FIXED_TASKS) && (r = task_opendir(fs, h)) < 0) {
		handle_free(fs->handles, h);
		reply_error(req, r);
		return;
	}
	fi->fh = h->fh;
	if (fuse_reply_open(req, fi) == -ENOENT)
		handle_free(fs->handles, h);
}

bool magic_list_add(struct magic_listing *l, const char *name, uint64_t ino, mode_t mode, uint64_t cookie)
{
	/* Node 0 in readdirplus: the kernel looks the name up when it needs more. */
	struct fuse_entry_param entry = { .attr = { .st_ino = ino, .st_mode = mode } };
	size_t left = l->size - l->used, n;

	if (l->plus)
		n = fuse_add_direntry_plus(l->req, l->out + l->used, left, name, &entry, (off_t)cookie);
	else
		n = fuse_add_direntry(l->req, l->out + l->used, left, name, &entry.attr, (off_t)cookie);
	if (n > left)
		return false;
	l->used += n;
	return true;
}

static void root_list(struct magic_listing *l, uint64_t after)
{
	for (uint64_t i = after - 2; i < FOLDER_COUNT + magic_file_count; i++) {
		bool file = i >= FOLDER_COUNT;
		const char *name = file ? magic_files[i - FOLDER_COUNT].name : folders[i].name;
		uint64_t number = file ? FIXED_FILES + (i - FOLDER_COUNT) : folders[i].number;
		if (!magic_list_add(l, name, INO_LOCAL_BIT | number, file ? S_IFREG : S_IFDIR, i + 3))
			return;
	}
}

void magic_readdir(fuse_req_t req, uint64_t node, size_t size, uint64_t after, struct handle *h, bool plus)
{
	struct magic_listing l = { .req = req, .out = request_scratch(size), .size = size, .plus = plus };
	uint64_t above = node == MAGIC_ROOT ? ROOT_INO : magic_class_of(node) == MAGIC_CLASS_FIXED ? MAGIC_ROOT : INO_LOCAL_BIT | FIXED_TASKS;

	if (!l.out || !h) {
		reply_error(req, l.out ? EBADF : ENOMEM);
		return;
	}
	bool room = after >= 1 || magic_list_add(&l, ".", node, S_IFDIR, 1);
	room = room && (after >= 2 || magic_list_add(&l, "..", above, S_IFDIR, 2));
	if (after < 2)
		after = 2;
	if (room && node == MAGIC_ROOT)
		root_list(&l, after);
	else if (room && node == (INO_LOCAL_BIT | FIXED_NAME))
		name_list(&l, after, h);
	else if (room && (node == (INO_LOCAL_BIT | FIXED_TASKS) || magic_class_of(node) == MAGIC_CLASS_TASK_FIRST))
		task_list(&l, node, after, h);
	fuse_reply_buf(req, l.out, l.used);
}
