/* See state_peek.h. Everything here only reads. */
#include "cluster/state_peek.h"

#include <string.h>

#include "caps/keys.h"
#include "cluster/state_keys.h"
#include "store/why.h"

#define SEALED_MAX 4096u   /* bytes of a sealed key, far above what it has */
#define SHARD_FIRST 0u   /* the one shard there is so far */

int state_peek_position(struct kv *kv, uint64_t *ret_index, uint64_t *ret_term)
{
	struct state *s;
	int r = state_open(kv, &s);

	if (r < 0)
		return r;
	*ret_index = state_applied_index(s);
	*ret_term = state_applied_term(s);
	state_free(s);
	return 0;
}

static int check_owner(struct state *s, const uint8_t cluster_key[32])
{
	_cleanup_buffer_ struct buffer sealed;
	struct token_key key;

	buffer_init(&sealed, SEALED_MAX);
	int r = state_get_key(s, REALM_FIRST, 0, &sealed);
	if (r == -ENOENT || r == -ENOKEY)
		return 0;
	if (r == 0)
		r = key_unseal(cluster_key, REALM_FIRST, sealed.data, sealed.size, &key);
	explicit_bzero(&key, sizeof(key));
	if (r == -EBADMSG || r == -EIO || r == -EINVAL) {
		store_why_set("its token key is not sealed with the key of this directory: the state or the file 'key' is another directory's");
		r = -EBADMSG;
	}
	return r;
}

static int check_position(const struct state *s, struct log *log)
{
	uint64_t index = state_applied_index(s);
	struct log_group group;

	log_get_group(log, SHARD_FIRST, &group);
	if (group.last_index == 0 && index == 0)
		return 0;
	if (group.term >= state_applied_term(s) && group.base_index <= index && (index > 0 || group.first_index == 1))
		return 0;
	store_why_set("the log has entries %llu to %llu, and the state ends with entry %llu: they do not belong together, or one of them is older or lost",
		(unsigned long long)group.first_index, (unsigned long long)group.last_index, (unsigned long long)index);
	return -EBADMSG;
}

int state_fits_log(struct kv *kv, struct log *log, const uint8_t cluster_key[32])
{
	struct state *s;
	int r = state_open(kv, &s);

	if (r < 0)
		return r;
	r = check_owner(s, cluster_key);
	if (r == 0 && log)
		r = check_position(s, log);
	state_free(s);
	return r;
}

int state_verify(struct kv *kv, struct buffer *position, uint64_t bytes, uint64_t *ret_read)
{
	struct kv_iter *it = kv_scan_new(kv, (struct slice){ .data = position->data, .size = position->size });
	uint64_t read = 0;
	int r = it ? 0 : -ENOMEM;

	store_why_clear();
	for (; r == 0 && kv_iter_valid(kv, it) && read < bytes; kv_iter_next(kv, it)) {
		struct slice key = kv_iter_key(kv, it);

		read += key.size + kv_iter_value(kv, it).size;
		buffer_reset(position);
		r = buffer_append(position, key.data, key.size);
	}
	if (r == 0)
		r = kv_iter_error(kv, it);
	if (r == 0 && !kv_iter_valid(kv, it))
		buffer_reset(position);
	else if (r == 0)
		r = buffer_append(position, "", 1);   /* the key behind the last one read */
	kv_iter_free(kv, it);
	*ret_read = read;
	return r;
}

int state_peek_staged(struct kv *kv, uint64_t *ret_seq)
{
	struct kv_iter *it = kv_scan_new(kv, (struct slice){ 0 });
	uint64_t seq = 0;
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(kv, it); kv_iter_next(kv, it)) {
		struct slice key = kv_iter_key(kv, it);
		struct record record;

		if (key.size < STATE_KEY_PREFIX || key.data[STATE_KEY_PREFIX - 1] != KEY_RECORD)
			continue;
		r = record_decode(kv_iter_value(kv, it), &record);
		if (r == 0 && record.stage_seq > seq)
			seq = record.stage_seq;
	}
	if (r == 0)
		r = kv_iter_error(kv, it);
	kv_iter_free(kv, it);
	if (r == 0)
		*ret_seq = seq;
	return r;
}
