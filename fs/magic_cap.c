/* .dios/cap: look-ups of tokens. Each has its own node id (an index into the table in shared memory, and its generation), the object's
 * st_ino, the mode of its rights, and direct I/O: OPEN carries only the node id, so with a shared one either the token
 * would be refused or the file would be open to everybody. The same text looked up again is the same node while the kernel remembers it.
 *
 * What a token gives is decided again at every open, not here. Counts: `lookups` are the kernel's, taken back by FORGET; the entry is free when
 * they reach 0. When the table fills up, the kernel is told to forget names that nobody has open. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/counter.h"
#include "fs/invalidate.h"
#include "fs/magic_parts.h"
#include "fs/open.h"

#define BUCKETS 16384u
#define NONE UINT32_MAX
#define CROWDED (TOKEN_COUNT / 4 * 3)
#define SWEEP 256u                               /* entries looked at for each look-up in a crowded table */
#define ALIASES_MAX 1024u
#define ALIAS_PREFIX "alias-"
#define ALIAS_LIFE_NS (60 * NS_PER_SECOND)

struct alias { uint8_t id[16]; uint32_t uid; int64_t until_ns; size_t size; char text[TOKEN_TEXT_MAX]; };

struct tokens {
	struct fs *fs;
	struct lock lock;                        /* guards all of this and the entries' use */
	uint32_t bucket[BUCKETS];                /* the first entry, or NONE */
	uint32_t next[TOKEN_COUNT];
	uint32_t free_count, used_count, hand;
	uint32_t free_list[TOKEN_COUNT];
	struct alias *aliases;                   /* ALIASES_MAX, the oldest replaced first */
	uint32_t alias_at;
};

GAUGE(nodes, "dios_fs_token_nodes", "token look-ups that the kernel remembers");

static uint32_t hash(const char *text, size_t size)
{
	uint32_t h = 2166136261u;                /* FNV-1a: the tail is a MAC, so the spread is good; a chain of forged ones needs valid tokens */

	for (size_t i = 0; i < size; i++)
		h = (h ^ (uint8_t)text[i]) * 16777619u;
	return h % BUCKETS;
}

static void link_entry(struct tokens *t, uint32_t index)
{
	const struct token_entry *e = &t->fs->region->tokens[index];
	uint32_t b = hash(e->text, e->text_size);

	t->next[index] = t->bucket[b];
	t->bucket[b] = index;
	t->used_count++;
}

int tokens_new(struct fs *fs, struct tokens **ret_tokens)
{
	struct tokens *t = calloc(1, sizeof(*t));

	if (t)
		t->aliases = calloc(ALIASES_MAX, sizeof(*t->aliases));
	if (!t || !t->aliases) {
		free(t);
		return -ENOMEM;
	}
	t->fs = fs;
	lock_init(&t->lock, "fs.tokens", LOCK_SESSION);
	memset(t->bucket, 0xff, sizeof(t->bucket));
	for (uint32_t i = fs->region->header->tokens_touched; i-- > 0; ) {
		if (fs->region->tokens[i].used)
			link_entry(t, i);
		else
			t->free_list[t->free_count++] = i;
	}
	*ret_tokens = t;
	return 0;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	explicit_bzero(t->aliases, ALIASES_MAX * sizeof(*t->aliases));
	free(t->aliases);
	lock_done(&t->lock);
	free(t);
}

/* ---- the table (its lock is held) ---- */

static uint64_t node_of(struct tokens *t, uint32_t index)
{
	return magic_node(MAGIC_CLASS_TOKEN, (uint64_t)(t->fs->region->tokens[index].generation & 0x7ffffff) << 16 | index);
}

static struct token_entry *entry_of(struct tokens *t, uint64_t node)
{
	uint32_t index = node & 0xffff;
	struct token_entry *e = &t->fs->region->tokens[index];

	return e->used && node_of(t, index) == node ? e : NULL;
}

static uint32_t find_text(struct tokens *t, const char *text, size_t size)
{
	for (uint32_t i = t->bucket[hash(text, size)]; i != NONE; i = t->next[i]) {
		const struct token_entry *e = &t->fs->region->tokens[i];
		if (e->text_size == size && memcmp(e->text, text, size) == 0)
			return i;
	}
	return NONE;
}

static void free_entry(struct tokens *t, uint32_t index)
{
	struct token_entry *e = &t->fs->region->tokens[index];
	uint32_t *at = &t->bucket[hash(e->text, e->text_size)];

	while (*at != index)
		at = &t->next[*at];
	*at = t->next[index];
	atomic_store(&e->used, 0);
	explicit_bzero(e->text, sizeof(e->text));
	e->generation++;
	t->free_list[t->free_count++] = index;
	t->used_count--;
	counter_add(&nodes, -1);
}

/* Asks the kernel to forget some names; their FORGETs free the entries. */
static void sweep(struct tokens *t)
{
	uint32_t touched = t->fs->region->header->tokens_touched;

	for (uint32_t n = 0; n < SWEEP; n++) {
		t->hand = t->hand + 1 < touched ? t->hand + 1 : 0;
		const struct token_entry *e = &t->fs->region->tokens[t->hand];
		if (e->used && e->text_size <= NAME_MAX_BYTES)
			invalidate_entry(t->fs, INO_LOCAL_BIT | FIXED_CAP, e->text, e->text_size);
	}
}

static int take_entry(struct tokens *t, const char *text, size_t size, uint64_t ino, uint32_t rights, uint32_t *ret_index)
{
	struct region_header *header = t->fs->region->header;
	uint32_t index;

	if (t->free_count > 0)
		index = t->free_list[--t->free_count];
	else if (header->tokens_touched < TOKEN_COUNT)
		index = header->tokens_touched++;
	else
		return -ENFILE;
	struct token_entry *e = &t->fs->region->tokens[index];
	e->lookups = 0;
	e->opens = 0;
	e->ino = ino;
	e->rights = rights;
	e->text_size = (uint32_t)size;
	memcpy(e->text, text, size);
	e->text[size] = '\0';
	atomic_store(&e->used, 1);
	link_entry(t, index);
	counter_add(&nodes, 1);
	*ret_index = index;
	return 0;
}

/* ---- aliases ---- */

static int alias_parse(const char *text, uint8_t id[16])
{
	const char *hex = text + sizeof(ALIAS_PREFIX) - 1;

	if (strncmp(text, ALIAS_PREFIX, sizeof(ALIAS_PREFIX) - 1) != 0 || strlen(hex) != 32 || strspn(hex, "0123456789abcdef") != 32)
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
		id[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

/* text is replaced by the token's, if it is an alias of the caller's. */
static int alias_resolve(struct tokens *t, uint32_t uid, const char *text, char *token, size_t *ret_size)
{
	int64_t now = clock_boot_ns(&clock_system);
	uint8_t id[16];

	if (alias_parse(text, id) < 0)
		return -ENOENT;
	LOCK_GUARD(&t->lock);
	for (uint32_t i = 0; i < ALIASES_MAX; i++) {
		const struct alias *a = &t->aliases[i];
		if (a->size == 0 || a->uid != uid || memcmp(a->id, id, sizeof(id)) != 0 || a->until_ns < now)
			continue;
		memcpy(token, a->text, a->size);
		*ret_size = a->size;
		return 0;
	}
	return -EACCES;
}

int magic_token_alias(struct fs *fs, const struct caller *caller, const char *token, size_t size, char *alias)
{
	struct tokens *t = fs->magic->tokens;
	uint8_t id[16];

	if (size == 0 || size > TOKEN_TEXT_MAX)
		return -EINVAL;
	random_fill(&random_system, id, sizeof(id));
	memcpy(alias, ALIAS_PREFIX, sizeof(ALIAS_PREFIX));
	for (int i = 0; i < 16; i++)
		snprintf(alias + sizeof(ALIAS_PREFIX) - 1 + 2 * i, 3, "%02x", id[i]);
	LOCK_GUARD(&t->lock);
	struct alias *a = &t->aliases[t->alias_at++ % ALIASES_MAX];
	a->uid = caller->uid;
	a->until_ns = clock_boot_ns(&clock_system) + ALIAS_LIFE_NS;
	a->size = size;
	memcpy(a->id, id, sizeof(id));
	memcpy(a->text, token, size);
	return 0;
}

/* ---- operations ---- */

static mode_t mode_of(uint32_t rights)
{
	return S_IFREG | (rights & RIGHT_READ ? 0444 : 0) | (rights & (RIGHT_WRITE | RIGHT_APPEND) ? 0222 : 0) |
		(rights & RIGHT_EXECUTE ? 0111 : 0);
}

static void token_attr(const struct attributes *a, uint32_t rights, struct stat *st)
{
	attr_fill(&a->record, st);
	st->st_mode = mode_of(rights);
}

static int token_node(struct tokens *t, const char *text, size_t size, uint64_t ino, uint32_t rights, uint64_t *ret_node)
{
	int r = 0;

	LOCK_GUARD(&t->lock);
	uint32_t index = find_text(t, text, size);
	if (index == NONE)
		r = take_entry(t, text, size, ino, rights, &index);
	if (t->used_count > CROWDED)
		sweep(t);
	if (r < 0)
		return r;
	t->fs->region->tokens[index].lookups++;
	*ret_node = node_of(t, index);
	return 0;
}

void token_lookup(fuse_req_t req, const char *text)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry = { 0 };
	char token[TOKEN_TEXT_MAX];
	size_t size = strlen(text);
	struct token_grant grant;
	struct attributes a;
	struct caller caller;
	struct name task_name;
	uint64_t ino;

	fs_caller(req, &caller, &task_name);
	int r = alias_resolve(fs->magic->tokens, caller.uid, text, token, &size);
	if (r == 0)
		text = token;
	if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = capability_verify(fs->objects, text, size, &caller, &ino, &grant);
	/* A name that nobody knows says nothing about what exists. */
	if (r == -ENOENT)
		r = -EACCES;
	if (r == 0)
		r = object_get(fs->objects, ino, &a);
	if (r == 0 && a.record.kind == KIND_DIRECTORY)
		r = -EACCES;
	if (r == 0)
		r = token_node(fs->magic->tokens, text, size, ino, grant.rights, &entry.ino);
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	token_attr(&a, grant.rights, &entry.attr);
	uint64_t node = entry.ino;
	if (fuse_reply_entry(req, &entry) < 0)
		token_forget(fs, node, 1);       /* the kernel did not take it */
}

void token_forget(struct fs *fs, uint64_t node, uint64_t count)
{
	struct tokens *t = fs->magic->tokens;

	LOCK_GUARD(&t->lock);
	struct token_entry *e = entry_of(t, node);
	if (!e)
		return;
	e->lookups = e->lookups > count ? e->lookups - count : 0;
	if (e->lookups == 0)
		free_entry(t, node & 0xffff);
}

struct token_entry *token_find(struct fs *fs, uint64_t node)
{
	struct tokens *t = fs->magic->tokens;

	LOCK_GUARD(&t->lock);
	return entry_of(t, node);
}

void token_getattr(fuse_req_t req, uint64_t node)
{
	struct fs *fs = fs_of(req);
	const struct token_entry *e = token_find(fs, node);
	struct attributes a;
	struct stat st;
	int r = e ? object_get(fs->objects, e->ino, &a) : -ESTALE;

	if (r < 0) {
		reply_error(req, r);
		return;
	}
	token_attr(&a, e->rights, &st);
	fuse_reply_attr(req, &st, 0);
}

static void reply_truncated(void *arg, fuse_req_t req)
{
	fuse_reply_attr(req, arg, 0);
	free(arg);
}

/* truncate(2) only: a token opens an object, it does not own it. */
void token_setattr(fuse_req_t req, uint64_t node, struct stat *st, int to_set)
{
	struct attribute_change change = { .mask = SET_SIZE, .size = (uint64_t)st->st_size };
	struct fs *fs = fs_of(req);
	const struct token_entry *e = token_find(fs, node);
	struct reference_options options = { .rights = RIGHT_WRITE };
	struct token_grant grant;
	struct caller caller;
	struct name task_name;
	struct reference *reference;
	struct attributes a;
	uint64_t ino;

	if (!(to_set & FUSE_SET_ATTR_SIZE) || (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))) {
		reply_error(req, EPERM);
		return;
	}
	fs_caller(req, &caller, &task_name);
	int r = e ? capability_verify(fs->objects, e->text, e->text_size, &caller, &ino, &grant) : -ESTALE;
	if (r == 0 && grant.ranged)
		r = -EACCES;
	if (r == 0)
		r = capability_open(fs->objects, ino, &grant, RIGHT_WRITE, &options, &reference);
	if (r == 0) {
		r = object_set(fs->objects, ino, &change, &a);
		reference_close(reference);
	}
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	invalidate_node(fs, ino, true);
	struct stat *answer = malloc(sizeof(*answer));
	if (!answer) {
		reply_error(req, ENOMEM);
		return;
	}
	token_attr(&a, e->rights, answer);
	invalidate_then(req, reply_truncated, answer);
}

void token_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct open_request o = { .node = node, .fi = *fi, .kill_privilege = request_kills_privilege() };

	o.token = token_find(fs, node);
	if (!o.token) {
		reply_error(req, ESTALE);
		return;
	}
	o.ino = o.token->ino;
	fs_caller(req, &o.caller, &o.task_name);
	open_object(req, &o);
}
