/* The protocol is one sendto: no library is needed for it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "mount-tools/notify.h"

#define TEXT_MAX 8192

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_size;       /* 0: nobody listens */

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t size = path ? strlen(path) : 0;

	address_size = 0;
	if (size < 2 || size >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
		if (size > 0)
			log_warning("holder", "NOTIFY_SOCKET is of a kind that is not known here: %s", path);
	} else {
		memcpy(address.sun_path, path, size);
		if (path[0] == '@')
			address.sun_path[0] = '\0';    /* the abstract name space */
		address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	}
	unsetenv("NOTIFY_SOCKET");
}

void notify_send(const char *format, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	if (address_size == 0)
		return;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n < 0 || (size_t)n >= sizeof(text) || fd < 0 ||
			sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&address, address_size) < 0)
		log_warning("holder", "the service manager is not told errno=%d", errno);
}
