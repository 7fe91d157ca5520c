/* The check of the state, what only the whole shows: each object against what was found of it, the lists, the tree. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/state_check_internal.h"

static void verdict_links(struct scan_state *c, const struct seen *o)
{
	bool directory = o->kind == KIND_DIRECTORY, root = o->ino == ROOT_INO;
	uint32_t nlink = !directory ? o->links : o->orphan ? 0 : 2 + o->directory.subfolders;

	if (o->nlink != nlink)
		check_report(c, o->ino, "it counts %" PRIu32 " links and has %" PRIu32, o->nlink, nlink);
	if (directory && o->links != (root || o->orphan ? 0u : 1u))
		check_report(c, o->ino, "the directory is in %" PRIu32 " places", o->links);
	if (o->orphan && o->nlink > 0)
		check_report(c, o->ino, "it is an orphan with %" PRIu32 " links", o->nlink);
	if (!o->named)
		check_report(c, o->ino, "nothing leads from its name to it");
	if (o->xattr_bytes != o->xattr_found)
		check_report(c, o->ino, "the names of its extended attributes have %" PRIu32 " bytes, its record says %" PRIu32, o->xattr_found, o->xattr_bytes);
}

static void verdict_directory(struct scan_state *c, const struct seen *o)
{
	if (o->directory.entries != o->directory.found)
		check_report(c, o->ino, "the directory counts %" PRIu32 " entries and has %" PRIu32, o->directory.entries, o->directory.found);
	if (o->hash != 0)
		check_report(c, o->ino, "the directory's entries and their order don't agree");
}

static void verdict_blob(struct scan_state *c, const struct seen *o)
{
	uint64_t blocks = o->place == PLACE_HEAD ? o->blob.present * (BLOCK_SIZE / 512) : (o->size + 511) / 512;

	if (o->place == PLACE_INLINE && !o->content && o->size > 0)
		check_report(c, o->ino, "its content of %" PRIu64 " bytes is missing", o->size);
	if (o->blocks != blocks)
		check_report(c, o->ino, "it counts %" PRIu64 " blocks of 512 bytes and has %" PRIu64, o->blocks, blocks);
	if (o->blob.rows != o->blob.rows_found || o->hash != 0)
		check_report(c, o->ino, "its rows (%" PRIu32 ", its record says %" PRIu32 ") and their checksums don't agree", o->blob.rows_found, o->blob.rows);
	if (o->blob.trims != o->blob.trims_found)
		check_report(c, o->ino, "it counts %" PRIu32 " trims and has %" PRIu32, o->blob.trims, o->blob.trims_found);
	if (o->unabsorbed != (o->blob.rows + o->blob.trims > 0))
		check_report(c, o->ino, "it is %s the list of those with rows to absorb", o->unabsorbed ? "wrongly in" : "missing in");
	if (o->unsealed != o->in_place || (o->in_place && o->place != PLACE_HEAD))
		check_report(c, o->ino, "it is %s the list of those that are written in place", o->unsealed ? "wrongly in" : "missing in");
}

static void verdict_stream(struct scan_state *c, const struct seen *o)
{
	/* A direct stream keeps nothing here: its offsets stay where they began. */
	if (o->stream.next != o->stream.end)
		check_report(c, o->ino, "its records from %" PRIu64 " to its end at %" PRIu64 " are missing", o->stream.next, o->stream.end);
	if (!o->stream.start_found)
		check_report(c, o->ino, "it begins inside a record, at %" PRIu64, o->stream.start);
	if (o->hash != 0)
		check_report(c, o->ino, "its records' bytes don't agree with their sizes");
	if (o->blocks != (o->stream.end - o->stream.start + 511) / 512)
		check_report(c, o->ino, "it counts %" PRIu64 " blocks of 512 bytes and has %" PRIu64, o->blocks, (o->stream.end - o->stream.start + 511) / 512);
	if (o->size != o->stream.end)
		check_report(c, o->ino, "its size is %" PRIu64 ", but it ends at %" PRIu64, o->size, o->stream.end);
}

static void verdict_object(struct scan_state *c, const struct seen *o)
{
	verdict_links(c, o);
	switch (o->kind) {
	case KIND_DIRECTORY: verdict_directory(c, o); break;
	case KIND_BLOB: verdict_blob(c, o); break;
	case KIND_STREAM: verdict_stream(c, o); break;
	case KIND_SYMLINK:
		if (!o->content)
			check_report(c, o->ino, "the symbolic link leads nowhere: its text is missing");
		break;
	default: break;
	}
	if (o->kind == KIND_TASK ? !o->listed : o->orphan != o->listed)
		check_report(c, o->ino, "it is %s the list of %s", o->listed ? "wrongly in" : "missing in", o->kind == KIND_TASK ? "tasks" : "orphans");
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static void mark_listed(struct scan_state *c)
{
	for (size_t i = 0; i < c->orphans.count; i++) {
		struct seen *o = check_find(c, c->orphans.number[i]);

		if (!o)
			check_report(c, c->orphans.number[i], "it is in the list of orphans and is not there");
		else if (o->kind != KIND_TASK)
			o->listed = true;
		else if (!o->orphan)
			check_report(c, o->ino, "the task is wrongly in the list of orphans");
	}
	for (size_t i = 0; i < c->tasks.count; i++) {
		struct seen *o = check_find(c, c->tasks.number[i]);

		if (!o || o->kind != KIND_TASK)
			check_report(c, c->tasks.number[i], "it is in the list of tasks and is %s", o ? "none" : "not there");
		else
			o->listed = true;
	}
	for (size_t i = 0; i < c->unabsorbed.count; i++) {
		struct seen *o = check_find(c, c->unabsorbed.number[i]);

		if (!o)
			check_report(c, c->unabsorbed.number[i], "it is in the list of those with rows to absorb and is not there");
		else
			o->unabsorbed = true;
	}
	for (size_t i = 0; i < c->unsealed.count; i++) {
		struct seen *o = check_find(c, c->unsealed.number[i]);

		if (!o)
			check_report(c, c->unsealed.number[i], "it is in the list of those that are written in place and is not there");
		else
			o->unsealed = true;
	}
}

static void verdict_totals(struct scan_state *c)
{
	uint64_t blocks = 0, rows = 0;

	for (size_t i = 0; i < c->count; i++) {
		blocks += c->seen[i].blocks;
		rows += c->seen[i].kind == KIND_BLOB ? c->seen[i].blob.rows : 0;
	}
	if (!c->has_totals) {
		if (c->count > 0)
			check_report(c, 0, "the totals are missing");
		return;
	}
	if (c->objects != c->count || c->blocks != blocks || c->rows != rows)
		check_report(c, 0, "the totals are wrong: %" PRIu64 " objects, %" PRIu64 " blocks, %" PRIu64 " rows instead of %zu, %" PRIu64 ", %" PRIu64,
			c->objects, c->blocks, c->rows, c->count, blocks, rows);
}

/* ---- the tree ------------------------------------------------------------------------------------------------------ */

/* Walks up from a directory until something is known, then marks the way: each directory is walked over once. */
static void verdict_way_up(struct scan_state *c, struct seen *from)
{
	struct seen *o = from;
	bool good;

	while (o && !o->reachable && !o->on_path && o->kind == KIND_DIRECTORY) {
		o->on_path = true;
		if (o->ino == ROOT_INO || o->orphan)
			o->reachable = true;   /* what was removed hangs on nothing any more, rightly */
		else
			o = check_find(c, o->directory.parent);
	}
	good = o && o->reachable;
	if (!good)
		check_report(c, from->ino, "no way leads from the directory up to the root");
	for (o = from; o && o->on_path && o->kind == KIND_DIRECTORY; o = check_find(c, o->directory.parent)) {
		o->on_path = false;
		o->reachable = true;   /* or reported: once is enough */
		if (o->ino == ROOT_INO || o->orphan)
			break;
	}
}

void check_verdict(struct scan_state *c)
{
	struct seen *root = check_find(c, ROOT_INO);

	mark_listed(c);
	if (c->count > 0 && (!root || root->kind != KIND_DIRECTORY))
		check_report(c, ROOT_INO, "the root directory is not there");
	for (size_t i = 0; i < c->count; i++)
		verdict_object(c, &c->seen[i]);
	for (size_t i = 0; i < c->count; i++)
		if (c->seen[i].kind == KIND_DIRECTORY)
			verdict_way_up(c, &c->seen[i]);
	verdict_totals(c);
}
