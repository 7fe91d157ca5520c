/* References for a new task; see run_refs.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/random.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/run_refs.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The first executable file of that name in $PATH, or NULL. */
static char *find_in_path(const char *word)
{
	const char *path = getenv("PATH");

	for (const char *p = path ? path : ""; *p;) {
		size_t size = strcspn(p, ":");
		char *candidate;
		struct stat st;

		if (size > 0 && p[0] == '/') {
			if (asprintf(&candidate, "%.*s/%s", (int)size, p, word) < 0)
				return NULL;
			if (stat(candidate, &st) == 0 && S_ISREG(st.st_mode) && access(candidate, X_OK) == 0)
				return candidate;
			free(candidate);
		}
		p += size + (p[size] == ':');
	}
	return NULL;
}

int program_open(struct cli *cli, const char *mount, const char *what, struct program *ret_program)
{
	_cleanup_free_ char *path = NULL, *real = NULL;
	struct program p = { .ref = -1 };
	struct stat st;
	int r;

	if (!strchr(what, '/') && lstat(what, &st) < 0) {
		p.path = find_in_path(what);
		if (p.path) {
			*ret_program = p;
			return 0;
		}
	}
	r = cli_object_path(cli, what, &path);
	if (r != 0)
		return r;
	real = realpath(path, NULL);
	if (!real)
		return cli_object_failed(cli, -errno, "find the program", what);
	const char *around = mounts_find(&cli->mounts, real);
	if (!around || strcmp(around, mount) != 0) {
		p.path = TAKE_PTR(real);
	} else {
		r = dios_open(0, path, DIOS_READ, &p.ref);
		if (r < 0)
			return cli_object_failed(cli, r, "open the program", what);
	}
	*ret_program = p;
	return 0;
}

void program_close(struct program *p)
{
	if (p->ref >= 0)
		dios_close(p->ref);
	free(p->path);
	*p = (struct program){ .ref = -1 };
}

int input_open(struct cli *cli, const char *what, dios_ref *ret_ref)
{
	_cleanup_free_ char *path = NULL;
	dios_ref probe;
	int r = cli_object_path(cli, what, &path);

	if (r != 0)
		return r;
	/* What is not produced yet a reader would wait for; a writer need not, and the task waits for its inputs by itself. */
	r = dios_open(DIOS_NOWAIT, path, DIOS_READ, &probe);
	if (r == 0) {
		dios_close(probe);   /* it would not wait, and nor would the task that gets it */
		r = dios_open(0, path, DIOS_READ, ret_ref);
	} else if (r == -EAGAIN) {
		r = dios_open(0, path, DIOS_READ | DIOS_WRITE, ret_ref);
		if (r == -EACCES)
			r = dios_open(0, path, DIOS_READ, ret_ref);
	}
	struct dios_ioctl_info info;
	if (r == 0 && (r = dios_info(*ret_ref, &info)) < 0)      /* a file of another file system */
		dios_close(*ret_ref);
	return r < 0 ? cli_object_failed(cli, r, "open the input", what) : 0;
}

char *temporary_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *entry = slash ? slash + 1 : path;
	char *text;

	/* A long name is cut: the whole must fit in 255 bytes. */
	if (asprintf(&text, "%.*s.%.200s.%08" PRIx64, (int)(entry - path), path, entry, random_u64(&random_system) & 0xffffffff) < 0)
		return NULL;
	return text;
}

static int create_output(const char *path, dios_ref *ret_ref)
{
	mode_t mask = umask(0);
	struct dios_create_options options = { .kind = DIOS_BLOB, .path = path, .mode = 0666 & ~mask };

	umask(mask);
	return dios_create(DIOS_UNPRODUCED, &options, NULL, ret_ref);
}

/* Makes it beside the old one and renames it over: nobody sees the path without an object. */
static int replace_output(struct cli *cli, const char *path, dios_ref *ret_ref)
{
	_cleanup_free_ char *temporary = temporary_path(path);
	dios_ref ref;
	int r = temporary ? create_output(temporary, &ref) : -ENOMEM;

	if (r == 0 && rename(temporary, path) < 0) {
		r = -errno;
		unlink(temporary);
		dios_close(ref);
	}
	if (r < 0)
		return cli_object_failed(cli, r, "make the output", path);
	*ret_ref = ref;
	return 0;
}

/* What is at the path already: 0 and a reference to a stream, -EEXIST for anything else. */
static int open_stream(const char *path, dios_ref *ret_ref)
{
	struct dios_ioctl_info info;
	dios_ref ref;
	int r = dios_open(0, path, DIOS_APPEND, &ref);

	if (r < 0)
		return r == -EISDIR || r == -EAGAIN ? -EEXIST : r;
	r = dios_info(ref, &info);
	if (r == 0 && info.kind != DIOS_STREAM)
		r = -EEXIST;
	if (r < 0)
		dios_close(ref);
	else
		*ret_ref = ref;
	return r;
}

int output_open(struct cli *cli, const char *path, bool overwrite, dios_ref *ret_ref)
{
	const char *mount = cli_mount(cli, path);

	if (!mount)
		return EXIT_FAILED;
	int r = create_output(path, ret_ref);
	if (r == -EEXIST) {
		r = open_stream(path, ret_ref);
		if (r == -EEXIST && overwrite)
			return replace_output(cli, path, ret_ref);
		if (r == -EEXIST)
			return cli_fail_advised(cli, r, "remove it first, or say --overwrite", "cannot make the output %s", path);
	}
	return r < 0 ? cli_object_failed(cli, r, "make the output", path) : 0;
}

int refs_add(struct cli *cli, struct refs *refs, dios_ref ref, const char *what)
{
	if (refs->count == RUN_REFS_MAX) {
		dios_close(ref);
		return cli_usage(cli, "%s is one too many: a task has at most %u inputs and %u outputs", what, RUN_REFS_MAX, RUN_REFS_MAX);
	}
	refs->ref[refs->count++] = ref;
	return 0;
}

void refs_close(struct refs *refs)
{
	for (size_t i = 0; i < refs->count; i++)
		dios_close(refs->ref[i]);
	refs->count = 0;
}

/* "KEY=value" as it is; "KEY": with the caller's value, or nothing where there is none. */
static int environment_entry(const char *given, char **ret_entry)
{
	const char *value;

	*ret_entry = NULL;
	if (strchr(given, '=')) {
		*ret_entry = strdup(given);
		return *ret_entry ? 0 : -ENOMEM;
	}
	value = getenv(given);
	if (!value)
		return 0;
	return asprintf(ret_entry, "%s=%s", given, value) < 0 ? -ENOMEM : 0;
}

char **environment_new(struct cli *cli, int option)
{
	char **environment = calloc(cli->given_count + 2, sizeof(*environment));
	size_t count = 0;
	bool path = false;
	int r = environment ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < cli->given_count; i++) {
		if (cli->given[i].id != option)
			continue;
		r = environment_entry(cli->given[i].value, &environment[count]);
		if (r == 0 && environment[count])
			path |= strncmp(environment[count++], "PATH=", 5) == 0;
	}
	if (r == 0 && !path) {
		environment[count] = strdup(PATH_DEFAULT);
		r = environment[count] ? 0 : -ENOMEM;
	}
	if (r == 0)
		return environment;
	environment_free(environment);
	cli_fail(cli, r, "cannot make the task's environment");
	return NULL;
}

void environment_free(char **environment)
{
	for (size_t i = 0; environment && environment[i]; i++)
		free(environment[i]);
	free(environment);
}
