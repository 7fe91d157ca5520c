/* Private to the state machine: the entries of directories. */
#ifndef DIOS_CLUSTER_STATE_DIRECTORY_H
#define DIOS_CLUSTER_STATE_DIRECTORY_H

#include "cluster/state_apply.h"

struct entry { uint64_t ino, cookie; uint32_t type; /* S_IFMT bits */ };

int entry_check(struct slice name);                        /* -EINVAL: empty, "." or "..", or with '/' or NUL; -ENAMETOOLONG */
int entry_get(struct apply *a, uint64_t parent, struct slice name, struct entry *ret_entry);   /* -ENOENT */
/* A new entry, with the directory's next cookie. */
int entry_add(struct apply *a, struct record *parent, struct slice name, const struct record *target);
/* An entry that is there gets another target; its place in the order stays, so that a reader of the directory sees the name once. */
int entry_replace(struct apply *a, struct record *parent, struct slice name, const struct entry *old, const struct record *target);
int entry_remove(struct apply *a, struct record *parent, struct slice name, const struct entry *entry);
/* A directory that entries may be made in or taken from: -ENOENT (also for one that was removed), -ENOTDIR. */
int directory_get(struct apply *a, uint64_t ino, struct record **ret_directory);
void directory_touch(struct apply *a, struct record *directory);    /* mtime and ctime */

int entry_decode(struct slice value, struct entry *ret_entry);     /* -EBADMSG */
int cookie_decode(uint64_t cookie, struct slice value, struct state_entry *ret_entry);   /* -EBADMSG; the name borrows from value */

#endif
