/* .dios/fsck: opening it for reading checks everything beside the working mount, and the text says what was found: a line for
 * each finding, and at last "clean" or "N problems". A finding is "problem" or "note", inode, name, path, file and what is wrong, between them
 * a TAB, "-" for what is not known; bytes that are not printable ASCII, and backslashes, are \xNN and \\. For root: it reads everybody's
 * data. .dios/fsck.progress says how far a check is.
 *
 * A check takes as long as reading all heads, so it has a thread of its own, one at a time; the open is answered when it is done, and
 * ends with EINTR at a signal. The text is bounded: what no longer fits is only counted. */
#include <string.h>

#include "fs/magic_parts.h"
#include "fs/open.h"
#include "objects/check.h"
#include "objects/examine.h"

#define TEXT_MAX (16u << 20)
#define LINES_MAX (15u << 20)     /* the rest is for the end */

struct fsck {
	struct fs *fs;
	struct lock lock;             /* guards running and joinable */
	bool running, joinable;
	_Atomic bool stop;
	_Atomic uint64_t done_bytes, total_bytes;   /* of the check that runs */
	pthread_t thread;
	/* Of the check that runs; only its thread uses them. */
	fuse_req_t req;
	struct slot_ref slot;
	uint64_t node;
	struct fuse_file_info fi;
	struct buffer text;
	bool cut;
};

int fsck_new(struct fs *fs, struct fsck **ret_fsck)
{
	struct fsck *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->fs = fs;
	lock_init(&f->lock, "fsck", LOCK_LEAF);
	*ret_fsck = f;
	return 0;
}

void fsck_stop(struct fsck *f)
{
	bool joinable;

	atomic_store(&f->stop, true);
	lock_acquire(&f->lock);
	joinable = f->joinable;
	f->joinable = false;
	lock_release(&f->lock);
	if (joinable)
		pthread_join(f->thread, NULL);
}

void fsck_free(struct fsck *f)
{
	if (!f)
		return;
	fsck_stop(f);
	lock_done(&f->lock);
	free(f);
}

static void add_field(struct buffer *out, const char *text, char end)
{
	for (const unsigned char *c = (const unsigned char *)(text ? text : "-"); *c; c++) {
		if (*c == '\\')
			buffer_append(out, "\\\\", 2);
		else if (*c < 0x20 || *c > 0x7e)
			buffer_printf(out, "\\x%02x", *c);
		else
			buffer_append(out, c, 1);
	}
	buffer_append(out, &end, 1);
}

static void add_finding(void *arg, const struct finding *finding)
{
	struct fsck *f = arg;
	size_t longest = 4 * ((finding->path ? strlen(finding->path) : 0) + strlen(finding->text)) + 256;

	if (f->text.size + longest > LINES_MAX) {
		f->cut = true;
		return;
	}
	buffer_printf(&f->text, "%s\t%llu\t", finding->kind == FINDING_PROBLEM ? "problem" : "note", (unsigned long long)finding->ino);
	add_field(&f->text, finding->name, '\t');
	add_field(&f->text, finding->path, '\t');
	add_field(&f->text, finding->file, '\t');
	add_field(&f->text, finding->text, '\n');
}

int fsck_print_progress(struct fs *fs, struct buffer *out)
{
	struct fsck *f = fs->magic->fsck;

	lock_acquire(&f->lock);
	bool running = f->running;
	lock_release(&f->lock);
	if (!running)
		return buffer_printf(out, "idle\n");
	return buffer_printf(out, "running %llu %llu\n", (unsigned long long)atomic_load(&f->done_bytes), (unsigned long long)atomic_load(&f->total_bytes));
}

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	struct fsck *f = arg;

	atomic_store(&f->done_bytes, done);
	atomic_store(&f->total_bytes, total);
	return !atomic_load(&f->stop) && !fuse_req_interrupted(f->req);
}

static void wait_removed(void *arg) { objects_wait_freed(((struct fsck *)arg)->fs->objects); }

static int check(struct fsck *f)
{
	struct check_options options = { .report = add_finding, .progress = go_on, .removed = wait_removed, .arg = f };
	const struct examine_options strays = { .report = add_finding, .arg = f };
	struct check_result result, beside = { 0 };
	struct objects *os = f->fs->objects;
	int r = examine_strays_beside(objects_store(os), &strays, &beside);

	if (r == 0)
		r = objects_check(objects_store(os), cluster_state(objects_cluster(os), ROOT_INO), &options, &result);
	if (r < 0)
		return r;
	result.problems += beside.problems;
	if (f->cut)
		buffer_printf(&f->text, "note\t0\t-\t-\t-\tthere is more than fits here\n");
	if (result.problems == 0)
		buffer_printf(&f->text, "clean\n");
	else
		buffer_printf(&f->text, "%llu problem%s\n", (unsigned long long)result.problems, result.problems == 1 ? "" : "s");
	return buffer_error(&f->text);
}

static void *run(void *arg)
{
	struct fsck *f = arg;

	buffer_init(&f->text, TEXT_MAX);
	f->cut = false;
	int r = check(f);
	struct slot_ref slot = f->slot;
	bool stopped = atomic_load(&f->stop);
	if (r < 0 || stopped)
		buffer_done(&f->text);
	/* At the end of the mount it stays unanswered, like all that waits. */
	if (stopped)
		return NULL;
	/* Before the answer: who has it may ask for the next check at once, which waits for this thread's end. */
	lock_acquire(&f->lock);
	f->running = false;
	lock_release(&f->lock);
	request_resume(f->fs, slot);
	if (r < 0)
		reply_error(f->req, r);
	else
		open_text(f->req, f->node, f->node, &f->text, &f->fi);
	request_suspend(f->fs, slot, false);
	slot_release(f->fs, slot);
	return NULL;
}

/* Claims the one check; joins the thread of the one before. */
static bool claim(struct fsck *f)
{
	bool mine, join;

	lock_acquire(&f->lock);
	mine = !f->running && !atomic_load(&f->stop);
	join = mine && f->joinable;
	if (mine)
		f->running = true;
	if (join)
		f->joinable = false;
	lock_release(&f->lock);
	if (join)
		pthread_join(f->thread, NULL);
	return mine;
}

void fsck_open(struct fsck *f, fuse_req_t req, uint64_t node, const struct fuse_file_info *fi)
{
	if (!claim(f)) {
		reply_error(req, EBUSY);
		return;
	}
	f->req = req;
	f->node = node;
	f->fi = *fi;
	f->slot = request_take_slot();
	struct slot_ref slot = f->slot;
	/* Under the lock, so that fsck_stop sees the thread or its beginning is refused. */
	lock_acquire(&f->lock);
	int r = pthread_create(&f->thread, NULL, run, f);
	if (r == 0)
		f->joinable = true;
	else
		f->running = false;
	lock_release(&f->lock);
	if (r != 0) {
		reply_error(req, r == EAGAIN ? ENOMEM : r);    /* a thread's EAGAIN is no word to wait, but too little memory or too many threads */
		slot_release(f->fs, slot);
	}
}
