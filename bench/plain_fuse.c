/* plain-fuse DIRECTORY [threads]: the least that a FUSE file system can do, for comparison. A file that forgets what is written to it and
 * answers ioctls, and one that passes each write as a record to a read. One thread, or libfuse's own pool of them; in the foreground.
 *
 * A read of the stream that finds no record waits without a thread: the next write answers it. Both sides are bounded by who is
 * allowed to mount: a few records and one reader. */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/plain.h"

#define RECORD_MAX 4096u
#define NODE_SINK 2u
#define NODE_STREAM 3u
#define FILE_SIZE (1ll << 40)

struct record { struct record *next; size_t size; char bytes[]; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;      /* guards the two below, of which at most one is not NULL */
static struct record *first, **last = &first;
static fuse_req_t reader;

static int fill(fuse_ino_t node, struct stat *st)
{
	*st = (struct stat){ .st_ino = node, .st_nlink = 1, .st_mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
		.st_size = node == NODE_SINK ? FILE_SIZE : 0 };
	return node <= NODE_STREAM ? 0 : ENOENT;
}

static void on_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	fill(node, &st);
	fuse_reply_attr(req, &st, 3600);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = 3600, .entry_timeout = 3600 };

	e.ino = parent != FUSE_ROOT_ID ? 0 : strcmp(name, PLAIN_SINK) == 0 ? NODE_SINK : strcmp(name, PLAIN_STREAM) == 0 ? NODE_STREAM : 0;
	if (e.ino == 0 || fill(e.ino, &e.attr) != 0)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &e);
}

static void on_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	fi->direct_io = node == NODE_STREAM;
	fi->keep_cache = node == NODE_SINK;
	fuse_reply_open(req, fi);
}

static void on_write(fuse_req_t req, fuse_ino_t node, const char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)offset;
	(void)fi;
	struct record *r = node == NODE_STREAM && size <= RECORD_MAX ? malloc(sizeof(*r) + size) : NULL;
	if (node == NODE_STREAM && !r) {
		fuse_reply_err(req, size <= RECORD_MAX ? ENOMEM : EMSGSIZE);
		return;
	}
	if (r) {
		r->next = NULL;
		r->size = size;
		memcpy(r->bytes, data, size);
		pthread_mutex_lock(&lock);
		fuse_req_t waiting = reader;
		reader = NULL;
		if (!waiting) {
			*last = r;
			last = &r->next;
		}
		pthread_mutex_unlock(&lock);
		if (waiting) {
			fuse_reply_buf(waiting, r->bytes, r->size);
			free(r);
		}
	}
	fuse_reply_write(req, size);
}

static void on_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)offset;
	(void)fi;
	if (node != NODE_STREAM || size < 1) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	pthread_mutex_lock(&lock);
	struct record *r = first;
	if (r) {
		first = r->next;
		if (!first)
			last = &first;
	} else if (!reader) {
		reader = req;
		req = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (r)
		fuse_reply_buf(req, r->bytes, r->size < size ? r->size : size);
	else if (req)
		fuse_reply_err(req, EBUSY);
	free(r);
}

static void on_ioctl(fuse_req_t req, fuse_ino_t node, unsigned command, void *arg, struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
	size_t out_size)
{
	(void)node;
	(void)arg;
	(void)fi;
	(void)flags;
	if (command != PLAIN_IOC_ASK || in_size != sizeof(struct plain_question) || out_size != in_size)
		fuse_reply_err(req, ENOTTY);
	else
		fuse_reply_ioctl(req, 0, in, in_size);
}

int main(int argc, char **argv)
{
	static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup, .getattr = on_getattr, .open = on_open, .read = on_read, .write = on_write,
		.ioctl = on_ioctl };
	char *arguments[] = { argv[0], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, arguments);

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "threads") != 0)) {
		fprintf(stderr, "usage: plain-fuse DIRECTORY [threads]\n");
		return 2;
	}
	struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	if (!session || !config || fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, argv[1]) != 0)
		return 1;
	int r = argc == 3 ? fuse_session_loop_mt(session, config) : fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_remove_signal_handlers(session);
	fuse_session_destroy(session);
	fuse_loop_cfg_destroy(config);
	return r < 0 ? 1 : 0;
}
