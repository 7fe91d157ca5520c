/* Caveats as bytes. Each well-formed caveat has one encoding: body sizes are fixed by the kind, and values outside their
 * bounds are refused both ways. */
#include "caps/caveat.h"

#include <string.h>
#include "base/error.h"
#include "caps/bigendian.h"

static const uint8_t body_size[] = {
	[CAVEAT_RIGHTS] = 1, [CAVEAT_EXPIRY] = 8, [CAVEAT_RANGE] = 16, [CAVEAT_NODE] = 8, [CAVEAT_TASK] = NAME_SIZE,
	[CAVEAT_ONCE] = TOKEN_ID_SIZE,
};

bool caveat_known(const struct caveat *caveat)
{
	return caveat->kind >= CAVEAT_RIGHTS && caveat->kind <= CAVEAT_ONCE;
}

static bool caveat_valid(const struct caveat *c)
{
	switch (c->kind) {
	case CAVEAT_RIGHTS:
		return c->rights != 0 && (c->rights & ~(uint32_t)RIGHT_ALL) == 0;
	case CAVEAT_EXPIRY:
		return c->expiry_ns >= 0;
	case CAVEAT_RANGE:
		return c->range.length > 0 && c->range.length <= UINT64_MAX - c->range.offset;
	case CAVEAT_NODE:
	case CAVEAT_TASK:
	case CAVEAT_ONCE:
		return true;
	}
	return c->kind > CAVEAT_ONCE && (unsigned)c->kind <= UINT8_MAX && c->unknown.size <= CAVEAT_UNKNOWN_MAX;
}

int caveat_encode(const struct caveat *caveat, uint8_t out[static CAVEAT_BYTES_MAX])
{
	uint8_t *body = out + 2;

	if (!caveat_valid(caveat))
		return -EINVAL;
	out[0] = (uint8_t)caveat->kind;
	out[1] = caveat_known(caveat) ? body_size[caveat->kind] : caveat->unknown.size;
	switch (caveat->kind) {
	case CAVEAT_RIGHTS:
		body[0] = (uint8_t)caveat->rights;
		break;
	case CAVEAT_EXPIRY:
		put_be64(body, (uint64_t)caveat->expiry_ns);
		break;
	case CAVEAT_RANGE:
		put_be64(body, caveat->range.offset);
		put_be64(body + 8, caveat->range.length);
		break;
	case CAVEAT_NODE:
		put_be64(body, caveat->node);
		break;
	case CAVEAT_TASK:
		memcpy(body, caveat->task.bytes, NAME_SIZE);
		break;
	case CAVEAT_ONCE:
		memcpy(body, caveat->once, TOKEN_ID_SIZE);
		break;
	default:
		memcpy(body, caveat->unknown.bytes, caveat->unknown.size);
	}
	return 2 + out[1];
}

int caveat_decode(const uint8_t *data, size_t size, struct caveat *ret_caveat)
{
	struct caveat caveat = { 0 };
	const uint8_t *body = data + 2;
	size_t length;

	if (size < 2 || data[0] == 0)
		return -EINVAL;
	caveat.kind = (enum caveat_kind)data[0];
	length = data[1];
	if (length > size - 2 || length > CAVEAT_UNKNOWN_MAX)
		return -EINVAL;
	if (caveat_known(&caveat) && length != body_size[caveat.kind])
		return -EINVAL;
	switch (caveat.kind) {
	case CAVEAT_RIGHTS:
		caveat.rights = body[0];
		break;
	case CAVEAT_EXPIRY:
		caveat.expiry_ns = (int64_t)get_be64(body);
		break;
	case CAVEAT_RANGE:
		caveat.range.offset = get_be64(body);
		caveat.range.length = get_be64(body + 8);
		break;
	case CAVEAT_NODE:
		caveat.node = get_be64(body);
		break;
	case CAVEAT_TASK:
		memcpy(caveat.task.bytes, body, NAME_SIZE);
		break;
	case CAVEAT_ONCE:
		memcpy(caveat.once, body, TOKEN_ID_SIZE);
		break;
	default:
		caveat.unknown.size = (uint8_t)length;
		memcpy(caveat.unknown.bytes, body, length);
	}
	if (!caveat_valid(&caveat))
		return -EINVAL;
	*ret_caveat = caveat;
	return (int)(2 + length);
}

const struct caveat *caveat_find_single(const struct token *token, enum caveat_kind kind)
{
	if (kind != CAVEAT_NODE && kind != CAVEAT_TASK && kind != CAVEAT_ONCE)
		return NULL;
	for (size_t i = 0; i < token->caveat_count; i++)
		if (token->caveats[i].kind == kind)
			return &token->caveats[i];
	return NULL;
}
