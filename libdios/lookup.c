/* lookup: a name, token, path or string is opened in the mount; further replicas are further descriptors, bound to them by ioctl. */
#include "libdios/call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOOKUP_FLAGS (DIOS_LOCAL | DIOS_STRING | DIOS_NOWAIT)
#define NAME_MAX_BYTES 255   /* of a directory entry: longer tokens go by ioctl */

static int token_alias(const char *token, size_t size, char alias[static 64])
{
	struct dios_ioctl_text t = { CALL_HEADER(0), .text_size = (uint32_t)size };
	int directory, r;

	if (size > DIOS_TOKEN_TEXT_MAX) return -EINVAL;
	memcpy(t.text, token, size);
	r = call_open_dios(NULL, NULL, CALL_DIRECTORY, &directory);
	if (r < 0) return r;
	r = call_ioctl(directory, DIOS_IOC_TOKEN_OPEN, &t);
	close(directory);
	if (r == 0) memcpy(alias, t.alias, sizeof(t.alias));
	return r;
}

/* Checks what open(2) does not, and hands the descriptor over. */
static int finish_open(int fd, uint32_t rights, dios_ref *ret_ref)
{
	int r = call_check_rights(fd, rights);
	if (r == 0) *ret_ref = fd;
	return r;
}

int lookup_open_token(uint32_t flags, const char *token, uint32_t rights, dios_ref *ret_ref)
{
	char alias[64];
	size_t size = strlen(token);
	int open_flags, fd, r = call_open_flags(flags, rights, &open_flags);

	if (r == 0 && size > NAME_MAX_BYTES) {
		r = token_alias(token, size, alias);
		token = alias;
	}
	if (r == 0) r = call_open_dios("cap", token, open_flags, &fd);
	return r < 0 ? r : finish_open(fd, rights, ret_ref);
}

static int open_name(uint32_t flags, const char *text, uint32_t rights, dios_ref *ret_ref)
{
	int open_flags, fd, r = call_open_flags(flags, rights, &open_flags);
	if (r == 0) r = call_open_dios("name", text, open_flags, &fd);
	return r < 0 ? r : finish_open(fd, rights, ret_ref);
}

static int open_string(uint32_t flags, const char *string, uint32_t rights, dios_ref *ret_ref)
{
	struct dios_name name;
	char text[DIOS_NAME_TEXT];
	int r = dios_name_from_string(string, &name);
	if (r < 0) return r;
	dios_name_to_text(&name, text);
	return open_name(flags, text, rights, ret_ref);
}

int dios_open(uint32_t flags, const char *path, uint32_t rights, dios_ref *ret_ref)
{
	int open_flags, fd, r;
	if (call_flags_bad(flags, DIOS_NOWAIT)) return -EINVAL;
	r = call_open_flags(flags, rights, &open_flags);
	if (r == 0) r = call_open(path, open_flags, &fd);
	return r < 0 ? r : finish_open(fd, rights, ret_ref);
}

static int open_any(uint32_t flags, const char *what, uint32_t rights, dios_ref *ret_ref)
{
	struct dios_name name;
	uint32_t wait = flags & DIOS_NOWAIT;

	if (flags & DIOS_STRING) return open_string(wait, what, rights, ret_ref);
	if (strchr(what, '/')) return dios_open(wait, what, rights, ret_ref);
	if (strlen(what) > DIOS_NAME_TEXT - 1) return lookup_open_token(wait, what, rights, ret_ref);
	int r = dios_name_from_text(what, &name);
	return r < 0 ? r : open_name(wait, what, rights, ret_ref);
}

static void close_all(const dios_ref *refs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(refs[i]);
}

static int bind_replica(dios_ref ref, uint32_t index)
{
	struct dios_ioctl_lookup l = { CALL_HEADER(0), .bind = index + 1 };
	return call_ioctl(ref, DIOS_IOC_LOOKUP, &l);
}

/* The first is open already and reads from the nearest; the others are opened and bound one by one. */
static int open_replicas(uint32_t flags, const char *what, uint32_t rights, dios_ref first, dios_ref *refs, size_t *count)
{
	struct dios_ioctl_replica replicas[DIOS_REPLICAS_MAX];
	size_t total = DIOS_REPLICAS_MAX, found = 0;
	int r = dios_replicas(first, replicas, &total);

	for (uint32_t i = 0; r == 0 && i < total && found < *count; i++) {
		if ((flags & DIOS_LOCAL) && replicas[i].proximity > DIOS_NEAR_DISK) continue;
		dios_ref ref = first;
		if (found > 0) r = open_any(flags, what, rights, &ref);
		if (r < 0) break;
		refs[found++] = ref;
		if (i > 0) r = bind_replica(ref, i);
	}
	if (r < 0 && found > 0) close_all(refs + 1, found - 1);
	if (r < 0 || found == 0) close(first);
	if (r == 0) *count = found;
	return r;
}

int dios_lookup(uint32_t flags, const char *what, uint32_t rights, dios_ref *refs, size_t *count)
{
	dios_ref first;

	if (call_flags_bad(flags, LOOKUP_FLAGS) || *count == 0) return -EINVAL;
	int r = open_any(flags, what, rights, &first);
	if (r == -ENOENT) {
		*count = 0;
		return 0;
	}
	if (r < 0) return r;
	if (*count > 1 || (flags & DIOS_LOCAL)) return open_replicas(flags, what, rights, first, refs, count);
	refs[0] = first;
	*count = 1;
	return 0;
}
