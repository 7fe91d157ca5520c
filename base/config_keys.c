/* The table of all configuration keys. A new key needs a line here and a paragraph in docs/man/dios.conf.5, nothing else:
 * a test compares the two. Sorted by name. */
#include "base/clock.h"
#include "base/config.h"

#define KIB (1LL << 10)
#define TIB (1LL << 40)

const struct config_key config_keys[] = {
	{ .name = "cache.entries", .type = CONFIG_COUNT, .fallback = "20480", .minimum = 1024, .maximum = 16777216,
	  .help = "objects and directory entries kept in memory" },
	{ .name = "cache.timeout", .type = CONFIG_DURATION, .fallback = "1h", .minimum = 0, .maximum = 24 * 3600 * NS_PER_SECOND,
	  .help = "how long the kernel may keep names and attributes without asking" },
	{ .name = "commit.interval", .type = CONFIG_DURATION, .fallback = "1s", .minimum = 10 * NS_PER_MS, .maximum = 60 * NS_PER_SECOND,
	  .help = "how long written bytes wait for others before they are committed, and how often the log is synced" },
	{ .name = "durability", .type = CONFIG_CHOICE, .fallback = "full", .choices = "full|relaxed",
	  .help = "full: fsync returns when the bytes are on disk; relaxed: they follow within commit.interval" },
	{ .name = "inline.max", .type = CONFIG_SIZE, .fallback = "64K", .minimum = 0, .maximum = 64 * KIB,
	  .help = "blobs up to this size are kept inside their record" },
	{ .name = "log.level", .type = CONFIG_CHOICE, .fallback = "info", .choices = "error|warning|notice|info|debug",
	  .help = "least important kind of line that is logged" },
	{ .name = "passthrough", .type = CONFIG_CHOICE, .fallback = "auto", .choices = "auto|off|read|write",
	  .help = "whether the kernel reads, or reads and writes, larger blobs' files itself, without the daemon; auto: writes where the data have a journal" },
	{ .name = "poll", .type = CONFIG_DURATION, .fallback = "100us", .minimum = 0, .maximum = 10 * NS_PER_MS,
	  .help = "how long a thread looks for the next request before it sleeps; 0: not at all" },
	{ .name = "scrub.rate", .type = CONFIG_SIZE, .fallback = "8M", .minimum = 0, .maximum = TIB,
	  .help = "bytes a second that are read to find damage before somebody needs them; 0: none" },
	{ .name = "scrub.rest", .type = CONFIG_DURATION, .fallback = "1h", .minimum = 0, .maximum = 365 * 24 * 3600 * NS_PER_SECOND,
	  .help = "how long nothing is scrubbed after all has been" },
	{ .name = "stream.max_bytes", .type = CONFIG_SIZE, .fallback = "64M", .minimum = 64 * KIB, .maximum = TIB,
	  .help = "bytes that a stream keeps before its writers wait" },
	{ .name = "task.cgroup", .type = CONFIG_CHOICE, .fallback = "auto", .choices = "auto|off",
	  .help = "auto: each task gets a control group where the machine allows it; off: never" },
	{ .name = "workers", .type = CONFIG_COUNT, .fallback = "8", .minimum = 1, .maximum = 256,
	  .help = "threads that serve requests of the mount" },
	{ .name = NULL },
};
