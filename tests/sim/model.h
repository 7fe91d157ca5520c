/* What the simulation expects: a tree with blobs and streams, written down independently of the code under test.
 *
 * A model is a snapshot, cheap to copy: contents are shared and never changed. Since the last durable point the simulation keeps one
 * snapshot for each change that the log orders (the tree, modes, streams), and for each blob the contents it has had, oldest
 * first. After a kill the last snapshot must be there; after a power cut one of them, each blob with one of its contents. */
#ifndef DIOS_TESTS_SIM_MODEL_H
#define DIOS_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NODES 48
#define MODEL_ENTRIES 96
#define MODEL_NAME 12

struct content { unsigned refs; size_t size; uint8_t *bytes; };

enum model_kind { MODEL_FREE = 0, MODEL_FILE, MODEL_DIRECTORY, MODEL_SYMLINK, MODEL_STREAM };

struct model_node {
	enum model_kind kind;
	uint32_t mode;
	unsigned links;
	struct content *content;     /* file, stream, symlink target: as of this snapshot */
	struct content *xattr;       /* value of user.x; NULL: none */
	size_t content_floor;        /* index into the blob's contents: this snapshot has that one or a later one (rename, link) */
	bool ended;                  /* stream */
	uint64_t life;               /* tells apart the nodes that have had this place */
};

struct model_entry { bool used; unsigned parent, node; char name[MODEL_NAME]; };

struct model { uint64_t lives; struct model_node nodes[MODEL_NODES]; struct model_entry entries[MODEL_ENTRIES]; };

struct content *content_new(const void *bytes, size_t size);
struct content *content_ref(struct content *c);
void content_unref(struct content *c);
bool content_equal(const struct content *a, const struct content *b);

void model_init(struct model *m);                        /* node 0 is the root directory */
void model_copy(struct model *to, const struct model *from);
void model_done(struct model *m);
void model_set_content(struct model *m, unsigned node, struct content *taken);

struct model_entry *model_find(struct model *m, unsigned parent, const char *name);
unsigned model_children(const struct model *m, unsigned parent);
bool model_is_below(const struct model *m, unsigned node, unsigned ancestor);

/* Each returns 0 or the errno that a POSIX system gives; `ret_node` where one is made. */
int model_make(struct model *m, unsigned parent, const char *name, enum model_kind kind, uint32_t mode, unsigned *ret_node);
int model_link(struct model *m, unsigned node, unsigned parent, const char *name);
int model_unlink(struct model *m, unsigned parent, const char *name, bool directory);
int model_rename(struct model *m, unsigned parent, const char *name, unsigned new_parent, const char *new_name, bool noreplace, bool exchange);
void model_write(struct model *m, unsigned node, uint64_t offset, const void *bytes, size_t size);
void model_resize(struct model *m, unsigned node, uint64_t size);
void model_zero(struct model *m, unsigned node, uint64_t offset, uint64_t size);

#endif
