/* A dios of its own for a test: a data directory and a mount below a temporary folder, both gone at exit. */
#ifndef DIOS_TESTS_FS_MOUNT_H
#define DIOS_TESTS_FS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Mounts and changes into the mount's root. False: a reason to skip was printed, or that it failed, which fails the test: return
 * mount_result() from main. */
bool mount_start(void);
int mount_result(void);
extern char mount_work[], mount_data[], mount_point[];     /* absolute paths */

/* Like mount_start's parts, with what the holder wrote to standard error in output[]. Exit status of dios-holder. */
bool mount_prepare(void);                                  /* folders and data directory only */
int mount_holder(char *output, size_t size, const char *const *arguments);
int mount_run(char *output, size_t size, const char *program, const char *const *arguments);   /* one of dios' programs */
bool mount_up(void);
bool mount_down(void);                                     /* SIGTERM to the holder; true: it ended and nothing is mounted */
pid_t mount_daemon(void), mount_holder_pid(void);          /* from .dios/status; at most 1 if they cannot be had */
bool mount_fsck_clean(void);                              /* beside the daemon */
bool mount_kill_daemon(void);                              /* SIGKILL */
bool mount_kill_all(void);                                 /* the holder too, and what was mounted is not any more */
bool mount_is_mounted(void);

/* Runs body in a child as another user; its exit status: true is 0. */
bool as_user(uid_t uid, bool (*body)(void *arg), void *arg);

/* Whether the daemon has no handle but the one of this question: of a close(2) it hears afterwards. */
bool mount_all_closed(void *unused);

/* Small files. */
bool put(const char *path, const char *text);
bool append(const char *path, const char *text);
bool holds(const char *path, const char *text);            /* exactly */
bool wait_for(bool (*condition)(void *arg), void *arg);    /* up to 10 s, looking again when something may have changed */

#endif
