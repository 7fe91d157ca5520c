/* What a file system is, as plainly as it can be said: objects, directory entries, bytes. The tests compare with it what the code under test
 * makes of the same operations. It knows nothing of versions of formats, rows, heads or logs.
 *
 * Objects are named by the caller's number for them (an inode number), which must not come twice. Errors are negative errno, those of
 * Linux for the same call. Everything is bounded and small; a full model refuses with -ENOMEM. */
#ifndef DIOS_TESTS_CLUSTER_MODEL_H
#define DIOS_TESTS_CLUSTER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_OBJECTS 256
#define MODEL_ENTRIES 512
#define MODEL_NAME 24

enum model_kind { MODEL_NONE = 0, MODEL_FILE, MODEL_DIRECTORY, MODEL_SYMLINK };

struct model_object {
	enum model_kind kind;         /* NONE: this place is free */
	uint64_t number;
	uint32_t mode;                /* permission bits */
	unsigned links;               /* as of st_nlink; 0: an orphan, which lives until it is released */
	uint64_t parent;              /* directories */
	uint64_t changes;             /* how often the content was changed: its version */
	uint8_t *bytes;
	uint64_t size;
};

struct model_entry { bool used; uint64_t parent, number; char name[MODEL_NAME]; };

struct model { uint64_t root; struct model_object objects[MODEL_OBJECTS]; struct model_entry entries[MODEL_ENTRIES]; };

void model_init(struct model *m, uint64_t root);
void model_done(struct model *m);
struct model_object *model_object(struct model *m, uint64_t number);                                   /* NULL: none */
struct model_entry *model_entry(struct model *m, uint64_t parent, const char *name);                   /* NULL: none */
unsigned model_entry_count(struct model *m, uint64_t parent);

int model_can_create(struct model *m, uint64_t parent, const char *name);
int model_create(struct model *m, uint64_t parent, const char *name, enum model_kind kind, uint32_t mode, uint64_t number);
int model_link(struct model *m, uint64_t number, uint64_t parent, const char *name);
int model_unlink(struct model *m, uint64_t parent, const char *name, bool directory);
int model_rename(struct model *m, uint64_t parent, const char *name, uint64_t new_parent, const char *new_name, bool noreplace, bool exchange);
void model_release(struct model *m, uint64_t number);      /* an orphan that nobody has open any more */

/* Files. Each counts as one change. */
int model_write(struct model *m, uint64_t number, uint64_t offset, const void *data, size_t size);
int model_resize(struct model *m, uint64_t number, uint64_t size);
int model_zero(struct model *m, uint64_t number, uint64_t offset, uint64_t size);                      /* the size stays */

#endif
