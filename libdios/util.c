/* What goes with the calls: information, tokens as text, settings. One ioctl each. */
#include "libdios/call.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int dios_close(dios_ref ref)
{
	return close(ref) < 0 ? -errno : 0;
}

int dios_info(dios_ref ref, struct dios_ioctl_info *ret_info)
{
	struct dios_ioctl_info info = { CALL_HEADER(0) };
	int r = call_ioctl(ref, DIOS_IOC_INFO, &info);
	if (r == 0) *ret_info = info;
	return r;
}

int dios_replicas(dios_ref ref, struct dios_ioctl_replica *replicas, size_t *count)
{
	struct dios_ioctl_lookup l = { CALL_HEADER(0) };
	int r = call_ioctl(ref, DIOS_IOC_LOOKUP, &l);
	if (r < 0) return r;
	if (l.count > DIOS_REPLICAS_MAX) return -EIO;
	if (l.count < *count) *count = l.count;
	memcpy(replicas, l.replicas, *count * sizeof(*replicas));
	return 0;
}

/* An ioctl on any descriptor of the mount. */
static int on_mount(unsigned long number, void *argument)
{
	int directory, r = call_open_dios(NULL, NULL, CALL_DIRECTORY, &directory);
	if (r < 0) return r;
	r = call_ioctl(directory, number, argument);
	close(directory);
	return r;
}

int dios_narrow(const char *token, const struct dios_copy_options *options, char ret_token[DIOS_TOKEN_SIZE])
{
	struct dios_ioctl_token t = { CALL_HEADER(0) };
	size_t size = strlen(token);

	if (size > DIOS_TOKEN_TEXT_MAX || options->create) return -EINVAL;
	int r = copy_fill_caveats(options, &t);
	if (r < 0) return r;
	if (t.rights) t.caveats |= DIOS_CAVEAT_RIGHTS;
	t.text_size = (uint32_t)size;
	memcpy(t.text, token, size);
	r = on_mount(DIOS_IOC_TOKEN_NARROW, &t);
	if (r < 0) return r;
	if (t.text_size >= DIOS_TOKEN_SIZE) return -EIO;
	memcpy(ret_token, t.text, t.text_size);
	ret_token[t.text_size] = '\0';
	return 0;
}

int dios_revoke(const char *token)
{
	struct dios_ioctl_text t = { CALL_HEADER(0) };
	size_t size = strlen(token);

	if (size == 0 || size > DIOS_TOKEN_TEXT_MAX) return -EINVAL;
	t.text_size = (uint32_t)size;
	memcpy(t.text, token, size);
	return on_mount(DIOS_IOC_TOKEN_REVOKE, &t);
}

int dios_revoke_all(dios_ref ref)
{
	struct dios_ioctl_text t = { CALL_HEADER(0) };
	return call_ioctl(ref, DIOS_IOC_TOKEN_REVOKE, &t);
}

int dios_stream_end(dios_ref ref)
{
	struct dios_ioctl_plain p = { CALL_HEADER(0) };
	return call_ioctl(ref, DIOS_IOC_STREAM_END, &p);
}

int dios_stream_configure(dios_ref ref, const struct dios_ioctl_stream *settings)
{
	struct dios_ioctl_stream s = *settings;
	s.version = DIOS_ABI_VERSION;
	s.flags = 0;
	return call_ioctl(ref, DIOS_IOC_STREAM_CONFIGURE, &s);
}

int dios_stream_mode(dios_ref ref, enum dios_stream_mode mode, uint64_t position)
{
	struct dios_ioctl_stream s = { CALL_HEADER(0), .set = DIOS_SET_MODE, .mode = mode };
	if (position != DIOS_NEXT) {
		s.set |= DIOS_SET_POSITION;
		s.position = position;
	}
	return call_ioctl(ref, DIOS_IOC_STREAM_CONFIGURE, &s);
}

int dios_set_produced(dios_ref ref, int failed)
{
	struct dios_ioctl_produced p = { CALL_HEADER(0), .produced = failed ? DIOS_PRODUCED_FAILED : DIOS_PRODUCED_YES };
	return call_ioctl(ref, DIOS_IOC_SET_PRODUCED, &p);
}

int dios_task_kill(dios_ref task, int signal)
{
	struct dios_ioctl_task t = { CALL_HEADER(0), .action = DIOS_TASK_KILL, .argument = signal };
	return call_ioctl(task, DIOS_IOC_TASK_CONTROL, &t);
}
