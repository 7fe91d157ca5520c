/* Hostile ioctl structs: from a struct that is good, one thing made wrong at a time. */
#include <errno.h>
#include <stdlib.h>

#include "fs/ioctl_calls.h"
#include "libdios/dios.h"
#include "tests/tap.h"

#define V DIOS_ABI_VERSION
#define ONES { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }

static const struct dios_ioctl_info info = { .version = V };
static const struct dios_ioctl_create blob = { .version = V, .kind = DIOS_BLOB, .mode = 0600 };
static const struct dios_ioctl_create placed = { .version = V, .kind = DIOS_BLOB, .mode = 0644, .entry_size = 3, .entry = "abc" };
static const struct dios_ioctl_create named = { .version = V, .kind = DIOS_BLOB, .name_kind = DIOS_NAME_STRING, .string_size = 4, .string = "text" };
static const struct dios_ioctl_create counted = { .version = V, .kind = DIOS_BLOB, .name_kind = DIOS_NAME_COUNTER, .counter = 7, .entry_size = 1, .entry = "x" };
static const struct dios_ioctl_create stream = { .version = V, .flags = DIOS_DIRECT | DIOS_END_ON_CLOSE, .kind = DIOS_STREAM, .limit_bytes = 4096,
	.trim_bytes = 1, .trim_age_ns = 1, .trim_consumed = 1 };
static const struct dios_ioctl_create cloned = { .version = V, .kind = DIOS_BLOB, .source = ONES };
static const struct dios_ioctl_lookup lookup = { .version = V };
static const struct dios_ioctl_name name = { .version = V, .string_size = 1, .string = "x" };
static const struct dios_ioctl_token mint = { .version = V, .rights = DIOS_READ, .caveats = DIOS_CAVEAT_RANGE | DIOS_CAVEAT_EXPIRY | DIOS_CAVEAT_NODE |
	DIOS_CAVEAT_TASK | DIOS_CAVEAT_ONCE, .offset = 5, .length = 10, .expiry_ns = 1, .node = 3, .task_id = ONES };
static const struct dios_ioctl_token bare = { .version = V };
static const struct dios_ioctl_token narrow = { .version = V, .rights = DIOS_READ, .caveats = DIOS_CAVEAT_RIGHTS, .text_size = 3, .text = "abc" };
static const struct dios_ioctl_text revoked = { .version = V };
static const struct dios_ioctl_text open_text = { .version = V, .text_size = 3, .text = "abc" };
static const struct dios_ioctl_plain plain = { .version = V };
static const struct dios_ioctl_run run = { .version = V, .flags = DIOS_PURE | DIOS_RESTART, .spec_size = 16 };
static const struct dios_ioctl_run run_long = { .version = V, .spec_size = DIOS_SPEC_MAX, .buffer = ONES };
static const struct dios_ioctl_task kill_task = { .version = V, .action = DIOS_TASK_KILL, .argument = 15 };
static const struct dios_ioctl_task exit_task = { .version = V, .action = DIOS_TASK_EXIT, .argument = 1 };
static const struct dios_ioctl_acquire acquire = { .version = V, .offset = 100, .size = 200 };
static const struct dios_ioctl_commit_read commit_read = { .version = V, .flags = DIOS_DISCARD, .object_version = 5, .buffer = ONES };
static const struct dios_ioctl_commit_write commit = { .version = V, .flags = DIOS_FORCE | DIOS_RELAXED | DIOS_TRUNCATE | DIOS_NOWAIT, .size = DIOS_INLINE_MAX };
static const struct dios_ioctl_commit_write commit_long = { .version = V, .size = PRIVATE_BUFFER_MAX, .buffer = ONES };
static const struct dios_ioctl_select selected = { .version = V, .set = DIOS_SELECT_VERSION | DIOS_SELECT_POSITION };
static const struct dios_ioctl_stream configure = { .version = V, .set = DIOS_SET_LIMIT | DIOS_SET_MODE | DIOS_SET_POSITION, .mode = DIOS_CONSUME };
static const struct dios_ioctl_produced produced = { .version = V, .produced = DIOS_PRODUCED_FAILED };
static const struct dios_ioctl_buffer buffer_new = { .version = V, .action = DIOS_BUFFER_NEW, .size = 1 };
static const struct dios_ioctl_buffer buffer_free = { .version = V, .action = DIOS_BUFFER_FREE, .buffer = ONES };

/* Each number's flags, whatever else must be true for them. */
#define CREATE_FLAGS (DIOS_LOCAL | DIOS_EXISTING | DIOS_MEMORY | DIOS_UNPRODUCED | DIOS_DIRECT | DIOS_END_ON_CLOSE)
#define COMMIT_FLAGS (DIOS_FORCE | DIOS_AT_END | DIOS_DISCARD | DIOS_RELAXED | DIOS_TRUNCATE | DIOS_NOWAIT)

struct good { unsigned command; const void *bytes; uint32_t flags; const char *what; };
static const struct good goods[] = {
	{ DIOS_IOC_INFO, &info, 0, "info" },
	{ DIOS_IOC_CREATE, &blob, CREATE_FLAGS, "create" },
	{ DIOS_IOC_CREATE, &placed, CREATE_FLAGS, "create in a directory" },
	{ DIOS_IOC_CREATE, &named, CREATE_FLAGS, "create from a string" },
	{ DIOS_IOC_CREATE, &counted, CREATE_FLAGS, "create from a counter, in a directory" },
	{ DIOS_IOC_CREATE, &stream, CREATE_FLAGS, "create a stream" },
	{ DIOS_IOC_CLONE, &cloned, DIOS_LOCAL | DIOS_MEMORY | DIOS_DIRECT | DIOS_END_ON_CLOSE, "clone" },
	{ DIOS_IOC_LOOKUP, &lookup, 0, "lookup" },
	{ DIOS_IOC_NAME, &name, 0, "name" },
	{ DIOS_IOC_TOKEN_MINT, &mint, 0, "mint with every caveat" },
	{ DIOS_IOC_TOKEN_MINT, &bare, 0, "mint without any" },
	{ DIOS_IOC_TOKEN_NARROW, &narrow, 0, "narrow" },
	{ DIOS_IOC_TOKEN_REVOKE, &revoked, 0, "revoke all" },
	{ DIOS_IOC_TOKEN_REVOKE, &open_text, 0, "revoke" },
	{ DIOS_IOC_TOKEN_OPEN, &open_text, 0, "open a token" },
	{ DIOS_IOC_DELETE, &plain, 0, "delete" },
	{ DIOS_IOC_MAKE_LOCAL, &plain, 0, "make local" },
	{ DIOS_IOC_STREAM_END, &plain, 0, "stream end" },
	{ DIOS_IOC_PAUSE, &plain, DIOS_RESUME, "pause" },
	{ DIOS_IOC_RUN, &run, DIOS_PURE | DIOS_RESTART, "run" },
	{ DIOS_IOC_RUN, &run_long, DIOS_PURE | DIOS_RESTART, "run with a long specification" },
	{ DIOS_IOC_TASK_CONTROL, &kill_task, 0, "kill" },
	{ DIOS_IOC_TASK_CONTROL, &exit_task, 0, "exit" },
	{ DIOS_IOC_ACQUIRE_READ, &acquire, DIOS_PIN | DIOS_RECORD | DIOS_NOWAIT, "acquire to read" },
	{ DIOS_IOC_ACQUIRE_WRITE, &acquire, DIOS_NOWAIT, "acquire to write" },
	{ DIOS_IOC_COMMIT_READ, &commit_read, DIOS_DISCARD, "commit a read" },
	{ DIOS_IOC_COMMIT_WRITE, &commit, COMMIT_FLAGS, "commit a write" },
	{ DIOS_IOC_COMMIT_WRITE, &commit_long, COMMIT_FLAGS, "commit a long write" },
	{ DIOS_IOC_SELECT, &selected, 0, "select" },
	{ DIOS_IOC_STREAM_CONFIGURE, &configure, 0, "configure a stream" },
	{ DIOS_IOC_SET_PRODUCED, &produced, 0, "set produced" },
	{ DIOS_IOC_BUFFER, &buffer_new, 0, "make a buffer" },
	{ DIOS_IOC_BUFFER, &buffer_free, 0, "free a buffer" },
};
#define GOODS (sizeof(goods) / sizeof(goods[0]))

/* A copy in a block of exactly its size, so that a sanitizer sees every byte read too many. */
static uint8_t *copy_of(const struct good *g)
{
	uint8_t *copy = malloc(_IOC_SIZE(g->command));
	if (!copy)
		abort();
	memcpy(copy, g->bytes, _IOC_SIZE(g->command));
	return copy;
}

static int checked(const struct good *g, uint8_t *copy, size_t size)
{
	int r = ioctl_check(g->command, copy, size);
	free(copy);
	return r;
}

static void poke32(uint8_t *bytes, size_t offset, uint32_t value) { memcpy(bytes + offset, &value, sizeof(value)); }

static void check_heads(const struct good *g)
{
	static const uint32_t versions[] = { 0, 2, 0xffffffff };
	size_t size = _IOC_SIZE(g->command);
	bool flags_right = true;
	uint8_t *copy;

	is_int(checked(g, copy_of(g), size), 0, "%s: taken", g->what);
	is_int(checked(g, copy_of(g), size - 1), -EINVAL, "%s: a byte short", g->what);
	for (size_t i = 0; i < 3; i++) {
		copy = copy_of(g);
		poke32(copy, 0, versions[i]);
		is_int(checked(g, copy, size), -EINVAL, "%s: version %u", g->what, versions[i]);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		copy = copy_of(g);
		poke32(copy, 4, 1u << bit);
		int r = checked(g, copy, size);
		/* A flag alone may be one that needs others, never one that is taken without being known. */
		if (r == 0 && !(g->flags & 1u << bit))
			flags_right = false;
	}
	ok(flags_right, "%s: no flag but its own", g->what);
}

/* One member changed. */
struct wrong { unsigned command; const void *bytes; size_t offset, size; uint64_t value; const char *what; };
#define WRONG(command, good, member, value) { command, &good, offsetof(__typeof__(good), member), sizeof(good.member), value, #command " " #good "." #member " = " #value }
static const struct wrong wrongs[] = {
	WRONG(DIOS_IOC_CREATE, blob, kind, 0), WRONG(DIOS_IOC_CREATE, blob, kind, DIOS_TASK), WRONG(DIOS_IOC_CREATE, blob, kind, 4),
	WRONG(DIOS_IOC_CREATE, blob, name_kind, 3), WRONG(DIOS_IOC_CREATE, blob, name_kind, DIOS_NAME_STRING), WRONG(DIOS_IOC_CREATE, blob, lifecycle, 3),
	WRONG(DIOS_IOC_CREATE, blob, read_consistency, 4), WRONG(DIOS_IOC_CREATE, blob, write_consistency, 0xffffffff), WRONG(DIOS_IOC_CREATE, blob, mode, 010000),
	WRONG(DIOS_IOC_CREATE, blob, trim_consumed, 1), WRONG(DIOS_IOC_CREATE, blob, limit_bytes, 1), WRONG(DIOS_IOC_CREATE, blob, trim_age_ns, 1),
	WRONG(DIOS_IOC_CREATE, blob, replicas, 65), WRONG(DIOS_IOC_CREATE, blob, counter, 1), WRONG(DIOS_IOC_CREATE, blob, string_size, 1),
	WRONG(DIOS_IOC_CREATE, blob, reserved[3], 1), WRONG(DIOS_IOC_CREATE, blob, source[15], 1), WRONG(DIOS_IOC_CREATE, blob, parent[0], 1),
	WRONG(DIOS_IOC_CREATE, blob, flags, DIOS_DIRECT), WRONG(DIOS_IOC_CREATE, stream, flags, DIOS_UNPRODUCED),
	WRONG(DIOS_IOC_CREATE, placed, entry_size, 256), WRONG(DIOS_IOC_CREATE, placed, entry_size, 0xffffffff), WRONG(DIOS_IOC_CREATE, placed, entry_size, 4),
	WRONG(DIOS_IOC_CREATE, placed, entry[1], '/'), WRONG(DIOS_IOC_CREATE, placed, entry[0], 0),
	WRONG(DIOS_IOC_CREATE, counted, entry[0], '.'), WRONG(DIOS_IOC_CREATE, named, string_size, 0), WRONG(DIOS_IOC_CREATE, named, string_size, 1024),
	WRONG(DIOS_IOC_CREATE, named, string_size, 0xffffffff), WRONG(DIOS_IOC_CREATE, named, entry_size, 4),
	WRONG(DIOS_IOC_CREATE, stream, trim_consumed, 2), WRONG(DIOS_IOC_CREATE, stream, trim_age_ns, UINT64_MAX),
	WRONG(DIOS_IOC_CLONE, cloned, kind, DIOS_STREAM), WRONG(DIOS_IOC_CLONE, cloned, flags, DIOS_EXISTING), WRONG(DIOS_IOC_CLONE, blob, mode, 0600),
	WRONG(DIOS_IOC_LOOKUP, lookup, first, 65), WRONG(DIOS_IOC_LOOKUP, lookup, bind, 0xffffffff),
	WRONG(DIOS_IOC_NAME, name, string_size, 0), WRONG(DIOS_IOC_NAME, name, string_size, 1024), WRONG(DIOS_IOC_NAME, name, reserved, 1),
	WRONG(DIOS_IOC_TOKEN_MINT, mint, rights, 64), WRONG(DIOS_IOC_TOKEN_MINT, mint, caveats, 64), WRONG(DIOS_IOC_TOKEN_MINT, mint, caveats, DIOS_CAVEAT_RIGHTS),
	WRONG(DIOS_IOC_TOKEN_MINT, mint, length, 0), WRONG(DIOS_IOC_TOKEN_MINT, mint, length, UINT64_MAX), WRONG(DIOS_IOC_TOKEN_MINT, mint, offset, UINT64_MAX),
	WRONG(DIOS_IOC_TOKEN_MINT, mint, expiry_ns, UINT64_MAX), WRONG(DIOS_IOC_TOKEN_MINT, mint, task_name[0], 1), WRONG(DIOS_IOC_TOKEN_MINT, mint, caveats, 0),
	WRONG(DIOS_IOC_TOKEN_MINT, mint, reserved, 1), WRONG(DIOS_IOC_TOKEN_MINT, bare, caveats, DIOS_CAVEAT_TASK), WRONG(DIOS_IOC_TOKEN_MINT, bare, node, 1),
	WRONG(DIOS_IOC_TOKEN_NARROW, narrow, text_size, 0), WRONG(DIOS_IOC_TOKEN_NARROW, narrow, text_size, 1001), WRONG(DIOS_IOC_TOKEN_NARROW, narrow, text_size, 0x80000000),
	WRONG(DIOS_IOC_TOKEN_NARROW, narrow, rights, 0), WRONG(DIOS_IOC_TOKEN_NARROW, narrow, caveats, 0),
	WRONG(DIOS_IOC_TOKEN_REVOKE, revoked, text_size, 1001), WRONG(DIOS_IOC_TOKEN_REVOKE, revoked, reserved, 1), WRONG(DIOS_IOC_TOKEN_OPEN, revoked, text_size, 0),
	WRONG(DIOS_IOC_TOKEN_OPEN, open_text, text_size, 0xffffffff), WRONG(DIOS_IOC_DELETE, plain, reserved, 1), WRONG(DIOS_IOC_PAUSE, plain, reserved, 1),
	WRONG(DIOS_IOC_RUN, run, spec_size, DIOS_INLINE_MAX + 1), WRONG(DIOS_IOC_RUN, run, reserved, 1), WRONG(DIOS_IOC_RUN, run_long, spec_size, DIOS_SPEC_MAX + 1),
	WRONG(DIOS_IOC_TASK_CONTROL, kill_task, action, 0), WRONG(DIOS_IOC_TASK_CONTROL, kill_task, action, 3), WRONG(DIOS_IOC_TASK_CONTROL, kill_task, argument, 0),
	WRONG(DIOS_IOC_TASK_CONTROL, kill_task, argument, 65), WRONG(DIOS_IOC_TASK_CONTROL, kill_task, argument, 0xffffffff),
	WRONG(DIOS_IOC_TASK_CONTROL, exit_task, argument, 2), WRONG(DIOS_IOC_TASK_CONTROL, exit_task, reserved, 1),
	WRONG(DIOS_IOC_ACQUIRE_READ, acquire, size, UINT64_MAX), WRONG(DIOS_IOC_ACQUIRE_READ, acquire, size, INT64_MAX), WRONG(DIOS_IOC_ACQUIRE_READ, acquire, reserved, 1),
	WRONG(DIOS_IOC_ACQUIRE_READ, acquire, offset, UINT64_MAX - 1), WRONG(DIOS_IOC_ACQUIRE_WRITE, acquire, offset, INT64_MAX),
	WRONG(DIOS_IOC_COMMIT_WRITE, commit, size, DIOS_INLINE_MAX + 1), WRONG(DIOS_IOC_COMMIT_WRITE, commit, size, UINT64_MAX),
	WRONG(DIOS_IOC_COMMIT_WRITE, commit, offset, UINT64_MAX), WRONG(DIOS_IOC_COMMIT_WRITE, commit, flags, DIOS_AT_END | DIOS_FORCE),
	WRONG(DIOS_IOC_COMMIT_WRITE, commit, flags, DIOS_AT_END | DIOS_TRUNCATE), WRONG(DIOS_IOC_COMMIT_WRITE, commit_long, size, PRIVATE_BUFFER_MAX + 1),
	WRONG(DIOS_IOC_SELECT, selected, set, 4), WRONG(DIOS_IOC_STREAM_CONFIGURE, configure, set, 64), WRONG(DIOS_IOC_STREAM_CONFIGURE, configure, mode, 2),
	WRONG(DIOS_IOC_STREAM_CONFIGURE, configure, trim_consumed, 2), WRONG(DIOS_IOC_STREAM_CONFIGURE, configure, trim_age_ns, UINT64_MAX),
	WRONG(DIOS_IOC_STREAM_CONFIGURE, configure, reserved, 1), WRONG(DIOS_IOC_SET_PRODUCED, produced, produced, DIOS_PRODUCED_NOT_YET),
	WRONG(DIOS_IOC_SET_PRODUCED, produced, produced, 3), WRONG(DIOS_IOC_SET_PRODUCED, produced, reserved, 1),
	WRONG(DIOS_IOC_BUFFER, buffer_new, size, 0), WRONG(DIOS_IOC_BUFFER, buffer_new, action, 0), WRONG(DIOS_IOC_BUFFER, buffer_free, size, 1),
	WRONG(DIOS_IOC_BUFFER, buffer_free, action, 3), WRONG(DIOS_IOC_BUFFER, buffer_new, reserved, 1),
};

static void check_wrong(const struct wrong *w)
{
	uint8_t *copy = copy_of(&(struct good){ .command = w->command, .bytes = w->bytes });
	memcpy(copy + w->offset, &w->value, w->size);   /* little endian: the low bytes */
	is_int(checked(&(struct good){ .command = w->command }, copy, _IOC_SIZE(w->command)), -EINVAL, "%s", w->what);
}

static void check_numbers(void)
{
	struct dios_ioctl_plain p = { .version = V };

	is_int(ioctl_check(0, &p, sizeof(p)), -ENOTTY, "number 0");
	is_int(ioctl_check(_IOWR('d', 0, struct dios_ioctl_plain), &p, sizeof(p)), -ENOTTY, "'d' 0");
	is_int(ioctl_check(_IOWR('d', DIOS_IOC_COUNT + 1, struct dios_ioctl_plain), &p, sizeof(p)), -ENOTTY, "one past the last number");
	is_int(ioctl_check(_IOWR('d', 255, struct dios_ioctl_plain), &p, sizeof(p)), -ENOTTY, "'d' 255");
	is_int(ioctl_check(_IOWR('e', 4, struct dios_ioctl_plain), &p, sizeof(p)), -ENOTTY, "another letter");
	is_int(ioctl_check(_IOW('d', 4, struct dios_ioctl_plain), &p, sizeof(p)), -EINVAL, "another direction");
	is_int(ioctl_check(_IOWR('d', 4, struct dios_ioctl_info), &p, sizeof(p)), -EINVAL, "another size");
	is_int(ioctl_check(DIOS_IOC_DELETE, &p, 0), -EINVAL, "no bytes");
}

/* The three that move bytes may be cut behind them; what is not cut right is refused, and nothing behind the cut is looked at. */
static void check_short(void)
{
	struct dios_ioctl_acquire a = { .version = V, .size = 13 };
	struct dios_ioctl_commit_write w = { .version = V, .size = 13 }, by_buffer = { .version = V, .size = PRIVATE_BUFFER_MAX, .buffer = ONES };
	size_t head = offsetof(struct dios_ioctl_acquire, data), write_head = offsetof(struct dios_ioctl_commit_write, data);
	struct dios_ioctl_plain p = { .version = V };

	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_ACQUIRE_READ, dios_ioctl_acquire, 13), &a, head + 16), 0, "a short acquire to read");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_ACQUIRE_WRITE, dios_ioctl_acquire, 13), &a, head + 16), 0, "to write");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_COMMIT_WRITE, dios_ioctl_commit_write, 13), &w, write_head + 16), 0, "a short commit");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_COMMIT_WRITE, dios_ioctl_commit_write, 0), &by_buffer, write_head), 0, "one of a private buffer");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_ACQUIRE_READ, dios_ioctl_acquire, 8), &a, head + 8), -EINVAL, "no room for what is asked for");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_ACQUIRE_WRITE, dios_ioctl_acquire, 0), &a, head), -EINVAL, "none at all");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_COMMIT_WRITE, dios_ioctl_commit_write, 8), &w, write_head + 8), -EINVAL, "less than is committed");
	is_int(ioctl_check(_IOC(_IOC_READ | _IOC_WRITE, 'd', 7, head + 13), &a, head + 13), -EINVAL, "an odd size");
	is_int(ioctl_check(_IOC(_IOC_READ | _IOC_WRITE, 'd', 7, head - 8), &a, head - 8), -EINVAL, "cut in the head");
	is_int(ioctl_check(_IOC(_IOC_READ | _IOC_WRITE, 'd', 7, sizeof(a) + 8), &a, sizeof(a) + 8), -EINVAL, "longer than the struct");
	is_int(ioctl_check(_IOC(_IOC_WRITE, 'd', 7, head + 16), &a, head + 16), -EINVAL, "another direction");
	is_int(ioctl_check(DIOS_IOC_SHORT(DIOS_IOC_ACQUIRE_READ, dios_ioctl_acquire, 13), &a, head + 8), -EINVAL, "fewer bytes than the number says");
	is_int(ioctl_check(_IOC(_IOC_READ | _IOC_WRITE, 'd', 4, 8), &p, 8), -EINVAL, "other structs are whole");
}

int main(void)
{
	for (size_t i = 0; i < GOODS; i++)
		check_heads(&goods[i]);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
		check_wrong(&wrongs[i]);
	check_numbers();
	check_short();
	return done_testing();
}
