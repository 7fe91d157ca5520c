/* .dios/tasks: a folder for each task. A task's nodes are its inode number with a class: 1 the folder, then its files. Standard
 * input, output and error are the streams' own nodes. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "fs/magic_parts.h"
#include "fs/open.h"

#define LINE_MAX_BYTES 256u      /* of a command to ctl */
#define TEXT_MAX (1u << 20)
#define TASKS_MAX (1u << 20)     /* listed */

enum task_file { FILE_FOLDER = MAGIC_CLASS_TASK_FIRST, FILE_STATUS, FILE_STATS, FILE_SPEC, FILE_CTL };

static const struct { const char *name; enum task_file file; mode_t mode; } files[] = {
	{ "status", FILE_STATUS, 0444 }, { "stats", FILE_STATS, 0444 }, { "spec", FILE_SPEC, 0400 }, { "ctl", FILE_CTL, 0200 },
};
static const char *const streams[] = { [MAGIC_STDIN] = "stdin", [MAGIC_STDOUT] = "stdout", [MAGIC_STDERR] = "stderr" };
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))
#define STREAM_COUNT (sizeof(streams) / sizeof(streams[0]))

static uint64_t node_of(uint64_t task, enum task_file file) { return task | magic_node((enum magic_class)file, 0); }

static uint64_t task_of(uint64_t node) { return node & ~magic_node((enum magic_class)15, 0); }

static int task_get(struct fs *fs, uint64_t ino, struct record *ret)
{
	struct attributes a;
	int r = object_get(fs->objects, ino, &a);

	if (r == 0 && a.record.kind != KIND_TASK)
		r = -ENOENT;
	if (r == 0)
		*ret = a.record;
	return r;
}

static int task_attr(struct fs *fs, uint64_t node, struct stat *st)
{
	enum magic_class file = magic_class_of(node);
	struct record r;
	int e = task_get(fs, task_of(node), &r);

	if (e < 0)
		return e;
	attr_fill(&r, st);
	st->st_ino = node;
	st->st_size = 0;
	st->st_blocks = 0;
	st->st_nlink = 1;
	if (file == (enum magic_class)FILE_FOLDER) {
		st->st_mode = S_IFDIR | 0555;
		st->st_nlink = 2;
		return 0;
	}
	for (size_t i = 0; i < FILE_COUNT; i++)
		if ((enum magic_class)files[i].file == file) {
			st->st_mode = S_IFREG | files[i].mode;
			return 0;
		}
	return -ESTALE;
}

static void reply_node(fuse_req_t req, uint64_t node)
{
	struct fuse_entry_param entry = { .ino = node };
	int r = task_attr(fs_of(req), node, &entry.attr);

	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_entry(req, &entry);
}

static int folder_find(struct fs *fs, const char *text, uint64_t *ret_node)
{
	struct name name;
	struct record r;
	uint64_t ino;
	int e = name_from_text(text, strlen(text), &name);

	if (e == 0)
		e = object_find(fs->objects, &name, &ino);
	if (e == 0)
		e = task_get(fs, ino, &r);
	if (e == 0)
		*ret_node = node_of(ino, FILE_FOLDER);
	return e;
}

void task_lookup(fuse_req_t req, uint64_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	const struct magic_tasks *tasks = fs->options.tasks;
	uint64_t found;

	if (magic_class_of(parent) == MAGIC_CLASS_FIXED) {
		int r = folder_find(fs, name, &found);
		if (r < 0)
			reply_error(req, r);
		else
			reply_node(req, found);
		return;
	}
	for (size_t i = 0; i < FILE_COUNT; i++)
		if (strcmp(name, files[i].name) == 0) {
			reply_node(req, node_of(task_of(parent), files[i].file));
			return;
		}
	for (size_t i = 0; i < STREAM_COUNT; i++) {
		if (strcmp(name, streams[i]) != 0)
			continue;
		int r = tasks && tasks->get_stream ? tasks->get_stream(tasks->arg, task_of(parent), (enum magic_task_stream)i, &found) : -ENOENT;
		if (r < 0)
			reply_error(req, r);
		else
			magic_reply_object(req, found, false);
		return;
	}
	reply_error(req, ENOENT);
}

void task_getattr(fuse_req_t req, uint64_t node)
{
	struct stat st;
	int r = task_attr(fs_of(req), node, &st);

	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_attr(req, &st, 0);
}

/* ---- texts ---- */

static const char *state_text(enum task_state state)
{
	static const char *const text[] = { [TASK_WAITING] = "waiting", [TASK_RUNNING] = "running", [TASK_PAUSED] = "paused",
		[TASK_EXITED] = "exited", [TASK_FAILED] = "failed", [TASK_LOST] = "lost" };

	return (unsigned)state < sizeof(text) / sizeof(text[0]) ? text[state] : "unknown";
}

int task_print(struct fs *fs, uint64_t ino, struct buffer *out)
{
	const struct magic_tasks *tasks = fs->options.tasks;
	struct record r = { 0 };

	if (tasks && tasks->print_status)
		return tasks->print_status(tasks->arg, ino, out);
	int e = task_get(fs, ino, &r);
	if (e < 0)
		return e;
	return buffer_printf(out, "state: %s\nexit_status: %d\nstart: %lld\nend: %lld\n", state_text(r.task.state),
		r.task.exit_status, r.task.start_ns / NS_PER_SECOND, r.task.end_ns / NS_PER_SECOND);
}

static int print_from_state(struct fs *fs, uint64_t ino, bool spec, struct buffer *out)
{
	struct state *state = cluster_state(objects_cluster(fs->objects), ino);
	int r = spec ? state_get_task_spec(state, ino, out) : state_get_task_stats(state, ino, out);

	return r == -ENOENT || r == -ENODATA ? 0 : r;
}

int task_text(struct fs *fs, uint64_t node, struct buffer *out)
{
	const struct magic_tasks *tasks = fs->options.tasks;
	uint64_t ino = task_of(node);

	switch ((enum task_file)magic_class_of(node)) {
	case FILE_STATUS:
		return task_print(fs, ino, out);
	case FILE_STATS:
		return tasks && tasks->print_stats ? tasks->print_stats(tasks->arg, ino, out) : print_from_state(fs, ino, false, out);
	case FILE_SPEC:
		return tasks && tasks->print_spec ? tasks->print_spec(tasks->arg, ino, out) : print_from_state(fs, ino, true, out);
	default:
		return -EISDIR;
	}
}

void task_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct buffer text;

	if (magic_class_of(node) == (enum magic_class)FILE_CTL) {
		magic_open_control(req, node, task_of(node), fi);
		return;
	}
	buffer_init(&text, TEXT_MAX);
	int r = (fi->flags & O_ACCMODE) == O_RDONLY ? task_text(fs, node, &text) : -EACCES;
	if (r < 0) {
		buffer_done(&text);
		reply_error(req, r);
		return;
	}
	open_text(req, node, task_of(node), &text, fi);
}

/* One command a write; a newline at its end is not part of it. */
void task_write(fuse_req_t req, struct handle *h, const char *data, size_t size)
{
	const struct magic_tasks *tasks = h->fs->options.tasks;
	size_t line = size > 0 && data[size - 1] == '\n' ? size - 1 : size;
	int r = -EINVAL;

	if (!tasks || !tasks->control)
		r = -EOPNOTSUPP;
	else if (line <= LINE_MAX_BYTES && !memchr(data, '\n', line) && !memchr(data, '\0', line))
		r = tasks->control(tasks->arg, h->entry->ino, h->entry->uid, data, line);
	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_write(req, size);
}

/* ---- listing ---- */

static int collect(void *arg, uint64_t ino)
{
	struct buffer *list = arg;

	return buffer_append(list, &ino, sizeof(ino));
}

int task_opendir(struct fs *fs, struct handle *h)
{
	buffer_init(&h->text, TASKS_MAX * sizeof(uint64_t));
	int r = state_each_task(cluster_state(objects_cluster(fs->objects), ROOT_INO), collect, &h->text);
	return r < 0 ? r : buffer_error(&h->text);
}

static void list_files(struct magic_listing *l, uint64_t folder, uint64_t after)
{
	const struct magic_tasks *tasks = fs_of(l->req)->options.tasks;

	for (size_t i = after - 2; i < FILE_COUNT + STREAM_COUNT; i++) {
		uint64_t ino = i < FILE_COUNT ? node_of(task_of(folder), files[i].file) : 0;
		size_t stream = i - FILE_COUNT;
		if (i >= FILE_COUNT && (!tasks || !tasks->get_stream ||
		    tasks->get_stream(tasks->arg, task_of(folder), (enum magic_task_stream)stream, &ino) < 0))
			continue;
		if (!magic_list_add(l, i < FILE_COUNT ? files[i].name : streams[stream], ino, S_IFREG, i + 3))
			return;
	}
}

void task_list(struct magic_listing *l, uint64_t node, uint64_t after, struct handle *h)
{
	char text[NAME_TEXT_SIZE + 1];
	struct record r;

	if (magic_class_of(node) != MAGIC_CLASS_FIXED) {
		list_files(l, node, after);
		return;
	}
	for (size_t i = after - 2; i < h->text.size / sizeof(uint64_t); i++) {
		uint64_t ino;
		memcpy(&ino, h->text.data + i * sizeof(ino), sizeof(ino));
		if (task_get(h->fs, ino, &r) < 0)
			continue;
		name_to_text(&r.name, text);
		if (!magic_list_add(l, text, node_of(ino, FILE_FOLDER), S_IFDIR, i + 3))
			return;
	}
}
