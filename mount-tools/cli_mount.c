/* Finding mounts and objects; see cli_mount.h. */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "caps/token.h"
#include "mount-tools/ask.h"
#include "mount-tools/cli_mount.h"

static int cli_load_mounts(struct cli *cli)
{
	if (cli->mounts_known)
		return 0;
	int r = mounts_read(&cli->mounts);
	if (r < 0)
		return cli_fail(cli, r, "cannot read /proc/self/mountinfo, where the mounts are listed");
	cli->mounts_known = true;
	return 0;
}

/* "a, b": the mounts there are, for a message. */
static char *list_mounts(const struct mounts *m)
{
	struct buffer out;

	buffer_init(&out, 65536);
	for (size_t i = 0; i < m->count; i++)
		buffer_printf(&out, "%s%s", i ? ", " : "", m->paths[i]);
	buffer_append(&out, "", 1);
	if (buffer_error(&out) < 0)
		buffer_done(&out);
	return (char *)out.data;
}

static const char *find_exact(const struct mounts *m, const char *path)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->paths[i], path) == 0)
			return m->paths[i];
	return NULL;
}

/* Before anything else is asked of a mount. False: it was said that it does not answer. */
static bool answers(struct cli *cli, const char *mount)
{
	if (cli->answered == mount)
		return true;
	if (!ask_answers(mount)) {
		ask_failed(cli, mount);
		return false;
	}
	cli->answered = mount;
	return true;
}

/* The same for the mount in which a path lies as it is written: looking where it leads may ask that mount. */
static bool path_answers(struct cli *cli, const char *path)
{
	_cleanup_free_ char *folder = *path == '/' ? NULL : getcwd(NULL, 0), *full = NULL;

	if (*path != '/' && (!folder || asprintf(&full, "%s/%s", folder, path) < 0))
		return true;
	const char *mount = mounts_find(&cli->mounts, *path == '/' ? path : full);
	return !mount || answers(cli, mount);
}

/* The mount that was asked for by name, which must be one. */
static const char *named_mount(struct cli *cli, const char *directory, const char *origin)
{
	const char *found = find_exact(&cli->mounts, directory);
	_cleanup_free_ char *real = NULL;

	if (found)
		return found;
	if (!path_answers(cli, directory))
		return NULL;
	real = realpath(directory, NULL);
	if (real)
		found = find_exact(&cli->mounts, real);
	if (found)
		return found;
	const char *around = real ? mounts_find(&cli->mounts, real) : NULL;
	if (around)
		cli_fail(cli, 0, "%s%s is a place in the dios mount %s, not the mount: say --mount %s", origin, directory, around, around);
	else if (!real)
		cli_fail(cli, -errno, "%s%s is not a dios mount", origin, directory);
	else
		cli_fail(cli, 0, "%s%s is not a dios mount: start one with 'mount -t dios DATA %s' (mount.dios(8)), where DATA was made by "
			"'dios init DATA'", origin, directory, directory);
	return NULL;
}

/* The mount that a file lies in, found through its folder: the file itself may be missing, or a link to elsewhere. */
static const char *mount_of_file(struct cli *cli, const char *file)
{
	_cleanup_free_ char *folder = strdup(file), *real = NULL;

	if (!folder)
		return NULL;
	char *slash = strrchr(folder, '/');
	if (slash && slash != folder)
		*slash = '\0';
	real = realpath(slash ? (slash == folder ? "/" : folder) : ".", NULL);
	if (real && mounts_find(&cli->mounts, real))
		return mounts_find(&cli->mounts, real);
	free(real);
	real = realpath(file, NULL);   /* the mount's own folder, or a link into it */
	return real ? mounts_find(&cli->mounts, real) : NULL;
}

static const char *choose_mount(struct cli *cli, const char *file)
{
	const char *environment = getenv("DIOS_MOUNT"), *found = NULL;

	if (cli->mount_option)
		return named_mount(cli, cli->mount_option, "--mount ");
	if (environment && *environment)
		return named_mount(cli, environment, "$DIOS_MOUNT is ");
	if (file)
		found = mount_of_file(cli, file);
	if (!found)
		found = find_exact(&cli->mounts, MOUNT_DEFAULT);
	if (!found && cli->mounts.count == 1)
		found = cli->mounts.paths[0];
	if (found)
		return found;
	if (cli->mounts.count == 0) {
		cli_fail(cli, 0, "%s is not a dios mount, and there is no other: start one with 'mount -t dios DATA %s' (mount.dios(8)), where "
			"DATA was made by 'dios init DATA'%s", MOUNT_DEFAULT, MOUNT_DEFAULT, geteuid() == 0 ? "" : ", as root");
		return NULL;
	}
	_cleanup_free_ char *list = list_mounts(&cli->mounts);
	cli_fail(cli, 0, "there are several dios mounts (%s): choose one with --mount", list ? list : "");
	return NULL;
}

const char *cli_mount(struct cli *cli, const char *file)
{
	if (cli_load_mounts(cli) != 0)
		return NULL;
	if (file && !path_answers(cli, file))
		return NULL;
	const char *mount = choose_mount(cli, file);
	if (mount && !answers(cli, mount))
		return NULL;
	if (mount && setenv("DIOS_MOUNT", mount, 1) < 0) {
		cli_fail(cli, -errno, "cannot set DIOS_MOUNT");
		return NULL;
	}
	return mount;
}

const char *cli_mount_of(struct cli *cli, const char *file)
{
	return cli_load_mounts(cli) == 0 && path_answers(cli, file) ? mount_of_file(cli, file) : NULL;
}

char *cli_dios_path(struct cli *cli, const char *mount, const char *format, ...)
{
	_cleanup_free_ char *rest = NULL;
	char *path;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&rest, format, ap) < 0)
		rest = NULL;
	va_end(ap);
	if (!rest || asprintf(&path, "%s/.dios/%s", strcmp(mount, "/") == 0 ? "" : mount, rest) < 0) {
		cli_fail(cli, -ENOMEM, "cannot name a file of %s", mount);
		return NULL;
	}
	return path;
}

int cli_read_file(const char *path, struct buffer *out)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		char chunk[65536];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		buffer_append(out, chunk, (size_t)n);
	}
	buffer_append(out, "", 1);   /* ends the text; not counted */
	if (buffer_error(out) == 0)
		out->size--;
	return buffer_error(out);
}

static bool is_name_or_token(const char *what)
{
	size_t size = strlen(what);
	struct name name;
	struct token token;

	if (strchr(what, '/'))
		return false;
	return name_from_text(what, size, &name) == 0 || token_from_text(what, size, &token) == 0;
}

int cli_object_path(struct cli *cli, const char *what, char **ret_path)
{
	struct stat st;

	if (cli_load_mounts(cli) != 0 || !path_answers(cli, what))
		return EXIT_FAILED;
	if (!is_name_or_token(what) || lstat(what, &st) == 0) {
		if (!cli_mount(cli, what))
			return EXIT_FAILED;
		*ret_path = strdup(what);
		return *ret_path ? 0 : cli_fail(cli, -ENOMEM, "%s", what);
	}
	const char *mount = cli_mount(cli, NULL);
	if (!mount)
		return EXIT_FAILED;
	*ret_path = cli_dios_path(cli, mount, "%s/%s", strlen(what) == NAME_TEXT_SIZE ? "name" : "cap", what);
	return *ret_path ? 0 : EXIT_FAILED;
}

/* What a person can do about an error of a call on an object. */
static const char *advice_for(int error)
{
	switch (-error) {
	case ENOTCONN:
		return "the daemon behind this mount is gone: start it again (diosd(8)), or take the mount away with umount -l";
	case EACCES:
		return "its owner and root may, and who holds a token that grants it (dios cap mint)";
	case ESTALE:
		return "somebody else changed it meanwhile: read it again and repeat";
	case ENOTTY:
		return "it is not an object of a dios mount";
	case EPIPE:
		return "the stream has ended";
	default:
		return NULL;
	}
}

int cli_object_failed(struct cli *cli, int error, const char *action, const char *what)
{
	return cli_fail_advised(cli, error, advice_for(error), "cannot %s %s", action, what);
}

int cli_open_object(struct cli *cli, const char *what, int flags, int *ret_fd)
{
	_cleanup_free_ char *path = NULL;
	int r = cli_object_path(cli, what, &path);

	if (r != 0)
		return r;
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return cli_object_failed(cli, -errno, "open", what);
	*ret_fd = fd;
	return 0;
}
