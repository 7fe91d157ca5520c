/* Whether the bytes of an ioctl are well formed. Pure: it knows no object, and every bound that a handler relies on is checked here.
 * The bytes come from programs that may be hostile. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "caps/token.h"
#include "cluster/record.h"
#include "fs/ioctl_calls.h"
#include "libdios/dios.h"

/* What libdios and the house say alike, each in its own words. */
_Static_assert((int)DIOS_BLOB == KIND_BLOB && (int)DIOS_STREAM == KIND_STREAM && (int)DIOS_TASK == KIND_TASK, "kinds");
_Static_assert((int)DIOS_READ == RIGHT_READ && (int)DIOS_WRITE == RIGHT_WRITE && (int)DIOS_APPEND == RIGHT_APPEND &&
	(int)DIOS_EXECUTE == RIGHT_EXECUTE && (int)DIOS_DELETE == RIGHT_DELETE && (int)DIOS_DELEGATE == RIGHT_DELEGATE, "rights");
_Static_assert((int)DIOS_REFCOUNTED == LIFECYCLE_REFCOUNTED && (int)DIOS_SINGLE_DELETE == LIFECYCLE_SINGLE_DELETE &&
	(int)DIOS_IMMORTAL == LIFECYCLE_IMMORTAL, "lifecycles");
_Static_assert((int)DIOS_OPTIMISTIC == CONSISTENCY_OPTIMISTIC && (int)DIOS_NONE == CONSISTENCY_NONE &&
	(int)DIOS_EVENTUAL == CONSISTENCY_EVENTUAL && (int)DIOS_MUTEX == CONSISTENCY_MUTEX, "consistency levels");
_Static_assert((int)DIOS_PRODUCED_YES == PRODUCED_YES && (int)DIOS_PRODUCED_NOT_YET == PRODUCED_NOT_YET &&
	(int)DIOS_PRODUCED_FAILED == PRODUCED_FAILED, "produced");
_Static_assert((int)DIOS_TASK_WAITING == TASK_WAITING && (int)DIOS_TASK_LOST == TASK_LOST, "states of tasks");
_Static_assert((int)DIOS_FOLLOW == STREAM_FOLLOW && (int)DIOS_CONSUME == STREAM_CONSUME, "modes of streams");
_Static_assert((int)DIOS_READABLE == READY_READ && (int)DIOS_WRITABLE == READY_WRITE && (int)DIOS_ENDED == READY_END &&
	(int)DIOS_PRODUCED == READY_PRODUCED && (int)DIOS_CHANGED == READY_CHANGED && (int)DIOS_ERROR == READY_ERROR, "events");
_Static_assert(DIOS_TOKEN_TEXT_MAX == TOKEN_TEXT_MAX && DIOS_ID_SIZE == REFERENCE_ID_SIZE && DIOS_NAME_BYTES == NAME_SIZE, "sizes");

static bool all_zero(const void *bytes, size_t size)
{
	const uint8_t *b = bytes;
	for (size_t i = 0; i < size; i++)
		if (b[i])
			return false;
	return true;
}

static bool is_text(const char *text, size_t size) { return memchr(text, '\0', size) == NULL; }

static int check_nothing(const void *in)
{
	(void)in;
	return 0;
}

static int check_plain(const void *in)
{
	const struct dios_ioctl_plain *p = in;
	return p->reserved == 0 ? 0 : -EINVAL;
}

static bool create_values_good(const struct dios_ioctl_create *c)
{
	return c->lifecycle <= LIFECYCLE_IMMORTAL && c->read_consistency <= CONSISTENCY_MUTEX && c->write_consistency <= CONSISTENCY_MUTEX &&
		c->mode <= 07777 && c->trim_consumed <= 1 && c->replicas <= DIOS_REPLICAS_MAX && c->trim_age_ns >= 0 &&
		all_zero(c->reserved, sizeof(c->reserved));
}

/* What a name is made from is there exactly if its kind says so. */
static bool create_name_good(const struct dios_ioctl_create *c)
{
	switch (c->name_kind) {
	case DIOS_NAME_RANDOM:
		return c->string_size == 0 && c->counter == 0 && all_zero(c->parent, sizeof(c->parent));
	case DIOS_NAME_STRING:
		return c->string_size > 0 && c->string_size <= DIOS_STRING_MAX && c->counter == 0 && all_zero(c->parent, sizeof(c->parent)) &&
			c->entry_size == 0;   /* the slot of such a name is its own, not a directory's */
	case DIOS_NAME_COUNTER:
		return c->string_size == 0;
	}
	return false;
}

static bool create_entry_good(const struct dios_ioctl_create *c)
{
	size_t size = c->entry_size;

	if (size == 0)
		return true;
	if (size > DIOS_ENTRY_MAX || !is_text(c->entry, size) || memchr(c->entry, '/', size))
		return false;
	return !(size == 1 && c->entry[0] == '.') && !(size == 2 && c->entry[0] == '.' && c->entry[1] == '.');
}

static bool create_kind_good(const struct dios_ioctl_create *c)
{
	bool stream = c->kind == KIND_STREAM;

	if (!stream && c->kind != KIND_BLOB)
		return false;
	if (!stream && ((c->flags & (DIOS_DIRECT | DIOS_END_ON_CLOSE)) || c->limit_bytes || c->trim_bytes || c->trim_age_ns || c->trim_consumed))
		return false;
	return !stream || !(c->flags & DIOS_UNPRODUCED);
}

static int check_create(const void *in)
{
	const struct dios_ioctl_create *c = in;
	return create_values_good(c) && create_kind_good(c) && create_name_good(c) && create_entry_good(c) &&
		all_zero(c->source, sizeof(c->source)) ? 0 : -EINVAL;
}

static int check_clone(const void *in)
{
	const struct dios_ioctl_create *c = in;
	return create_values_good(c) && create_kind_good(c) && c->kind == KIND_BLOB && create_name_good(c) && create_entry_good(c) &&
		!all_zero(c->source, sizeof(c->source)) ? 0 : -EINVAL;
}

static int check_lookup(const void *in)
{
	const struct dios_ioctl_lookup *l = in;
	return l->bind <= DIOS_REPLICAS_MAX && l->first <= DIOS_REPLICAS_MAX ? 0 : -EINVAL;
}

static int check_name(const void *in)
{
	const struct dios_ioctl_name *n = in;
	return n->reserved == 0 && n->string_size > 0 && n->string_size <= DIOS_STRING_MAX ? 0 : -EINVAL;
}

static int check_caveats(const struct dios_ioctl_token *t, uint32_t allowed)
{
	if ((t->caveats & ~allowed) || t->reserved || (t->rights & ~(uint32_t)RIGHT_ALL))
		return -EINVAL;
	if (t->caveats & DIOS_CAVEAT_RANGE ? t->length == 0 || t->offset > UINT64_MAX - t->length : t->offset || t->length)
		return -EINVAL;
	if (t->caveats & DIOS_CAVEAT_EXPIRY ? t->expiry_ns < 0 : t->expiry_ns != 0)
		return -EINVAL;
	if (!(t->caveats & DIOS_CAVEAT_NODE) && t->node)
		return -EINVAL;
	bool id = !all_zero(t->task_id, sizeof(t->task_id)), name = !all_zero(t->task_name, sizeof(t->task_name));
	return (t->caveats & DIOS_CAVEAT_TASK ? id != name : !id && !name) ? 0 : -EINVAL;
}

static int check_mint(const void *in)
{
	return check_caveats(in, DIOS_CAVEAT_RANGE | DIOS_CAVEAT_EXPIRY | DIOS_CAVEAT_NODE | DIOS_CAVEAT_TASK | DIOS_CAVEAT_ONCE);
}

static int check_narrow(const void *in)
{
	const struct dios_ioctl_token *t = in;
	if (t->text_size == 0 || t->text_size > DIOS_TOKEN_TEXT_MAX)
		return -EINVAL;
	if (!(t->caveats & DIOS_CAVEAT_RIGHTS) != !t->rights)
		return -EINVAL;
	return check_caveats(in, DIOS_CAVEAT_RANGE | DIOS_CAVEAT_EXPIRY | DIOS_CAVEAT_NODE | DIOS_CAVEAT_TASK | DIOS_CAVEAT_ONCE | DIOS_CAVEAT_RIGHTS);
}

static int check_revoke(const void *in)
{
	const struct dios_ioctl_text *t = in;
	return t->reserved == 0 && t->text_size <= DIOS_TOKEN_TEXT_MAX ? 0 : -EINVAL;
}

static int check_token_open(const void *in)
{
	const struct dios_ioctl_text *t = in;
	return t->text_size > 0 ? check_revoke(in) : -EINVAL;
}

static int check_run(const void *in)
{
	const struct dios_ioctl_run *r = in;
	size_t room = all_zero(r->buffer, sizeof(r->buffer)) ? sizeof(r->spec) : DIOS_SPEC_MAX;
	return r->reserved == 0 && r->spec_size <= room ? 0 : -EINVAL;
}

static int check_task(const void *in)
{
	const struct dios_ioctl_task *t = in;
	if (t->reserved)
		return -EINVAL;
	switch (t->action) {
	case DIOS_TASK_KILL: return t->argument > 0 && t->argument <= 64 ? 0 : -EINVAL;
	case DIOS_TASK_EXIT: return t->argument == 0 || t->argument == 1 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

/* offset UINT64_MAX is the handle's own position. */
static int check_acquire(const void *in)
{
	const struct dios_ioctl_acquire *a = in;
	if (a->reserved || a->size > INT64_MAX)
		return -EINVAL;
	return a->offset == UINT64_MAX || a->offset <= INT64_MAX - a->size ? 0 : -EINVAL;
}

static int check_commit_write(const void *in)
{
	const struct dios_ioctl_commit_write *c = in;
	if (all_zero(c->buffer, sizeof(c->buffer)) && c->size > sizeof(c->data))
		return -EINVAL;
	if ((c->flags & DIOS_AT_END) && (c->flags & (DIOS_FORCE | DIOS_TRUNCATE)))
		return -EINVAL;   /* they contradict one another */
	return c->size <= PRIVATE_BUFFER_MAX && c->offset <= INT64_MAX - c->size ? 0 : -EINVAL;
}

static int check_select(const void *in)
{
	const struct dios_ioctl_select *s = in;
	return s->set & ~(uint32_t)(DIOS_SELECT_VERSION | DIOS_SELECT_POSITION) ? -EINVAL : 0;
}

static int check_stream(const void *in)
{
	const struct dios_ioctl_stream *s = in;
	uint32_t known = DIOS_SET_LIMIT | DIOS_SET_TRIM_BYTES | DIOS_SET_TRIM_AGE | DIOS_SET_TRIM_CONSUMED | DIOS_SET_MODE | DIOS_SET_POSITION;
	return !(s->set & ~known) && s->mode <= DIOS_CONSUME && s->trim_consumed <= 1 && s->trim_age_ns >= 0 && !s->reserved ? 0 : -EINVAL;
}

static int check_produced(const void *in)
{
	const struct dios_ioctl_produced *p = in;
	return p->reserved == 0 && (p->produced == DIOS_PRODUCED_YES || p->produced == DIOS_PRODUCED_FAILED) ? 0 : -EINVAL;
}

static int check_buffer(const void *in)
{
	const struct dios_ioctl_buffer *b = in;
	if (b->reserved)
		return -EINVAL;
	switch (b->action) {
	case DIOS_BUFFER_NEW: return b->size > 0 ? 0 : -EINVAL;
	case DIOS_BUFFER_FREE: return b->size == 0 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

#define CREATE_FLAGS (DIOS_LOCAL | DIOS_EXISTING | DIOS_MEMORY | DIOS_UNPRODUCED | DIOS_DIRECT | DIOS_END_ON_CLOSE)
#define COMMIT_FLAGS (DIOS_FORCE | DIOS_AT_END | DIOS_DISCARD | DIOS_RELAXED | DIOS_TRUNCATE | DIOS_NOWAIT)

static const struct { unsigned command; uint32_t flags; int (*check)(const void *in); } commands[] = {
	[_IOC_NR(DIOS_IOC_CREATE)] = { DIOS_IOC_CREATE, CREATE_FLAGS, check_create },
	[_IOC_NR(DIOS_IOC_LOOKUP)] = { DIOS_IOC_LOOKUP, 0, check_lookup },
	[_IOC_NR(DIOS_IOC_TOKEN_MINT)] = { DIOS_IOC_TOKEN_MINT, 0, check_mint },
	[_IOC_NR(DIOS_IOC_DELETE)] = { DIOS_IOC_DELETE, 0, check_plain },
	[_IOC_NR(DIOS_IOC_RUN)] = { DIOS_IOC_RUN, DIOS_PURE | DIOS_RESTART, check_run },
	[_IOC_NR(DIOS_IOC_PAUSE)] = { DIOS_IOC_PAUSE, DIOS_RESUME, check_plain },
	[_IOC_NR(DIOS_IOC_ACQUIRE_READ)] = { DIOS_IOC_ACQUIRE_READ, DIOS_PIN | DIOS_RECORD | DIOS_NOWAIT, check_acquire },
	[_IOC_NR(DIOS_IOC_COMMIT_READ)] = { DIOS_IOC_COMMIT_READ, DIOS_DISCARD, check_nothing },
	[_IOC_NR(DIOS_IOC_ACQUIRE_WRITE)] = { DIOS_IOC_ACQUIRE_WRITE, DIOS_NOWAIT, check_acquire },
	[_IOC_NR(DIOS_IOC_COMMIT_WRITE)] = { DIOS_IOC_COMMIT_WRITE, COMMIT_FLAGS, check_commit_write },
	[_IOC_NR(DIOS_IOC_SELECT)] = { DIOS_IOC_SELECT, 0, check_select },
	[_IOC_NR(DIOS_IOC_INFO)] = { DIOS_IOC_INFO, 0, check_nothing },
	[_IOC_NR(DIOS_IOC_NAME)] = { DIOS_IOC_NAME, 0, check_name },
	[_IOC_NR(DIOS_IOC_CLONE)] = { DIOS_IOC_CLONE, CREATE_FLAGS & ~(DIOS_EXISTING | DIOS_UNPRODUCED), check_clone },
	[_IOC_NR(DIOS_IOC_MAKE_LOCAL)] = { DIOS_IOC_MAKE_LOCAL, 0, check_plain },
	[_IOC_NR(DIOS_IOC_TOKEN_NARROW)] = { DIOS_IOC_TOKEN_NARROW, 0, check_narrow },
	[_IOC_NR(DIOS_IOC_TOKEN_REVOKE)] = { DIOS_IOC_TOKEN_REVOKE, 0, check_revoke },
	[_IOC_NR(DIOS_IOC_TOKEN_OPEN)] = { DIOS_IOC_TOKEN_OPEN, 0, check_token_open },
	[_IOC_NR(DIOS_IOC_STREAM_END)] = { DIOS_IOC_STREAM_END, 0, check_plain },
	[_IOC_NR(DIOS_IOC_STREAM_CONFIGURE)] = { DIOS_IOC_STREAM_CONFIGURE, 0, check_stream },
	[_IOC_NR(DIOS_IOC_SET_PRODUCED)] = { DIOS_IOC_SET_PRODUCED, 0, check_produced },
	[_IOC_NR(DIOS_IOC_TASK_CONTROL)] = { DIOS_IOC_TASK_CONTROL, 0, check_task },
	[_IOC_NR(DIOS_IOC_BUFFER)] = { DIOS_IOC_BUFFER, 0, check_buffer },
};
_Static_assert(sizeof(commands) / sizeof(commands[0]) == DIOS_IOC_COUNT + 1, "each number has a line");

/* A struct that was cut behind the data that it has, or has room for. All of that lies inside, so that no handler needs to know. */
static bool short_good(unsigned command, const void *in)
{
	const struct dios_ioctl_acquire *a = in;
	const struct dios_ioctl_commit_write *c = in;
	size_t size = _IOC_SIZE(command), head = size;
	uint64_t bytes = 0;

	switch (_IOC_NR(command)) {
	case _IOC_NR(DIOS_IOC_ACQUIRE_READ):
	case _IOC_NR(DIOS_IOC_ACQUIRE_WRITE):
		head = offsetof(struct dios_ioctl_acquire, data);
		bytes = size >= head ? a->size : 0;
		break;
	case _IOC_NR(DIOS_IOC_COMMIT_WRITE):
		head = offsetof(struct dios_ioctl_commit_write, data);
		bytes = size >= head && all_zero(c->buffer, sizeof(c->buffer)) ? c->size : 0;
		break;
	default:
		return false;
	}
	return size >= head && size % 8 == 0 && bytes <= size - head;
}

static bool command_good(unsigned command, const void *in)
{
	unsigned whole = commands[_IOC_NR(command)].command, size = _IOC_SIZE(command), mask = _IOC_SIZEMASK << _IOC_SIZESHIFT;

	return command == whole || ((command & ~mask) == (whole & ~mask) && size < _IOC_SIZE(whole) && short_good(command, in));
}

int ioctl_check(unsigned command, const void *in, size_t in_size)
{
	const uint32_t *head = in;   /* every struct begins with version and flags */
	unsigned number = _IOC_NR(command);

	if (_IOC_TYPE(command) != 'd' || number == 0 || number > DIOS_IOC_COUNT)
		return -ENOTTY;
	if (in_size != _IOC_SIZE(command) || !command_good(command, in))
		return -EINVAL;
	if (head[0] != DIOS_ABI_VERSION || (head[1] & ~commands[number].flags))
		return -EINVAL;
	return commands[number].check(in);
}
