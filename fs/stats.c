/* One histogram a kind of request; rare kinds share one. */
#include <linux/fuse.h>

#include "base/counter.h"
#include "fs/stats.h"

#define TIMED(NAME, what) [NAME] = { .name = "dios_fs_" what "_seconds", .help = "time to answer " what " requests", .registered = ATOMIC_FLAG_INIT }
#define OPCODES 64

static struct histogram by_opcode[OPCODES] = {
	TIMED(FUSE_LOOKUP, "lookup"), TIMED(FUSE_GETATTR, "getattr"), TIMED(FUSE_SETATTR, "setattr"), TIMED(FUSE_OPEN, "open"),
	TIMED(FUSE_READ, "read"), TIMED(FUSE_WRITE, "write"), TIMED(FUSE_CREATE, "create"), TIMED(FUSE_FSYNC, "fsync"),
	TIMED(FUSE_FLUSH, "flush"), TIMED(FUSE_RELEASE, "release"), TIMED(FUSE_UNLINK, "unlink"), TIMED(FUSE_RENAME2, "rename"),
	TIMED(FUSE_MKDIR, "mkdir"), TIMED(FUSE_RMDIR, "rmdir"), TIMED(FUSE_READDIR, "readdir"), TIMED(FUSE_READDIRPLUS, "readdirplus"),
	TIMED(FUSE_GETXATTR, "getxattr"), TIMED(FUSE_IOCTL, "ioctl"), TIMED(FUSE_POLL, "poll"), TIMED(FUSE_COPY_FILE_RANGE, "copy"),
};
HISTOGRAM(others, "dios_fs_other_seconds", "time to answer all other requests");

void stats_request(uint32_t opcode, int64_t duration_ns)
{
	histogram_record(opcode < OPCODES && by_opcode[opcode].name ? &by_opcode[opcode] : &others, duration_ns);
}
