/* See client.h. Invariant: a number is outstanding from before its command is sent until its outcome is known or given up, and that of a
 * command that counts (cluster/redo.h) until its request has been answered; given up, it never comes again. */
#include <assert.h>
#include <string.h>

#include "base/counter.h"
#include "base/lock.h"
#include "base/log.h"
#include "cluster/client.h"
#include "cluster/codec.h"
#include "cluster/redo.h"

#define BODY_MAX 16u               /* bytes of a proposal's body */
#define SPARES_MAX 8u              /* encoding buffers kept: about as many as there are threads */
#define SPARE_BYTES_MAX (256u << 10)
#define FULL_SYNCS_MAX 64u         /* waits for a full window, each as long as the disk takes */

HISTOGRAM(propose_time, "dios_propose_seconds", "Time from proposing a command to its result");
COUNTER(retries, "dios_propose_retries_total", "Commands sent again because no answer came");

struct client {
	struct clock *clock;
	uint64_t id;
	struct rpc_peer *peer;

	struct lock lock;              /* guards what follows */
	uint64_t first;                /* lower numbers are an earlier daemon's */
	uint64_t base, next;           /* the window: [base, next) */
	uint64_t kept_from;            /* results from here on are still asked for, for requests that an earlier daemon began; 0: none */
	unsigned kept;                 /* so many */
	uint8_t outstanding[CLIENT_WINDOW / 8];
	struct buffer spare[SPARES_MAX];
	unsigned spare_count;
};

int client_new(struct clock *clock, uint64_t id, uint64_t first_seq, struct client **ret_client)
{
	struct client *c = calloc(1, sizeof(*c));

	assert(first_seq > 0);
	if (!c)
		return -ENOMEM;
	c->clock = clock;
	c->id = id;
	c->first = c->base = c->next = first_seq;
	lock_init(&c->lock, "client", LOCK_LEAF);
	*ret_client = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	rpc_peer_close(c->peer);
	while (c->spare_count > 0)
		buffer_done(&c->spare[--c->spare_count]);
	lock_done(&c->lock);
	free(c);
}

void client_set_peer(struct client *c, struct rpc_peer *peer)
{
	rpc_peer_close(c->peer);
	c->peer = peer;
}

static bool is_outstanding(const struct client *c, uint64_t seq)
{
	return c->outstanding[seq % CLIENT_WINDOW / 8] >> seq % 8 & 1;
}

static void toggle_outstanding(struct client *c, uint64_t seq)
{
	c->outstanding[seq % CLIENT_WINDOW / 8] ^= (uint8_t)(1u << seq % 8);
}

/* Gives the command its number, and a buffer to encode into. place: where the number is left before the command is sent; NULL: nowhere. */
static int take_number(struct client *c, struct command *command, _Atomic uint64_t *place, struct buffer *ret_buffer)
{
	LOCK_GUARD(&c->lock);
	if (command->seq == 0) {
		if (c->next - c->base >= CLIENT_WINDOW)
			return -EAGAIN;
		assert(!is_outstanding(c, c->next));
		command->client = c->id;
		command->seq = c->next++;
		command->done_below = c->kept > 0 ? c->kept_from : c->base;
		toggle_outstanding(c, command->seq);
		if (place)
			atomic_store(place, command->seq);
	}
	if (c->spare_count > 0)
		*ret_buffer = c->spare[--c->spare_count];
	else
		buffer_init(ret_buffer, COMMAND_MAX);
	return 0;
}

/* The lock is held. */
static void settle_number(struct client *c, uint64_t seq)
{
	assert(is_outstanding(c, seq));
	toggle_outstanding(c, seq);
	while (c->base < c->next && !is_outstanding(c, c->base))
		c->base++;
}

static void give_number(struct client *c, bool own, uint64_t seq, struct buffer *buffer)
{
	LOCK_GUARD(&c->lock);
	if (own)
		settle_number(c, seq);
	buffer_reset(buffer);
	if (c->spare_count < SPARES_MAX && buffer->capacity <= SPARE_BYTES_MAX)
		c->spare[c->spare_count++] = *buffer;
	else
		buffer_done(buffer);
}

void propose_body_encode(enum durability durability, struct buffer *out)
{
	pack_array(out, 1);
	pack_u64(out, durability);
}

int propose_body_decode(struct slice body, enum durability *ret_durability)
{
	struct unpacker u;

	unpacker_init(&u, body);
	if (unpack_array(&u, 1) != 1)
		unpacker_fail(&u, -EBADMSG);
	uint64_t durability = unpack_u64(&u, DURABLE_NEXT);
	if (unpacker_finish(&u) < 0)
		return -EBADMSG;
	*ret_durability = (enum durability)durability;
	return 0;
}

/* Sends until there is an answer. */
static int call(struct client *c, enum rpc_operation operation, struct slice body, struct slice payload, struct rpc_reply *ret_reply)
{
	int64_t deadline_ns = clock_boot_ns(c->clock) + CLIENT_TIMEOUT_NS;
	bool unknown = false;

	for (unsigned try = 0; try < CLIENT_TRIES_MAX; try++) {
		struct rpc_reply reply;
		int r = rpc_call(c->peer, operation, body, payload, deadline_ns, &reply);
		if (r == 0 && (reply.error == 0 || !unknown)) {
			*ret_reply = reply;
			return 0;
		}
		if (r == 0)
			rpc_reply_done(&reply);   /* refused; but an earlier try may have been served (A6) */
		else if (r != -ETIMEDOUT && r != -ECONNRESET && r != -EPROTO && !unknown)
			return r;
		else
			unknown = true;
		if (clock_boot_ns(c->clock) >= deadline_ns)
			break;
		counter_add(&retries, 1);
	}
	log_error("cluster", "no answer operation=%s within_s=%d: its outcome is unknown", rpc_operation_name(operation), (int)(CLIENT_TIMEOUT_NS / NS_PER_SECOND));
	return -EIO;
}

static int send_command(struct client *c, const struct command *command, bool durable, struct buffer *encoded, struct result *ret_result)
{
	uint8_t body_bytes[BODY_MAX];
	struct buffer body = { .data = body_bytes, .capacity = BODY_MAX, .limit = BODY_MAX };   /* never grows: nothing to free */
	struct rpc_reply reply;

	int r = command_encode(command, encoded);
	if (r < 0)
		return r == -ENOBUFS ? -EMSGSIZE : r;
	propose_body_encode(durable ? DURABLE_NOW : command->sync_next ? DURABLE_NEXT : DURABLE_LATER, &body);
	assert(body.error == 0);
	r = call(c, RPC_PROPOSE, (struct slice){ .data = body.data, .size = body.size }, (struct slice){ .data = encoded->data, .size = encoded->size }, &reply);
	if (r < 0)
		return r;
	r = reply.error;
	if (r == 0 && result_decode((struct slice){ .data = reply.body.data, .size = reply.body.size }, ret_result) < 0)
		r = -EIO;
	rpc_reply_done(&reply);
	return r;
}

int client_propose(struct client *c, struct command *command, bool durable, struct result *ret_result)
{
	int64_t begun_ns = clock_boot_ns(c->clock);
	bool own = command->seq == 0;
	_Atomic uint64_t *place = own && command->counts ? redo_next() : NULL;
	struct buffer encoded;
	struct result result;

	int r = take_number(c, command, place, &encoded);
	/* The window is full because somebody waits for the disk. The same wait ends it; a condition is not an option, for the caller may hold locks. */
	for (unsigned i = 0; r == -EAGAIN && i < FULL_SYNCS_MAX; i++) {
		r = client_sync(c);
		if (r == 0)
			r = take_number(c, command, place, &encoded);
	}
	if (r < 0)
		return r;
	r = send_command(c, command, durable, &encoded, &result);
	/* A command that has had no effect is not found again; one of which nobody knows is. */
	bool done = r == 0 ? result.error == 0 : r == -EIO;
	if (place && !done)
		atomic_store(place, 0);
	else if (place)
		redo_advance();
	give_number(c, own && !(place && done), command->seq, &encoded);
	histogram_record(&propose_time, clock_boot_ns(c->clock) - begun_ns);
	if (r == 0)
		*ret_result = result;
	return r;
}

int client_sync(struct client *c)
{
	static const struct slice nothing;
	struct rpc_reply reply;

	int r = call(c, RPC_SYNC, nothing, nothing, &reply);
	if (r < 0)
		return r;
	r = reply.error;
	rpc_reply_done(&reply);
	return r;
}

void client_keep(struct client *c, uint64_t number)
{
	LOCK_GUARD(&c->lock);
	assert(number < c->first && c->next == c->first);
	if (c->kept++ == 0 || number < c->kept_from)
		c->kept_from = number;
}

void client_forget(struct client *c, uint64_t number)
{
	LOCK_GUARD(&c->lock);
	if (number >= c->first)
		settle_number(c, number);
	else
		c->kept--;
}

bool client_is_earlier(const struct client *c, uint64_t number) { return number < c->first; }
