/* Findings that wait for the paths of their objects: an object's record does not say where it is, so all of them are looked for in one walk. */
#ifndef DIOS_OBJECTS_FINDINGS_H
#define DIOS_OBJECTS_FINDINGS_H

#include "cluster/state.h"
#include "objects/finding.h"

struct kept_finding { enum finding_kind kind; uint64_t ino; char *file, *text; };
struct findings { struct kept_finding *items; size_t count, capacity; };

void findings_init(struct findings *f);
void findings_done(struct findings *f);
int findings_add(struct findings *f, enum finding_kind kind, uint64_t ino, const char *file, const char *text);   /* copies; -ENOMEM */
/* Reports all of them, in order, with names and paths where they are known. */
int findings_report(struct findings *f, struct state *state, void (*report)(void *arg, const struct finding *finding), void *arg);

struct object_path { uint64_t ino; char *path; /* NULL: none was found; the caller frees it */ };
/* The first path of each; sorted by ino, each once. What of the tree can't be read is passed over. -ENOMEM. */
int state_find_paths(struct state *state, struct object_path *paths, size_t count);

#endif
