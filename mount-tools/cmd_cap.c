/* dios cap: tokens, minted by the mount, narrowed and shown offline, revoked by the mount. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/config.h"
#include "caps/token.h"
#include "libdios/dios-util.h"
#include "mount-tools/cli_task.h"
#include "mount-tools/commands.h"
#include "mount-tools/text.h"

enum { CAP_READ = 'r', CAP_WRITE = 'w', CAP_APPEND = 'a', CAP_EXECUTE = 'x', CAP_EXPIRES = 'e',
	CAP_DELETE = 256, CAP_DELEGATE, CAP_RANGE, CAP_ONCE, CAP_NODE, CAP_TASK, CAP_ALL };

struct limits { uint32_t rights; int64_t expiry_ns; uint64_t offset, length, node; bool once; const char *task; };

/* "OFFSET:LENGTH", sizes. */
static int parse_range(struct cli *cli, const char *text, struct limits *l)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *first = colon ? strndup(text, (size_t)(colon - text)) : NULL;
	int64_t offset, length;

	if (!first || parse_size(first, &offset) < 0 || parse_size(colon + 1, &length) < 0 || length == 0)
		return cli_usage(cli, "--range: '%s' is not a range: expected OFFSET:LENGTH, as in 0:4K, with a length above 0", text);
	l->offset = (uint64_t)offset;
	l->length = (uint64_t)length;
	return 0;
}

static int read_limits(struct cli *cli, struct limits *l)
{
	static const struct { int id; uint32_t right; } rights[] = {
		{ CAP_READ, RIGHT_READ }, { CAP_WRITE, RIGHT_WRITE }, { CAP_APPEND, RIGHT_APPEND }, { CAP_EXECUTE, RIGHT_EXECUTE },
		{ CAP_DELETE, RIGHT_DELETE }, { CAP_DELEGATE, RIGHT_DELEGATE },
	};
	int64_t duration = 0;

	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (cli_has(cli, rights[i].id))
			l->rights |= rights[i].right;
	if (cli_duration(cli, CAP_EXPIRES, &duration) != 0 || cli_count_value(cli, CAP_NODE, 1, UINT64_MAX, &l->node) != 0)
		return EXIT_USAGE;
	if (cli_has(cli, CAP_EXPIRES) && duration == 0)
		return cli_usage(cli, "--expires: a token that expires at once is of no use");
	if (duration && __builtin_add_overflow(clock_wall_ns(&clock_system), duration, &l->expiry_ns))
		return cli_usage(cli, "--expires: '%s' is too far away", cli_value(cli, CAP_EXPIRES));
	if (cli_value(cli, CAP_RANGE) && parse_range(cli, cli_value(cli, CAP_RANGE), l) != 0)
		return EXIT_USAGE;
	l->once = cli_has(cli, CAP_ONCE);
	l->task = cli_value(cli, CAP_TASK);
	return 0;
}

static void print_token(struct cli *cli, const char *token)
{
	if (!cli->json) {
		printf("%s\n", token);
		return;
	}
	json_open_object(&cli->writer, NULL);
	json_string(&cli->writer, "token", token);
	json_close(&cli->writer);
}

/* ---- mint --------------------------------------------------------------------------------------------------------- */

/* A reference of any kind: the owner may mint what the mode does not let him do. */
static int open_to_mint(const char *path, dios_ref *ret_ref)
{
	static const int flags[] = { O_RDONLY, O_WRONLY | O_APPEND };
	int r = -EACCES;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int fd = open(path, flags[i] | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0) {
			*ret_ref = fd;
			return 0;
		}
		r = i == 0 || errno == EAGAIN ? -errno : r;
		if (errno != EACCES && errno != EAGAIN)
			break;
	}
	return r;
}

static int run_mint(struct cli *cli)
{
	const char *what = cli->argv[0];
	_cleanup_free_ char *path = NULL;
	struct dios_copy_options options = { 0 };
	struct limits l = { 0 };
	struct task task = { .ref = -1 };
	char token[DIOS_TOKEN_SIZE];
	dios_ref ref = -1;

	if (read_limits(cli, &l) != 0)
		return EXIT_USAGE;
	int status = cli_object_path(cli, what, &path);
	if (status == 0 && l.task) {
		const char *mount = cli_mount(cli, what);
		status = mount ? task_open(cli, mount, l.task, &task) : EXIT_FAILED;
	}
	if (status != 0)
		return status;
	options.rights = l.rights ? l.rights : DIOS_READ;
	options.offset = l.offset;
	options.length = l.length;
	options.expiry_ns = l.expiry_ns;
	options.once = l.once;
	options.node = l.node;
	options.task = l.task ? &task.ref : NULL;
	int r = open_to_mint(path, &ref);
	if (r == 0) {
		r = dios_copy(DIOS_TOKEN, ref, &options, NULL, token);
		dios_close(ref);
	}
	task_close(&task);
	if (r == -EACCES || r == -EPERM)
		return cli_fail_advised(cli, r, "only its owner, root, and who holds the right 'delegate' may", "cannot mint a token for %s", what);
	if (r < 0)
		return cli_object_failed(cli, r, "mint a token for", what);
	print_token(cli, token);
	return EXIT_OK;
}

#define CAVEAT_OPTIONS \
	{ CAP_EXPIRES, "expires", "DURATION", "valid no longer than from now until then, as in 90s, 1h, 7d (default: for ever)" }, \
	{ CAP_RANGE, "range", "OFFSET:LENGTH", "only these bytes" }, \
	{ CAP_ONCE, "once", NULL, "good for one opening" }, \
	{ CAP_NODE, "node", "ID", "only on this node" }, \
	{ CAP_TASK, "task", "TASK", "only in this task" }
#define RIGHT_OPTIONS \
	{ CAP_READ, "read", NULL, "the right to read" }, \
	{ CAP_WRITE, "write", NULL, "the right to write" }, \
	{ CAP_APPEND, "append", NULL, "the right to append" }, \
	{ CAP_EXECUTE, "execute", NULL, "the right to run it (with --read)" }, \
	{ CAP_DELETE, "delete", NULL, "the right to delete it" }, \
	{ CAP_DELEGATE, "delegate", NULL, "the right to mint from an opened token" }

static const struct cli_option mint_options[] = { RIGHT_OPTIONS, CAVEAT_OPTIONS, { 0 } };
const struct cli_command command_cap_mint = {
	.name = "cap mint", .arguments = "OBJECT", .summary = "print a token that opens an object with exactly these rights",
	.details = "OBJECT is a path in the mount, an object's name, or a token. Without a right: --read. Whoever has the token may open\n"
		".dios/cap/TOKEN, or make a symbolic link to it, and narrow it; nobody can widen it.",
	.options = mint_options, .arguments_min = 1, .arguments_max = 1, .run = run_mint,
};

/* ---- narrow, show: offline ---------------------------------------------------------------------------------------- */

static int read_token(struct cli *cli, struct token *token)
{
	if (token_from_text(cli->argv[0], strlen(cli->argv[0]), token) < 0)
		return cli_fail_advised(cli, -EINVAL, "expected the text that 'dios cap mint' printed, whole", "'%.60s%s' is not a token", cli->argv[0],
			strlen(cli->argv[0]) > 60 ? "..." : "");
	return 0;
}

static int add_caveat(struct cli *cli, struct token *token, const struct caveat *caveat, const char *option)
{
	int r = token_narrow(token, caveat);

	if (r == -E2BIG)
		return cli_fail(cli, 0, "--%s: the token has %d caveats, which is all it can hold", option, TOKEN_CAVEATS_MAX);
	if (r == -EINVAL)
		return cli_fail(cli, 0, "--%s: the token is limited to another one already, or the limit makes no sense", option);
	return r < 0 ? cli_fail(cli, r, "--%s", option) : 0;
}

static int add_caveats(struct cli *cli, const struct limits *l, struct token *token)
{
	struct caveat caveat;
	int status = 0;

	if (l->rights)
		status = add_caveat(cli, token, &(struct caveat){ .kind = CAVEAT_RIGHTS, .rights = l->rights }, "read, --write, ...");
	if (status == 0 && l->expiry_ns)
		status = add_caveat(cli, token, &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = l->expiry_ns }, "expires");
	if (status == 0 && l->length)
		status = add_caveat(cli, token, &(struct caveat){ .kind = CAVEAT_RANGE, .range = { l->offset, l->length } }, "range");
	if (status == 0 && l->node)
		status = add_caveat(cli, token, &(struct caveat){ .kind = CAVEAT_NODE, .node = l->node }, "node");
	if (status == 0 && l->task) {
		caveat = (struct caveat){ .kind = CAVEAT_TASK };
		if (name_from_text(l->task, strlen(l->task), &caveat.task) < 0)
			return cli_usage(cli, "--task: '%s' is not a name of 43 characters (narrowing asks no mount, so it can't be completed)", l->task);
		status = add_caveat(cli, token, &caveat, "task");
	}
	if (status == 0 && l->once) {
		caveat = (struct caveat){ .kind = CAVEAT_ONCE };
		random_fill(&random_system, caveat.once, sizeof(caveat.once));
		status = add_caveat(cli, token, &caveat, "once");
	}
	return status;
}

static int run_narrow(struct cli *cli)
{
	char text[TOKEN_TEXT_MAX + 1];
	struct limits l = { 0 };
	struct token token;
	size_t size;

	if (read_limits(cli, &l) != 0)
		return EXIT_USAGE;
	int status = read_token(cli, &token);
	if (status == 0)
		status = add_caveats(cli, &l, &token);
	if (status != 0)
		return status;
	int r = token_to_text(&token, text, sizeof(text), &size);
	if (r < 0)
		return cli_fail(cli, r, "the narrowed token has no text");
	print_token(cli, text);
	return EXIT_OK;
}

static const struct cli_option narrow_options[] = { RIGHT_OPTIONS, CAVEAT_OPTIONS, { 0 } };
const struct cli_command command_cap_narrow = {
	.name = "cap narrow", .arguments = "TOKEN", .summary = "print the token with less power; asks no mount",
	.details = "Rights given here are the only ones left, of those that the token has. TASK is a name of 43 characters.",
	.options = narrow_options, .arguments_min = 1, .arguments_max = 1, .no_mount = true, .run = run_narrow,
};

/* The text of a caveat's value: only well-formed tokens get here. */
static void caveat_text(const struct caveat *c, char kind[static 16], char value[static 96])
{
	char time[TEXT_TIME_MAX], name[NAME_TEXT_SIZE + 1], rights[64];

	switch (c->kind) {
	case CAVEAT_RIGHTS:
		rights_to_text(c->rights, rights);
		snprintf(kind, 16, "rights");
		snprintf(value, 96, "%s", rights);
		return;
	case CAVEAT_EXPIRY:
		text_time(c->expiry_ns, time);
		snprintf(kind, 16, "expires");
		snprintf(value, 96, "%s", time);
		return;
	case CAVEAT_RANGE:
		snprintf(kind, 16, "range");
		snprintf(value, 96, "%" PRIu64 ":%" PRIu64, c->range.offset, c->range.length);
		return;
	case CAVEAT_NODE:
		snprintf(kind, 16, "node");
		snprintf(value, 96, "%" PRIu64, c->node);
		return;
	case CAVEAT_TASK:
		name_to_text(&c->task, name);
		snprintf(kind, 16, "task");
		snprintf(value, 96, "%s", name);
		return;
	case CAVEAT_ONCE:
		snprintf(kind, 16, "once");
		snprintf(value, 96, "yes");
		return;
	}
	snprintf(kind, 16, "unknown");
	snprintf(value, 96, "kind %u: this version refuses the token", (unsigned int)c->kind);
}

/* What is left of the rights after the caveats. */
static uint32_t rights_left(const struct token *t)
{
	uint32_t rights = t->rights;

	for (size_t i = 0; i < t->caveat_count; i++)
		if (t->caveats[i].kind == CAVEAT_RIGHTS)
			rights &= t->caveats[i].rights;
	return rights;
}

static void show_json(struct json *j, const struct token *t, const char *name, const char *rights, const char *id)
{
	char kind[16], value[96];

	json_open_object(j, NULL);
	json_string(j, "name", name);
	json_string(j, "id", id);
	json_string(j, "rights", rights);
	json_uint(j, "key_id", t->key_id);
	json_uint(j, "epoch", t->epoch);
	json_open_array(j, "caveats");
	for (size_t i = 0; i < t->caveat_count; i++) {
		caveat_text(&t->caveats[i], kind, value);
		json_open_object(j, NULL);
		json_string(j, "kind", kind);
		json_string(j, "value", value);
		json_close(j);
	}
	json_close(j);
	json_bool(j, "verified", false);
	json_close(j);
}

static int run_show(struct cli *cli)
{
	char name[NAME_TEXT_SIZE + 1], rights[64], kind[16], value[96], id[2 * TOKEN_ID_SIZE + 1];
	struct token t;
	int status = read_token(cli, &t);

	if (status != 0)
		return status;
	name_to_text(&t.name, name);
	rights_to_text(rights_left(&t), rights);
	for (size_t i = 0; i < TOKEN_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", t.id[i]);
	if (cli->json) {
		show_json(&cli->writer, &t, name, rights, id);
		return EXIT_OK;
	}
	printf("%-10s%s\n%-10s%s\n%-10s%s\n%-10s%" PRIu32 ", epoch %" PRIu64 "\n", "object", name, "rights", rights, "id", id, "key", t.key_id, t.epoch);
	for (size_t i = 0; i < t.caveat_count; i++) {
		caveat_text(&t.caveats[i], kind, value);
		printf("%-10s%s\n", kind, value);
	}
	printf("This is what the token says; whether it holds, only the mount can tell.\n");
	return EXIT_OK;
}

const struct cli_command command_cap_show = {
	.name = "cap show", .arguments = "TOKEN", .summary = "print what a token says; asks no mount",
	.details = "It is not verified: anybody can write such a text, but only a mount's key makes it open anything.",
	.arguments_min = 1, .arguments_max = 1, .no_mount = true, .run = run_show,
};

/* ---- revoke ------------------------------------------------------------------------------------------------------- */

static int revoke_failed(struct cli *cli, int error, const char *what)
{
	if (error == -EACCES || error == -EPERM)
		return cli_fail_advised(cli, error, "only the object's owner and root may", "cannot revoke %s", what);
	return cli_object_failed(cli, error, "revoke", what);
}

static int run_revoke(struct cli *cli)
{
	_cleanup_free_ char *path = NULL;
	struct token token;
	dios_ref ref = -1;
	int status, r;

	if (!cli_has(cli, CAP_ALL)) {
		status = read_token(cli, &token);
		if (status != 0)
			return status;
		if (!cli_mount(cli, NULL))
			return EXIT_FAILED;
		r = dios_revoke(cli->argv[0]);
		if (r < 0)
			return revoke_failed(cli, r, "the token");
	} else {
		status = cli_object_path(cli, cli->argv[0], &path);
		if (status != 0)
			return status;
		r = open_to_mint(path, &ref);
		if (r == 0) {
			r = dios_revoke_all(ref);
			dios_close(ref);
		}
		if (r < 0)
			return revoke_failed(cli, r, cli->argv[0]);
	}
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_bool(&cli->writer, "revoked", true);
		json_close(&cli->writer);
	}
	return EXIT_OK;
}

static const struct cli_option revoke_options[] = {
	{ CAP_ALL, "all", NULL, "every token of the object that the argument names" },
	{ 0 },
};
const struct cli_command command_cap_revoke = {
	.name = "cap revoke", .arguments = "TOKEN|OBJECT", .summary = "make a token open nothing any more",
	.details = "With it go all tokens that were narrowed from it. What was opened before stays open.",
	.options = revoke_options, .arguments_min = 1, .arguments_max = 1, .run = run_revoke,
};
