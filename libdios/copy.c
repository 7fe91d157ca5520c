/* copy: narrowed references and tokens are minted by the mount; clones are made like new objects. */
#include "libdios/call.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int copy_fill_caveats(const struct dios_copy_options *options, struct dios_ioctl_token *t)
{
	if (options->create && (options->rights || options->length || options->expiry_ns || options->once || options->node || options->task))
		return -EINVAL;
	if (options->once > 1 || (options->offset && !options->length)) return -EINVAL;
	t->rights = options->rights;
	if (options->length) {
		t->caveats |= DIOS_CAVEAT_RANGE;
		t->offset = options->offset;
		t->length = options->length;
	}
	if (options->expiry_ns) {
		t->caveats |= DIOS_CAVEAT_EXPIRY;
		t->expiry_ns = options->expiry_ns;
	}
	if (options->node) {
		t->caveats |= DIOS_CAVEAT_NODE;
		t->node = options->node;
	}
	if (options->once) t->caveats |= DIOS_CAVEAT_ONCE;
	if (!options->task) return 0;
	t->caveats |= DIOS_CAVEAT_TASK;
	return call_reference_id(options->task, t->task_id);
}

/* The rights asked for, or those the reference has. */
static int wanted_rights(dios_ref ref, const struct dios_copy_options *options, uint32_t *ret_rights)
{
	struct dios_ioctl_info info;
	*ret_rights = options->rights;
	if (options->rights) return 0;
	int r = dios_info(ref, &info);
	if (r == 0) *ret_rights = info.rights;
	return r;
}

static int mint(dios_ref ref, const struct dios_copy_options *options, char token[static DIOS_TOKEN_SIZE])
{
	struct dios_ioctl_token t = { CALL_HEADER(0) };
	int r = copy_fill_caveats(options, &t);
	if (r == 0) r = call_ioctl(ref, DIOS_IOC_TOKEN_MINT, &t);
	if (r < 0) return r;
	if (t.text_size >= DIOS_TOKEN_SIZE) return -EIO;
	memcpy(token, t.text, t.text_size);
	token[t.text_size] = '\0';
	return 0;
}

static int narrowed(dios_ref ref, const struct dios_copy_options *options, dios_ref *ret_ref)
{
	char token[DIOS_TOKEN_SIZE];
	uint32_t rights;
	if (options->create) return -EINVAL;
	int r = wanted_rights(ref, options, &rights);
	if (r == 0) r = mint(ref, options, token);
	return r < 0 ? r : lookup_open_token(0, token, rights, ret_ref);
}

static int cloned(dios_ref ref, const struct dios_copy_options *options, dios_ref *ret_ref)
{
	struct dios_ioctl_token limits = { CALL_HEADER(0) };
	uint8_t id[DIOS_ID_SIZE];
	int r = copy_fill_caveats(options, &limits);
	if (r == 0 && (limits.caveats || limits.rights)) r = -EINVAL;   /* a clone has no limits */
	if (r == 0) r = call_reference_id(&ref, id);
	return r < 0 ? r : create_object(0, options->create, DIOS_IOC_CLONE, id, NULL, ret_ref);
}

int dios_copy(uint32_t flags, dios_ref ref, const struct dios_copy_options *options, dios_ref *ret_ref, char *ret_token)
{
	static const struct dios_copy_options defaults;
	struct dios_ioctl_plain local = { CALL_HEADER(0) };
	const struct dios_copy_options *o = options ? options : &defaults;

	switch (flags) {
	case 0: return ret_ref ? narrowed(ref, o, ret_ref) : -EINVAL;
	case DIOS_TOKEN: return ret_token && !o->create ? mint(ref, o, ret_token) : -EINVAL;
	case DIOS_CLONE: return ret_ref ? cloned(ref, o, ret_ref) : -EINVAL;
	case DIOS_LOCAL: return call_ioctl(ref, DIOS_IOC_MAKE_LOCAL, &local);
	}
	return -EINVAL;
}
