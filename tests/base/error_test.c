/* base/error: ownership helpers. */
#include <fcntl.h>

#include "base/error.h"
#include "tests/tap.h"

static int open_and_keep(void)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return TAKE_FD(fd);
}

static int open_and_drop(void)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd;
}

static char *make_and_keep(void)
{
	_cleanup_free_ char *text = strdup("kept");
	return TAKE_PTR(text);
}

int main(void)
{
	int fd = open_and_keep();
	ok(fd >= 0 && fcntl(fd, F_GETFD) >= 0, "a descriptor taken out stays open");
	close(fd);
	fd = open_and_drop();
	ok(fcntl(fd, F_GETFD) < 0 && errno == EBADF, "one not taken out is closed at the end of its block");
	_cleanup_free_ char *text = make_and_keep();
	is_str(text, "kept", "memory taken out stays");
	return done_testing();
}
