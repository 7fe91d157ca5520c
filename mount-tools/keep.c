/* See keep.h. */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/log.h"
#include "mount-tools/keep.h"

enum keep_operation { KEEP_SET = 1, KEEP_RECALL, KEEP_END };
struct packet { uint32_t operation, count; uint64_t key; };
union control { struct cmsghdr align; char bytes[CMSG_SPACE(KEEP_FDS_MAX * sizeof(int))]; };

static int packet_send(int fd, enum keep_operation operation, uint64_t key, const int *fds, size_t count)
{
	struct packet p = { .operation = operation, .count = (uint32_t)count, .key = key };
	struct iovec iov = { .iov_base = &p, .iov_len = sizeof(p) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { .bytes = { 0 } };

	if (count > KEEP_FDS_MAX)
		return -EINVAL;
	if (count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int)) };
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	while (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* *ret_fds has room for KEEP_FDS_MAX; they are the caller's. */
static int packet_receive(int fd, int flags, struct packet *ret_packet, int *ret_fds)
{
	struct iovec iov = { .iov_base = ret_packet, .iov_len = sizeof(*ret_packet) };
	union control control;
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	size_t count = 0;
	ssize_t n;

	while ((n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | flags)) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return n == 0 ? -EPIPE : errno == EAGAIN ? -EAGAIN : -EPIPE;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(ret_fds, CMSG_DATA(c), count * sizeof(int));
		}
	if (n == (ssize_t)sizeof(*ret_packet) && ret_packet->count == count && !(message.msg_flags & MSG_CTRUNC))
		return 0;
	for (size_t i = 0; i < count; i++)
		close(ret_fds[i]);
	return -EBADMSG;
}

/* ---- the daemon's end -------------------------------------------------------------------------------------------- */

int keep_send(int fd, uint64_t key, const int *fds, size_t count) { return packet_send(fd, KEEP_SET, key, fds, count); }

int keep_recall(int fd, void (*each)(void *arg, uint64_t key, const int *fds, size_t count), void *arg)
{
	int fds[KEEP_FDS_MAX];
	struct packet p;
	int r = packet_send(fd, KEEP_RECALL, 0, NULL, 0);

	while (r == 0 && (r = packet_receive(fd, 0, &p, fds)) == 0 && p.operation == KEEP_SET)
		each(arg, p.key, fds, p.count);
	return r;
}

/* ---- the holder's ------------------------------------------------------------------------------------------------ */

static void set_close(struct kept *s)
{
	for (size_t i = 0; i < s->count; i++)
		close(s->fds[i]);
	s->count = 0;
}

static struct kept *set_of(struct keep *k, uint64_t key)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->sets[i].key == key)
			return &k->sets[i];
	if (k->count == k->capacity) {
		size_t capacity = k->capacity ? k->capacity * 2 : 16;
		struct kept *sets = capacity <= KEEP_SETS_MAX ? reallocarray(k->sets, capacity, sizeof(*sets)) : NULL;
		if (!sets)
			return NULL;
		k->sets = sets;
		k->capacity = capacity;
	}
	k->sets[k->count] = (struct kept){ .key = key };
	return &k->sets[k->count++];
}

static void set_put(struct keep *k, const struct packet *p, const int *fds)
{
	struct kept *s = set_of(k, p->key);

	if (!s) {
		log_error("holder", "descriptors cannot be kept: a task would not outlive the daemon");
		for (size_t i = 0; i < p->count; i++)
			close(fds[i]);
		return;
	}
	set_close(s);
	s->count = p->count;
	memcpy(s->fds, fds, p->count * sizeof(int));
	if (p->count == 0)
		*s = k->sets[--k->count];
}

int keep_receive(struct keep *k)
{
	int fds[KEEP_FDS_MAX];
	struct packet p;
	int r = packet_receive(k->fd, MSG_DONTWAIT, &p, fds);

	if (r < 0)
		return r;
	if (p.operation == KEEP_SET) {
		set_put(k, &p, fds);
	} else if (p.operation == KEEP_RECALL) {
		/* The daemon reads meanwhile, and does nothing else. */
		for (size_t i = 0; r == 0 && i < k->count; i++)
			r = packet_send(k->fd, KEEP_SET, k->sets[i].key, k->sets[i].fds, k->sets[i].count);
		if (r == 0)
			r = packet_send(k->fd, KEEP_END, 0, NULL, 0);
	}
	return r == -EBADMSG ? 0 : r;
}
