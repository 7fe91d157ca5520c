/* Reading mountinfo; see mounts.h. A later mount at the same place hides the earlier one, so the last line of a place counts. */
#include <string.h>

#include "mount-tools/mounts.h"

/* Octal escapes (\040) back to bytes, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static void mounts_forget(struct mounts *m, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (strcmp(m->paths[i], path) == 0)
			free(m->paths[i]);
		else
			m->paths[kept++] = m->paths[i];
	}
	m->count = kept;
}

static int mounts_add(struct mounts *m, const char *path)
{
	char **paths = reallocarray(m->paths, m->count + 1, sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	m->paths = paths;
	m->paths[m->count] = strdup(path);
	if (!m->paths[m->count])
		return -ENOMEM;
	m->count++;
	return 0;
}

/* "36 35 98:0 /root /mount/point rw,opts shared:1 - fuse.dios source rw": the fifth field and the first after " - ". */
static int mounts_parse_line(struct mounts *m, char *line)
{
	char *type = strstr(line, " - "), *path = line;

	if (!type)
		return 0;
	*type = '\0';
	type += 3;
	type[strcspn(type, " \n")] = '\0';
	for (int field = 0; field < 4; field++) {
		path = strchr(path, ' ');
		if (!path)
			return 0;
		path++;
	}
	path[strcspn(path, " ")] = '\0';
	unescape(path);
	mounts_forget(m, path);
	return strcmp(type, MOUNT_TYPE) == 0 ? mounts_add(m, path) : 0;
}

int mounts_parse(FILE *mountinfo, struct mounts *ret_mounts)
{
	struct mounts m = { 0 };
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int r = 0;

	while (r == 0 && getline(&line, &room, mountinfo) >= 0)
		r = mounts_parse_line(&m, line);
	if (r == 0 && ferror(mountinfo))
		r = -EIO;
	if (r < 0) {
		mounts_done(&m);
		return r;
	}
	*ret_mounts = m;
	return 0;
}

int mounts_read(struct mounts *ret_mounts)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (!f)
		return -errno;
	int r = mounts_parse(f, ret_mounts);
	fclose(f);
	return r;
}

void mounts_done(struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->paths[i]);
	free(m->paths);
	*m = (struct mounts){ 0 };
}

const char *mounts_find(const struct mounts *m, const char *path)
{
	const char *best = NULL;
	size_t best_size = 0;

	for (size_t i = 0; i < m->count; i++) {
		size_t size = strlen(m->paths[i]);

		if (strncmp(path, m->paths[i], size) != 0 || (path[size] != '/' && path[size] != '\0' && size > 1))
			continue;
		if (!best || size > best_size) {
			best = m->paths[i];
			best_size = size;
		}
	}
	return best;
}
