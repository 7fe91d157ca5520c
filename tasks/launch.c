/* The codec of launch descriptions and events; see launch.h. */
#include <limits.h>
#include <string.h>

#include "tasks/launch.h"

#define VERSION 3u
#define EVENT_VERSION 1u       /* a task that was begun by an earlier release speaks to the next */
#define TOKEN_TEXT_LONGEST 1000u
#define PATH_LONGEST PATH_MAX
#define REFERENCE_SIZE 40u       /* bytes at least, encoded */

void launch_place_encode(const struct launch_place *p, struct buffer *out)
{
	put_number(out, VERSION);
	put_text(out, p->mount);
	put_optional_text(out, p->hidden);
	put_number(out, p->parent);
	put_number(out, p->kept);
}

int launch_place_decode(struct slice bytes, struct launch_place *ret_place)
{
	struct cursor c = cursor_of(bytes);
	struct launch_place p = { 0 };
	uint64_t version = take_number(&c, UINT64_MAX);

	if (!c.error && version != VERSION)
		return -ENOTSUP;
	p.mount = take_text(&c, PATH_LONGEST);
	p.hidden = take_optional_text(&c, PATH_LONGEST);
	p.parent = (uint32_t)take_number(&c, INT32_MAX);
	p.kept = take_flag(&c);
	if (p.mount[0] != '/' || (p.hidden && p.hidden[0] != '/'))
		cursor_fail(&c, -EBADMSG);
	int r = cursor_end(&c);
	if (r == 0)
		*ret_place = p;
	return r;
}

static void put_reference(struct buffer *out, const struct launch_reference *r)
{
	put_optional_text(out, r->token);
	put_number(out, r->read);
	put_number(out, r->write);
	put_number(out, r->append);
	put_number(out, r->consume);
}

static struct launch_reference take_reference(struct cursor *c)
{
	struct launch_reference r = { .token = take_optional_text(c, TOKEN_TEXT_LONGEST) };

	r.read = take_flag(c);
	r.write = take_flag(c);
	r.append = take_flag(c);
	r.consume = take_flag(c);
	return r;
}

static void put_references(struct buffer *out, const struct launch_reference *references, size_t count)
{
	put_number(out, count);
	for (size_t i = 0; i < count; i++)
		put_reference(out, &references[i]);
}

static struct launch_reference *take_references(struct cursor *c, size_t *ret_count)
{
	size_t count = take_count(c, LAUNCH_REFERENCES_MAX, REFERENCE_SIZE);
	struct launch_reference *references = c->error ? NULL : calloc(count + 1, sizeof(*references));

	if (!references) {
		cursor_fail(c, -ENOMEM);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		references[i] = take_reference(c);
		if (!references[i].token || (!references[i].read && !references[i].write))
			cursor_fail(c, -EBADMSG);
	}
	*ret_count = count;
	return references;
}

static void put_identity(struct buffer *out, const struct launch *l)
{
	put_number(out, l->uid);
	put_number(out, l->gid);
	put_number(out, l->group_count);
	for (size_t i = 0; i < l->group_count; i++)
		put_number(out, l->groups[i]);
	put_number(out, l->capabilities);
	put_number(out, l->limit_count);
	for (size_t i = 0; i < l->limit_count; i++) {
		put_number(out, l->limits[i].soft);
		put_number(out, l->limits[i].hard);
	}
}

static void take_identity(struct cursor *c, struct launch *l)
{
	l->uid = (uint32_t)take_number(c, UINT32_MAX - 1);
	l->gid = (uint32_t)take_number(c, UINT32_MAX - 1);
	l->group_count = take_count(c, LAUNCH_GROUPS_MAX, 8);
	for (size_t i = 0; i < l->group_count; i++)
		l->groups[i] = (uint32_t)take_number(c, UINT32_MAX - 1);
	l->capabilities = take_number(c, UINT64_MAX);
	l->limit_count = take_count(c, RLIM_NLIMITS, 16);
	for (size_t i = 0; i < l->limit_count; i++) {
		l->limits[i].soft = take_number(c, UINT64_MAX);
		l->limits[i].hard = take_number(c, UINT64_MAX);
	}
}

void launch_encode(const struct launch *l, struct buffer *out)
{
	put_number(out, VERSION);
	put_text(out, l->task);
	put_reference(out, &l->program);
	put_optional_text(out, l->path);
	put_texts(out, l->arguments);
	put_texts(out, l->environment);
	put_references(out, l->inputs, l->input_count);
	put_references(out, l->outputs, l->output_count);
	for (size_t i = 0; i < 3; i++)
		put_reference(out, &l->standard[i]);
	put_identity(out, l);
}

static void take_launch(struct cursor *c, struct launch *l)
{
	l->task = take_text(c, NAME_MAX);
	l->program = take_reference(c);
	l->path = take_optional_text(c, LAUNCH_MAX);
	l->arguments = take_texts(c, LAUNCH_TEXTS_MAX);
	l->environment = take_texts(c, LAUNCH_TEXTS_MAX);
	l->inputs = take_references(c, &l->input_count);
	l->outputs = take_references(c, &l->output_count);
	for (size_t i = 0; i < 3; i++)
		l->standard[i] = take_reference(c);
	take_identity(c, l);
	if ((l->program.token != NULL) == (l->path != NULL))
		cursor_fail(c, -EBADMSG);
}

int launch_decode(struct slice bytes, struct launch *ret_launch)
{
	struct cursor c = cursor_of(bytes);
	struct launch l = { 0 };

	if (bytes.size > LAUNCH_MAX)
		return -EBADMSG;
	uint64_t version = take_number(&c, UINT64_MAX);
	if (c.error)
		return c.error;
	if (version != VERSION)
		return -ENOTSUP;
	take_launch(&c, &l);
	int r = cursor_end(&c);
	if (r < 0)
		launch_done(&l);
	else
		*ret_launch = l;
	return r;
}

void launch_done(struct launch *l)
{
	free(l->arguments);
	free(l->environment);
	free(l->inputs);
	free(l->outputs);
	*l = (struct launch){ 0 };
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

const char *launch_stage_text(enum launch_stage stage)
{
	static const char *const text[] = {
		[LAUNCH_READ_DESCRIPTION] = "read what the daemon said", [LAUNCH_CGROUP] = "join the control group",
		[LAUNCH_NAMESPACES] = "make the name spaces", [LAUNCH_MOUNTS] = "arrange the mounts", [LAUNCH_REFERENCES] = "open the reference",
		[LAUNCH_IDENTITY] = "become the user", [LAUNCH_PROCESS] = "make a process", [LAUNCH_EXECUTE] = "execute",
	};
	return (unsigned)stage < sizeof(text) / sizeof(text[0]) && text[stage] ? text[stage] : "start";
}

static void put_usage(struct buffer *out, const struct launch_usage *u)
{
	put_number(out, u->user_ns);
	put_number(out, u->system_ns);
	put_number(out, u->max_rss_bytes);
	put_number(out, u->bytes_read);
	put_number(out, u->bytes_written);
	put_number(out, u->disk_bytes_read);
	put_number(out, u->disk_bytes_written);
	for (size_t i = 0; i < LAUNCH_COUNTERS; i++)
		put_number(out, u->counters[i]);
}

static void take_usage(struct cursor *c, struct launch_usage *u)
{
	u->user_ns = take_number(c, UINT64_MAX);
	u->system_ns = take_number(c, UINT64_MAX);
	u->max_rss_bytes = take_number(c, UINT64_MAX);
	u->bytes_read = take_number(c, UINT64_MAX);
	u->bytes_written = take_number(c, UINT64_MAX);
	u->disk_bytes_read = take_number(c, UINT64_MAX);
	u->disk_bytes_written = take_number(c, UINT64_MAX);
	for (size_t i = 0; i < LAUNCH_COUNTERS; i++)
		u->counters[i] = take_number(c, UINT64_MAX);
}

void launch_event_encode(const struct launch_event *e, struct buffer *out)
{
	put_number(out, EVENT_VERSION);
	put_number(out, e->kind);
	switch (e->kind) {
	case LAUNCH_PREPARED:
	case LAUNCH_RUNNING:
		break;
	case LAUNCH_FAILED:
		put_number(out, e->stage);
		put_number(out, (uint64_t)e->error);
		put_bytes(out, e->what, strnlen(e->what, LAUNCH_WHAT_MAX));
		break;
	case LAUNCH_EXITED:
		put_number(out, (uint32_t)e->wait_status);
		put_usage(out, &e->usage);
		break;
	}
}

int launch_event_decode(struct slice bytes, struct launch_event *ret_event)
{
	struct cursor c = cursor_of(bytes);
	struct launch_event e = { .what = "" };
	uint64_t version = take_number(&c, UINT64_MAX);

	if (!c.error && version != EVENT_VERSION)
		return -ENOTSUP;
	e.kind = (enum launch_event_kind)take_number(&c, LAUNCH_EXITED);
	switch (e.kind) {
	case LAUNCH_PREPARED:
	case LAUNCH_RUNNING:
		break;
	case LAUNCH_FAILED:
		e.stage = (enum launch_stage)take_number(&c, LAUNCH_STAGE_LAST);
		e.error = (int)take_number(&c, 4095);
		e.what = take_text(&c, LAUNCH_WHAT_MAX);
		break;
	case LAUNCH_EXITED:
		e.wait_status = (int)(uint32_t)take_number(&c, UINT32_MAX);
		take_usage(&c, &e.usage);
		break;
	default:
		cursor_fail(&c, -EBADMSG);
	}
	int r = cursor_end(&c);
	if (r == 0)
		*ret_event = e;
	return r;
}
