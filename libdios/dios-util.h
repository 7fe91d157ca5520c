/* What goes with the eleven calls: reference information, names as text, and the settings of streams,
 * tasks and tokens. As there: 0 or a negative errno, any thread, ret_... untouched on failure, and the
 * errors that any call may give. */
#ifndef DIOS_UTIL_H
#define DIOS_UTIL_H

#include <dios.h>
#include <dios-ioctl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mount's directory: $DIOS_MOUNT, else "/dios". Borrowed; $DIOS_MOUNT is ignored in a set-user-id program. */
const char *dios_mount(void);

/* The public reference information: type, rights, proximity, versions, what is ready, state of a stream or task. */
int dios_info(dios_ref ref, struct dios_ioctl_info *ret_info);

/* Opens a path, which needs no '/', with rights (0: read), as dios_lookup does: but -ENOENT where that has 0 matches. */
int dios_open(uint32_t flags, const char *path, uint32_t rights, dios_ref *ret_ref);
/* Only drops the reference: close(2). */
int dios_close(dios_ref ref);

#define DIOS_NAME_TEXT 44    /* bytes of a name as text, with its NUL */
void dios_name_to_text(const struct dios_name *name, char text[DIOS_NAME_TEXT]);
int dios_name_from_text(const char *text, struct dios_name *ret_name);        /* -EINVAL */
/* The name that dios_create makes from a string. */
int dios_name_from_string(const char *string, struct dios_name *ret_name);
/* The object's replicas, nearest first. *count: capacity in, number out. */
int dios_replicas(dios_ref ref, struct dios_ioctl_replica *replicas, size_t *count);

/* A token with the options' limits added to those that it has. -EINVAL: not a token; -E2BIG: no room for another. */
int dios_narrow(const char *token, const struct dios_copy_options *options, char ret_token[DIOS_TOKEN_SIZE]);
/* Revokes one token; owner of the object or root. -EINVAL: not a token. */
int dios_revoke(const char *token);
/* Revokes every token of the object; owner or root. */
int dios_revoke_all(dios_ref ref);

/* No record can be appended any more; readers come to the end. Needs the right to write. Doing it twice is no error. */
int dios_stream_end(dios_ref ref);
/* Changes what `settings->set` names (DIOS_SET_...); version and flags are filled in here. */
int dios_stream_configure(dios_ref ref, const struct dios_ioctl_stream *settings);
/* How this reference reads: DIOS_FOLLOW sees all records from `position` on (DIOS_NEXT: from where it is),
 * DIOS_CONSUME shares them with the other consumers, each record going to one. */
int dios_stream_mode(dios_ref ref, enum dios_stream_mode mode, uint64_t position);

/* Says that an unproduced object is there, or (failed not 0) never will be: its readers get -EIO. */
int dios_set_produced(dios_ref ref, int failed);
/* Sends a signal to a task: SIGKILL to all its processes, others to its program. -ESRCH: it has ended. */
int dios_task_kill(dios_ref task, int signal);

#ifdef __cplusplus
}
#endif
#endif
