/* Ioctls with bytes that no library would send, on every kind of descriptor that the mount has, as a user who is nobody. Whatever comes
 * back, the daemon lives, and what was there before is as it was. */
#include <sys/ioctl.h>
#include "tests/libdios/live.h"

#define ROUNDS 20000

static uint64_t seed = 1;
static uint32_t random_below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static const unsigned commands[] = {
	DIOS_IOC_CREATE, DIOS_IOC_LOOKUP, DIOS_IOC_TOKEN_MINT, DIOS_IOC_DELETE, DIOS_IOC_RUN, DIOS_IOC_PAUSE, DIOS_IOC_ACQUIRE_READ,
	DIOS_IOC_COMMIT_READ, DIOS_IOC_ACQUIRE_WRITE, DIOS_IOC_COMMIT_WRITE, DIOS_IOC_SELECT, DIOS_IOC_INFO, DIOS_IOC_NAME, DIOS_IOC_CLONE,
	DIOS_IOC_MAKE_LOCAL, DIOS_IOC_TOKEN_NARROW, DIOS_IOC_TOKEN_REVOKE, DIOS_IOC_TOKEN_OPEN, DIOS_IOC_STREAM_END,
	DIOS_IOC_STREAM_CONFIGURE, DIOS_IOC_SET_PRODUCED, DIOS_IOC_TASK_CONTROL, DIOS_IOC_BUFFER,
};

/* Small numbers and limits are what gets past the first checks. */
static uint32_t interesting(void)
{
	static const uint32_t values[] = { 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 8, 16, 255, 256, 1000, 1008, 4096, 12288, 12289, 0x7fffffff, 0x80000000, 0xffffffff };
	return values[random_below(sizeof(values) / sizeof(values[0]))];
}

static void fill(uint8_t *bytes, size_t size)
{
	uint32_t words = (uint32_t)(size / 4), version = DIOS_ABI_VERSION;

	memset(bytes, 0, DIOS_IOCTL_MAX);
	if (words < 2)
		return;
	for (uint32_t i = random_below(12); i > 0; i--) {
		uint32_t value = interesting(), at = random_below(random_below(3) ? (words < 40 ? words : 40) : words);
		memcpy(bytes + 4 * (size_t)at, &value, 4);
	}
	if (random_below(20))
		memcpy(bytes, &version, 4);
	if (random_below(3))
		memset(bytes + 4, 0, 4);
	else {
		uint32_t flag = 1u << random_below(32);
		memcpy(bytes + 4, &flag, 4);
	}
}

struct places { const char *path; int flags; };

static int attack(const void *arg)
{
	static const struct places where[] = { { "", O_RDONLY | O_DIRECTORY }, { ".dios", O_RDONLY | O_DIRECTORY }, { ".dios/name", O_RDONLY | O_DIRECTORY },
		{ ".dios/tasks", O_RDONLY | O_DIRECTORY }, { ".dios/stats", O_RDONLY }, { "public/blob", O_RDWR | O_NONBLOCK }, { "public/stream", O_RDWR | O_NONBLOCK },
		{ "public/read-only", O_RDONLY }, { "public", O_RDONLY | O_DIRECTORY } };
	enum { PLACES = sizeof(where) / sizeof(where[0]) };
	static uint8_t bytes[DIOS_IOCTL_MAX];
	int fds[PLACES], good = 0;

	(void)arg;
	for (int i = 0; i < PLACES; i++)
		if ((fds[i] = open(at(where[i].path), where[i].flags | O_CLOEXEC)) < 0)
			return 10 + i;
	for (int i = 0; i < ROUNDS; i++) {
		unsigned command = commands[random_below(sizeof(commands) / sizeof(commands[0]))];
		if (random_below(50) == 0)
			command = (unsigned)_IOC(_IOC_READ | _IOC_WRITE, 'd', random_below(256), random_below(DIOS_IOCTL_MAX));
		/* Waiting would end the test, not the daemon. */
		bool waits = command == DIOS_IOC_ACQUIRE_READ || command == DIOS_IOC_COMMIT_WRITE;
		fill(bytes, _IOC_SIZE(command));
		int place = (int)random_below(PLACES);
		if (waits && !(where[place].flags & O_NONBLOCK))
			continue;
		good += ioctl(fds[place], command, bytes) >= 0;
		if (random_below(100) == 0) {   /* what hangs on a descriptor goes with it */
			close(fds[place]);
			if ((fds[place] = open(at(where[place].path), where[place].flags | O_CLOEXEC)) < 0)
				return 30 + place;
		}
	}
	return good > ROUNDS / 100 ? 0 : 1;   /* some of them get through, or the test tests nothing */
}

static void prepare(void)
{
	dios_ref ref;

	mkdir(at("public"), 0755);
	chmod(at("public"), 0777);
	ref = made(0, (struct dios_create_options){ .path = at("public/blob"), .mode = 0666 }, "a blob for everybody");
	dios_close(ref);
	ref = made(0, (struct dios_create_options){ .path = at("public/stream"), .kind = DIOS_STREAM, .mode = 0666, .trim_bytes = 65536 }, "a stream for everybody");
	dios_close(ref);
	ref = made(0, (struct dios_create_options){ .path = at("public/read-only"), .mode = 0644 }, "a blob that they may read");
	is_int(put(0, ref, 0, "unharmed"), 0, "with eight bytes");
	dios_close(ref);
}

int main(void)
{
	struct dios_ioctl_info info = { 0 };
	const char *given = getenv("SEED");

	if (given)
		seed = strtoull(given, NULL, 10);
	printf("# seed %llu\n", (unsigned long long)seed);
	prepare();
	is_int(as_user(NOBODY, attack, NULL), 0, "20,000 ioctls of a hostile user");
	dios_ref ref = opened(at("public/read-only"), DIOS_READ, "the mount answers");
	holds(ref, 0, "unharmed", "what he may only read is as it was");
	is_int(dios_info(ref, &info), 0, "and so is");
	ok(info.lifecycle == DIOS_REFCOUNTED && info.nlink == 1 && info.produced == DIOS_PRODUCED_YES, "what is known of it");
	dios_close(ref);
	ref = made(0, (struct dios_create_options){ 0 }, "new objects are made");
	struct dios_buffer b;
	int r = dios_acquire_write(0, ref, 0, 1 << 20, &b);
	is_int(r, 0, "and private buffers, which went with his descriptors");
	if (r == 0)
		is_int(dios_commit_write(0, ref, &b, 1 << 20), 0, "and published");
	dios_close(ref);
	return done_testing();
}
