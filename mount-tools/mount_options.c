/* One table of the options that mount(8) knows for every file system; what is not in it must be a key of the configuration. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/error.h"
#include "mount-tools/mount_options.h"

#define OPTION_MAX 4096

static const struct { const char *name; unsigned long set, clear; } known[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY }, { "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID }, { "nodev", MS_NODEV, 0 },
	{ "dev", 0, MS_NODEV }, { "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC }, { "sync", MS_SYNCHRONOUS, 0 },
	{ "async", 0, MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC, 0 }, { "noatime", MS_NOATIME, 0 }, { "atime", 0, MS_NOATIME },
	{ "nodiratime", MS_NODIRATIME, 0 }, { "diratime", 0, MS_NODIRATIME }, { "relatime", MS_RELATIME, 0 }, { "norelatime", 0, MS_RELATIME },
	{ "strictatime", MS_STRICTATIME, 0 }, { "nostrictatime", 0, MS_STRICTATIME }, { "lazytime", 0, 0 }, { "nolazytime", 0, 0 },
	/* These speak to mount(8) and its callers. */
	{ "defaults", 0, 0 }, { "auto", 0, 0 }, { "noauto", 0, 0 }, { "nofail", 0, 0 }, { "_netdev", 0, 0 }, { "user", 0, 0 },
	{ "nouser", 0, 0 }, { "users", 0, 0 }, { "nousers", 0, 0 }, { "owner", 0, 0 }, { "noowner", 0, 0 }, { "group", 0, 0 },
	{ "nogroup", 0, 0 }, { "silent", 0, 0 }, { "loud", 0, 0 }, { "mand", 0, 0 }, { "nomand", 0, 0 }, { "iversion", 0, 0 },
	{ "noiversion", 0, 0 },
	/* What a dios mount always is. */
	{ "allow_other", 0, 0 }, { "default_permissions", 0, 0 },
};

static bool is_comment(const char *option)
{
	return strncmp(option, "x-", 2) == 0 || strncmp(option, "X-", 2) == 0 || strncmp(option, "comment=", 8) == 0;
}

static int set_path(char **to, const char *value, const char *option, char *error, size_t error_size)
{
	if (value[0] != '/') {
		snprintf(error, error_size, "option '%s': expected an absolute path", option);
		return -EINVAL;
	}
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static bool is_key(const char *name, size_t size)
{
	for (const struct config_key *k = config_keys; k->name; k++)
		if (strlen(k->name) == size && memcmp(k->name, name, size) == 0)
			return true;
	return false;
}

/* Checked against a configuration that is thrown away, so that a bad value is refused before anything is started. */
static int add_key(struct mount_options *o, const char *option, size_t name_size, char *error, size_t error_size)
{
	struct config *trial;
	char name[64];

	if (name_size >= sizeof(name) || o->key_count == MOUNT_KEYS_MAX)
		return -EINVAL;
	memcpy(name, option, name_size);
	name[name_size] = '\0';
	int r = config_new(&trial);
	if (r < 0)
		return r;
	r = config_set(trial, name, option + name_size + 1, error, error_size);
	config_free(trial);
	if (r < 0)
		return r;
	o->keys[o->key_count] = strdup(option);
	return o->keys[o->key_count] ? (o->key_count++, 0) : -ENOMEM;
}

static int add_option(struct mount_options *o, const char *option, bool sloppy, char *error, size_t error_size)
{
	size_t name_size = strcspn(option, "=");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(option, known[i].name) == 0) {
			o->flags = (o->flags & ~known[i].clear) | known[i].set;
			return 0;
		}
	if (is_comment(option))
		return 0;
	if (strncmp(option, "config=", 7) == 0)
		return set_path(&o->config_file, option + 7, option, error, error_size);
	if (strncmp(option, "log=", 4) == 0)
		return set_path(&o->log_file, option + 4, option, error, error_size);
	if (option[name_size] == '=' && is_key(option, name_size))
		return add_key(o, option, name_size, error, error_size);
	if (sloppy)
		return 0;
	snprintf(error, error_size, "unknown option '%s': expected one that every file system has, config=FILE, log=FILE, or KEY=VALUE "
		"with a key of dios.conf(5)", option);
	return -EINVAL;
}

int mount_options_parse(struct mount_options *o, const char *text, bool sloppy, char *error, size_t error_size)
{
	char option[OPTION_MAX];

	while (*text) {
		size_t size = strcspn(text, ",");
		if (size >= sizeof(option)) {
			snprintf(error, error_size, "an option is longer than %d bytes", OPTION_MAX - 1);
			return -EINVAL;
		}
		memcpy(option, text, size);
		option[size] = '\0';
		int r = size > 0 ? add_option(o, option, sloppy, error, error_size) : 0;
		if (r < 0)
			return r;
		text += size + (text[size] == ',');
	}
	return 0;
}

void mount_options_done(struct mount_options *o)
{
	free(o->config_file);
	free(o->log_file);
	for (unsigned i = 0; i < o->key_count; i++)
		free(o->keys[i]);
	memset(o, 0, sizeof(*o));
}
