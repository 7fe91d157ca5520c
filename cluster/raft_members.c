/* Membership: the data of CHANGE entries, and the rules for changing it by one member at a time.
 *
 * libraft decodes such data with assertions where checks belong, so whatever comes from disk or network goes through the
 * strict decoder here first. A member's address is its id in decimal: libraft wants one that is unique. */
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cluster/raft_internal.h"

#define ADDRESS_MAX 21   /* characters of a 64-bit number, and the final NUL */
#define ENCODING_FORMAT 1

_Static_assert((int)RAFT_GROUP_STANDBY == RAFT_STANDBY && (int)RAFT_GROUP_VOTER == RAFT_VOTER && (int)RAFT_GROUP_SPARE == RAFT_SPARE,
	"roles are numbered as in libraft");

static void address_of(uint64_t id, char address[static ADDRESS_MAX])
{
	snprintf(address, ADDRESS_MAX, "%" PRIu64, id);
}

int raft_members_to_libraft(const struct raft_group_members *members, struct raft_configuration *ret_configuration)
{
	struct raft_configuration c;

	assert(members->count > 0 && members->count <= RAFT_GROUP_MEMBERS_MAX);
	raft_configuration_init(&c);
	for (uint32_t i = 0; i < members->count; i++) {
		char address[ADDRESS_MAX];
		address_of(members->member[i].id, address);
		int rv = raft_configuration_add(&c, members->member[i].id, address, (int)members->member[i].role);
		if (rv != 0) {
			raft_configuration_close(&c);
			return raft_group_errno(rv);
		}
	}
	*ret_configuration = c;
	return 0;
}

void raft_members_from_libraft(const struct raft_configuration *c, struct raft_group_members *ret_members)
{
	assert(c->n <= RAFT_GROUP_MEMBERS_MAX);
	*ret_members = (struct raft_group_members){ .count = c->n };
	for (unsigned i = 0; i < c->n; i++)
		ret_members->member[i] = (struct raft_group_member){ .id = c->servers[i].id, .role = (enum raft_group_role)c->servers[i].role };
}

const struct raft_group_member *raft_members_find(const struct raft_group_members *members, uint64_t id)
{
	for (uint32_t i = 0; i < members->count; i++)
		if (members->member[i].id == id)
			return &members->member[i];
	return NULL;
}

uint32_t raft_members_voters(const struct raft_group_members *members)
{
	uint32_t voters = 0;

	for (uint32_t i = 0; i < members->count; i++)
		voters += members->member[i].role == RAFT_GROUP_VOTER;
	return voters;
}

static bool members_valid(const struct raft_group_members *members)
{
	if (members->count == 0 || members->count > RAFT_GROUP_MEMBERS_MAX || raft_members_voters(members) == 0)
		return false;
	for (uint32_t i = 0; i < members->count; i++) {
		const struct raft_group_member *m = &members->member[i];
		if (m->id == 0 || (unsigned)m->role > RAFT_GROUP_SPARE || raft_members_find(members, m->id) != m)
			return false;
	}
	return true;
}

int raft_group_members_encode(const struct raft_group_members *members, struct buffer *out)
{
	struct raft_configuration c;
	struct raft_buffer encoded;

	if (!members_valid(members))
		return -EINVAL;
	int r = raft_members_to_libraft(members, &c);
	if (r < 0)
		return r;
	int rv = raft_configuration_encode(&c, &encoded);
	raft_configuration_close(&c);
	if (rv != 0)
		return raft_group_errno(rv);
	r = buffer_append(out, encoded.base, encoded.len);
	raft_free(encoded.base);
	return r;
}

/* One server: id 8, address and its NUL, role 1. */
static int decode_member(struct slice *rest, struct raft_group_member *ret_member)
{
	char expected[ADDRESS_MAX];
	uint64_t id;

	if (rest->size < sizeof(id))
		return -EBADMSG;
	memcpy(&id, rest->data, sizeof(id));
	id = le64toh(id);
	address_of(id, expected);
	size_t length = strlen(expected) + 1;
	if (rest->size - sizeof(id) < length + 1 || memcmp(rest->data + sizeof(id), expected, length) != 0)
		return -EBADMSG;
	*ret_member = (struct raft_group_member){ .id = id, .role = (enum raft_group_role)rest->data[sizeof(id) + length] };
	rest->data += sizeof(id) + length + 1;
	rest->size -= sizeof(id) + length + 1;
	return 0;
}

int raft_group_members_decode(struct slice data, struct raft_group_members *ret_members)
{
	struct raft_group_members members = { 0 };
	struct slice rest = { .data = data.data, .size = data.size };
	uint64_t count;

	if (rest.size < 1 + sizeof(count) || rest.size % 8 != 0 || rest.data[0] != ENCODING_FORMAT)
		return -EBADMSG;
	memcpy(&count, rest.data + 1, sizeof(count));
	count = le64toh(count);
	if (count == 0 || count > RAFT_GROUP_MEMBERS_MAX)
		return -EBADMSG;
	rest.data += 1 + sizeof(count);
	rest.size -= 1 + sizeof(count);

	members.count = (uint32_t)count;
	for (uint32_t i = 0; i < members.count; i++)
		if (decode_member(&rest, &members.member[i]) < 0)
			return -EBADMSG;
	if (rest.size >= 8 || !members_valid(&members))
		return -EBADMSG;
	for (size_t i = 0; i < rest.size; i++)
		if (rest.data[i] != 0)
			return -EBADMSG;
	*ret_members = members;
	return 0;
}

/* Counts the members that are in one and not, or not the same, in the other; *ret_id is the last of them. */
static uint32_t differences(const struct raft_group_members *old, const struct raft_group_members *new, uint64_t *ret_id)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < old->count; i++) {
		const struct raft_group_member *m = raft_members_find(new, old->member[i].id);
		if (!m || m->role != old->member[i].role) {
			*ret_id = old->member[i].id;
			n++;
		}
	}
	for (uint32_t i = 0; i < new->count; i++) {
		if (!raft_members_find(old, new->member[i].id)) {
			*ret_id = new->member[i].id;
			n++;
		}
	}
	return n;
}

/* Guard 8: libraft's own catch-up rounds give up on a member of an idle group that lacks nothing. A member that has the last committed
 * change knows at least that it is one. */
static bool caught_up(const struct raft_group *g, uint64_t id)
{
	uint64_t match;

	if (raft_group_match_index(g, id, &match) < 0)
		return false;
	return match >= g->raft.configuration_committed_index && match + RAFT_GROUP_CATCH_UP_LAG >= raft_last_index((struct raft *)(uintptr_t)&g->raft);
}

static int check_change(const struct raft_group *g, const struct raft_group_members *members)
{
	struct raft_group_members current;
	uint64_t id = 0;

	if (!members_valid(members))
		return -EINVAL;
	if (g->raft.state != RAFT_LEADER || g->raft.leader_state.transferee != 0)
		return -EAGAIN;
	/* Guard 3: a change appended before the leader has committed in its own term can be undone by a majority of the old members. */
	if (g->barrier_index == 0 || g->raft.commit_index < g->barrier_index)
		return -EAGAIN;
	if (g->raft.configuration_uncommitted_index != 0 || !raft_group_has_room(g, 1, 0))
		return -EAGAIN;

	raft_members_from_libraft(&g->raft.configuration, &current);
	if (differences(&current, members, &id) != 1)
		return -EINVAL;
	const struct raft_group_member *old = raft_members_find(&current, id), *new = raft_members_find(members, id);
	/* A leader without a vote that dies before this is committed would be needed for the next election, and refuse. */
	if (id == g->raft.id && (!new || new->role != RAFT_GROUP_VOTER))
		return -EBUSY;
	if (new && new->role == RAFT_GROUP_VOTER) {
		if (!old || old->role != RAFT_GROUP_STANDBY)
			return -EINVAL;
		if (!caught_up(g, id))
			return -EAGAIN;
	}
	return 0;
}

int raft_group_change(struct raft_group *g, int64_t now_ms, const struct raft_group_members *members, struct raft_group_actions *ret_actions)
{
	int r = raft_group_begin(g, now_ms);

	if (r < 0)
		return r;
	r = check_change(g, members);
	if (r == 0) {
		buffer_reset(&g->change);
		r = raft_group_members_encode(members, &g->change);
	}
	if (r == 0)
		r = raft_group_submit(g, &(struct slice){ .data = g->change.data, .size = g->change.size }, 1, RAFT_GROUP_CHANGE);
	return raft_group_finish(g, r, ret_actions);
}
