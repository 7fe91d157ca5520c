/* create: an ioctl on a directory makes the object, and the directory's descriptor keeps it alive until it has been opened. */
#include "libdios/call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CREATE_FLAGS (DIOS_LOCAL | DIOS_EXISTING | DIOS_MEMORY | DIOS_UNPRODUCED | DIOS_DIRECT | DIOS_END_ON_CLOSE)

/* Opens the directory that a path's last part is to be put into, and points at that part. */
static int open_parent(const char *path, int *ret_directory, const char **ret_entry)
{
	char folder[PATH_SIZE];
	const char *slash = strrchr(path, '/');
	size_t size = slash ? (size_t)(slash - path) : 0;

	if (size >= sizeof(folder)) return -ENAMETOOLONG;
	if (!slash) {
		memcpy(folder, ".", 2);
	} else if (size == 0) {
		memcpy(folder, "/", 2);
	} else {
		memcpy(folder, path, size);
		folder[size] = '\0';
	}
	*ret_entry = slash ? slash + 1 : path;
	return call_open(folder, CALL_DIRECTORY, ret_directory);
}

static int put_text(const char *text, size_t max, char *into, uint32_t *ret_size)
{
	size_t size = strlen(text);
	if (size == 0) return -EINVAL;
	if (size > max) return -ENAMETOOLONG;
	memcpy(into, text, size);
	*ret_size = (uint32_t)size;
	return 0;
}

static int put_name_source(const struct dios_create_options *o, struct dios_ioctl_create *c)
{
	bool counted = o->parent || o->counter;
	if (o->string && counted) return -EINVAL;
	if (o->string) {
		c->name_kind = DIOS_NAME_STRING;
		return put_text(o->string, DIOS_STRING_MAX, c->string, &c->string_size);
	}
	if (counted) {
		c->name_kind = DIOS_NAME_COUNTER;
		c->counter = o->counter;
		if (o->parent) memcpy(c->parent, o->parent->bytes, sizeof(c->parent));
	}
	return 0;
}

static int put_options(const struct dios_create_options *o, struct dios_ioctl_create *c)
{
	c->kind = o->kind ? o->kind : DIOS_BLOB;
	c->lifecycle = o->lifecycle;
	c->replicas = o->replicas;
	c->read_consistency = o->read_consistency;
	c->write_consistency = o->write_consistency;
	c->mode = o->mode ? o->mode : 0600;
	c->node = o->node;
	c->limit_bytes = o->limit_bytes;
	c->trim_bytes = o->trim_bytes;
	c->trim_age_ns = o->trim_age_ns;
	c->trim_consumed = o->trim_consumed;
	int r = put_name_source(o, c);
	return r < 0 ? r : call_reference_id(o->near, c->near_id);
}

/* By its path if it has one: the path may lie in another mount than the program's own. */
static int open_created(const char *path, const struct dios_ioctl_create *c, uint32_t rights, dios_ref *ret_ref)
{
	struct dios_name name;
	struct dios_ioctl_info info;
	char text[DIOS_NAME_TEXT];
	int open_flags, fd, r = call_open_flags(0, rights, &open_flags);

	if (r < 0) return r;
	memcpy(name.bytes, c->name, sizeof(name.bytes));
	dios_name_to_text(&name, text);
	r = path ? call_open(path, open_flags, &fd) : call_open_dios("name", text, open_flags, &fd);
	if (r < 0) return r;
	if (path) {
		r = dios_info(fd, &info);
		if (r == 0 && memcmp(info.name, c->name, sizeof(info.name)) != 0) r = -ENOENT;   /* somebody put another there */
		if (r < 0) {
			close(fd);
			return r;
		}
	}
	*ret_ref = fd;
	return 0;
}

int create_object(uint32_t flags, const struct dios_create_options *options, unsigned long number, const uint8_t source[DIOS_ID_SIZE],
	struct dios_name *ret_name, dios_ref *ret_ref)
{
	static const struct dios_create_options defaults;
	const struct dios_create_options *o = options ? options : &defaults;
	struct dios_ioctl_create c = { CALL_HEADER(flags) };
	const char *entry = NULL;
	int directory, unused, r;

	if (call_flags_bad(flags, CREATE_FLAGS)) return -EINVAL;
	uint32_t rights = o->rights ? o->rights : DIOS_READ | DIOS_WRITE;
	r = call_open_flags(0, rights, &unused);   /* before anything is made */
	if (r == 0) r = put_options(o, &c);
	if (r < 0) return r;
	if (source) memcpy(c.source, source, sizeof(c.source));
	r = o->path ? open_parent(o->path, &directory, &entry) : call_open_dios("name", NULL, CALL_DIRECTORY, &directory);
	if (r < 0) return r;
	if (entry) r = put_text(entry, DIOS_ENTRY_MAX, c.entry, &c.entry_size);
	if (r == 0) r = call_ioctl(directory, number, &c);
	if (r == 0) r = open_created(o->path, &c, rights, ret_ref);
	close(directory);
	if (r == 0 && ret_name) memcpy(ret_name->bytes, c.name, sizeof(ret_name->bytes));
	return r;
}

int dios_create(uint32_t flags, const struct dios_create_options *options, struct dios_name *ret_name, dios_ref *ret_ref)
{
	return create_object(flags, options, DIOS_IOC_CREATE, NULL, ret_name, ret_ref);
}
