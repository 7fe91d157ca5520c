/* Open files and directories of the mount. Each is an entry of the open table in shared memory (what the next daemon needs)
 * and a struct handle here (what only this one has).
 *
 * fuse_file_info.fh is generation << 32 | index. The kernel sends RELEASE after the last other request on a handle, so a
 * handler may use what handle_get returned until it answers. */
#ifndef DIOS_FS_HANDLE_H
#define DIOS_FS_HANDLE_H

#include "base/buffer.h"
#include "base/lock.h"
#include "fs/region.h"
#include "objects/objects.h"

struct fs;
struct poll_item;

/* Something that lives until the handle is released: objects made through a directory's descriptor, private buffers. */
struct handle_attachment { struct handle_attachment *next; void (*release)(void *arg); void *arg; };

struct handle {
	struct fs *fs;
	struct handle_entry *entry;          /* in the open table */
	uint64_t fh;
	enum object_kind object_kind;
	struct reference *reference;         /* HANDLE_OBJECT: owned; else NULL */
	struct reference *page_reference;    /* the same object without append: writes of mapped pages; made when needed */
	struct buffer text;                  /* HANDLE_TEXT: all of it; HANDLE_DIRECTORY: a listing taken when it was opened */
	struct name list_last;               /* .dios/name: the last name given out, and the cookie it had */
	uint64_t list_cookie;
	void *data;                          /* HANDLE_BUFFER, HANDLE_CONTROL: of the file that serves it */
	bool lost;                           /* an earlier daemon's, and what it showed cannot be had again: EIO */
	_Atomic(struct poll_item *) poll;
	struct handle_attachment *attachments;
	struct lock lock;                    /* guards page_reference, list_last, attachments */
};

struct handle_table;
int handle_table_new(struct fs *fs, struct region *region, struct handle_table **ret_table);
void handle_table_free(struct handle_table *t);      /* closes what is open */
/* An empty handle of that kind. -ENFILE. The kernel may use it as soon as fh has been sent. */
int handle_new(struct handle_table *t, enum handle_kind kind, uint64_t node, uint64_t ino, struct handle **ret_handle);
/* The handle of an entry that an earlier daemon has left, without what belongs to its kind. */
int handle_adopt(struct handle_table *t, uint32_t index, struct handle **ret_handle);
void handle_drop(struct handle_table *t, uint32_t index);         /* such an entry: nobody has it open */
/* An entry that says that h holds an object; given back with handle_drop. -ENFILE. */
int handle_hold(struct handle_table *t, const struct handle *h, uint64_t ino, uint32_t *ret_index);
/* Calls back for each open handle of an inode, by its own node, until each() says true; returns whether it did. At a start, before others use the table. */
bool handle_each(struct handle_table *t, uint64_t ino, bool (*each)(void *arg, struct handle *h), void *arg);
int handles_restore(struct fs *fs);       /* handle_restore.c: opens again what an earlier daemon had open */
void handle_free(struct handle_table *t, struct handle *h);       /* closes its references, releases attachments */
struct handle *handle_get(struct handle_table *t, uint64_t fh);   /* NULL: stale */
/* Takes ownership of arg when it returns 0. */
int handle_attach(struct handle *h, void (*release)(void *arg), void *arg);

#endif
