/* Lines over a socket pair; see control.h. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "mount-tools/control.h"

void control_init(struct control *c, int fd)
{
	c->fd = fd;
	c->size = 0;
}

static void send_line(struct control *c, const char *line, size_t size)
{
	while (size > 0) {
		ssize_t n = send(c->fd, line, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		size -= (size_t)n;
	}
}

void control_send(struct control *c, const char *word)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s\n", word);

	send_line(c, line, (size_t)n);
}

void control_send_error(struct control *c, const char *sentence)
{
	char line[CONTROL_LINE_MAX];
	int n = snprintf(line, sizeof(line) - 1, "error %s", sentence);
	size_t size = n < 0 ? 0 : (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;

	for (size_t i = 0; i < size; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[size++] = '\n';
	send_line(c, line, size);
}

int control_receive(struct control *c, char *text, size_t size)
{
	char *end = memchr(c->line, '\n', c->size);

	if (!end) {
		if (c->size == sizeof(c->line))
			return -EPIPE;
		ssize_t n = recv(c->fd, c->line + c->size, sizeof(c->line) - c->size, 0);
		if (n < 0)
			return errno == EINTR || errno == EAGAIN ? -EAGAIN : -EPIPE;
		if (n == 0)
			return -EPIPE;
		c->size += (size_t)n;
		end = memchr(c->line, '\n', c->size);
		if (!end)
			return -EAGAIN;
	}
	size_t length = (size_t)(end - c->line);
	size_t copy = length < size ? length : size - 1;
	memcpy(text, c->line, copy);
	text[copy] = '\0';
	c->size -= length + 1;
	memmove(c->line, end + 1, c->size);
	return 0;
}
