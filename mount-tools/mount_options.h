/* Options of a dios mount, as in fstab: comma separated, those of every file system and those of dios.conf(5). */
#ifndef DIOS_MOUNT_TOOLS_MOUNT_OPTIONS_H
#define DIOS_MOUNT_TOOLS_MOUNT_OPTIONS_H

#include <stdbool.h>
#include "base/config.h"

#define MOUNT_KEYS_MAX 64

struct mount_options {
	unsigned long flags;              /* MS_... of mount(2) */
	char *config_file, *log_file;     /* NULL: not said */
	char *keys[MOUNT_KEYS_MAX];       /* "key=value" for the daemon's configuration, checked */
	unsigned key_count;
};

/* Adds what `text` says. -EINVAL with a sentence that names the option. sloppy: unknown options are passed over (mount -s). */
int mount_options_parse(struct mount_options *o, const char *text, bool sloppy, char *error, size_t error_size);
void mount_options_done(struct mount_options *o);

#endif
