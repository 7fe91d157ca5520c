/* The conditions. One mutex without a rank, as the log's: taken for a few copies, and never while another one of this file is wanted. */
#include "base/condition.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

const struct condition_kind condition_kinds[CONDITION_COUNT] = {
	[CONDITION_DAMAGE] = { "damage", CONDITION_ERROR, "dios gives an error for what is damaged, never wrong bytes, and serves everything else",
		"run 'dios fsck' for the whole list; put the objects named there back from a backup, or delete them; check the disk with smartctl(8)" },
	[CONDITION_LOG_FAILED] = { "log-failed", CONDITION_ERROR, "dios accepts no change, so that nothing is acknowledged that may be lost; the daemon ends, and the next one goes on from what is on the disk",
		"look at the kernel's messages (dmesg) for the disk's errors; copy what you need, and replace a failing disk" },
	[CONDITION_SHARD_STOPPED] = { "shard-stopped", CONDITION_ERROR, "dios accepts no change; the daemon ends, and the next one goes on from what is on the disk",
		"look at the log and the kernel's messages for the cause; run 'dios fsck' if it comes back" },
	[CONDITION_STATE_BEHIND] = { "state-behind", CONDITION_ERROR,
		"dios keeps what was acknowledged in its log, gives an error for what would need it applied, and tries again with each request",
		"find the cause in the log ('rocksdb failed', 'an entry waits to be applied'); a full disk is the usual one" },
	[CONDITION_DISK_FAILING] = { "disk-failing", CONDITION_ERROR,
		"dios writes again what it still has, reads it back around the cache, and reported what it has not to fsync and close",
		"look at dmesg and smartctl(8), copy what you need to another disk, replace this one; then unmount and mount again" },
	[CONDITION_DISK_READ_ONLY] = { "disk-read-only", CONDITION_ERROR, "dios gives EROFS for changes; reading goes on; a log beside the data cannot be written either",
		"look at dmesg for why the kernel made it read-only; unmount the dios, then the file system; check it (fsck(8)), mount it writable, and mount the dios again" },
	[CONDITION_DISK_FULL] = { "disk-full", CONDITION_ERROR, "dios gives ENOSPC for what needs room; deleting and reading go on, out of a reserve",
		"delete what is not needed, on the mount or beside the data directory ('du -xh' finds it), or enlarge the file system" },
	[CONDITION_DISK_NEARLY_FULL] = { "disk-nearly-full", CONDITION_WARNING, "dios goes on until only its reserve is left, and then gives ENOSPC",
		"delete what is not needed, on the mount or beside the data directory ('du -xh' finds it), or enlarge the file system" },
	[CONDITION_QUOTA_NEARLY_USED] = { "quota-nearly-used", CONDITION_WARNING, "dios goes on to the limit, and gives EDQUOT for what would grow past it; deleting, cutting and overwriting go on",
		"delete what is not needed, or raise the limit as root: 'dios quota set --bytes SIZE --objects N'; 'dios quota' shows both" },
	[CONDITION_INODES_NEARLY_USED] = { "inodes-nearly-used", CONDITION_WARNING, "dios goes on; an object over 64K needs an inode, a smaller one does not",
		"delete many small files beside the data directory, or move it to a file system with more inodes (mkfs.ext4 -i)" },
	[CONDITION_COMMIT_FAILING] = { "commit-failing", CONDITION_WARNING, "dios keeps what was written in its staging log and tries again; fsync and close report it",
		"find the cause in the log ('commit failed'); a full disk is the usual one" },
	[CONDITION_ABSORB_FAILING] = { "absorb-failing", CONDITION_WARNING, "dios keeps the committed blocks in its state, where they are safe, and tries again each second",
		"find the cause in the log ('absorbing failed'); a full disk, or damage that 'dios fsck' names, are the usual ones" },
	[CONDITION_FLUSH_FAILING] = { "flush-failing", CONDITION_WARNING, "dios keeps everything in its log and tries again; the next start takes longer",
		"find the cause in the log ('flush failed'); a full disk is the usual one" },
	[CONDITION_LOG_LONG] = { "log-long", CONDITION_WARNING, "dios goes on; the next start has to replay all of it",
		"nothing, if it goes away by itself; if it stays, look in the log for what cannot be flushed" },
	[CONDITION_DAEMON_DYING] = { "daemon-keeps-dying", CONDITION_WARNING, "the holder starts it again each time, and the programs on the mount wait meanwhile",
		"look in the log for what it says before it ends, and in coredumpctl(1); 'dios doctor' and dmesg tell whether the disk is sound" },
	[CONDITION_DAEMON_RESTARTED] = { "daemon-restarted", CONDITION_NOTE, "the holder started it again, and the programs on the mount went on",
		"look in the log and in coredumpctl(1) for why it died, and report that" },
	[CONDITION_CLOCK_STEPPED] = { "clock-stepped", CONDITION_NOTE, "dios goes on: it waits by a clock that never steps; times of files are as the clock said",
		"check the time with timedatectl(1) and keep it by chrony or systemd-timesyncd" },
	[CONDITION_DURABILITY_RELAXED] = { "durability-relaxed", CONDITION_NOTE, "fsync returns before the bytes are on disk; they follow within commit.interval",
		"nothing, if you want it so; else set 'durability = full' in dios.conf(5), and mount again" },
	[CONDITION_NO_FLUSH] = { "no-flush", CONDITION_WARNING, "dios syncs as always, and the file system does not pass it on to the disk",
		"mount the file system without 'nobarrier' and 'volatile'" },
	[CONDITION_NO_JOURNAL] = { "no-journal", CONDITION_NOTE, "dios recovers after a power cut, but files that the file system has lost can be missing",
		"unmount the file system and give it a journal: 'tune2fs -O has_journal DEVICE'" },
	[CONDITION_NO_PASSTHROUGH] = { "no-passthrough", CONDITION_NOTE, "dios serves all reads and writes by itself, which is slower and as safe",
		"'dios doctor' says what is missing; or set 'passthrough = off' in dios.conf(5), and mount again" },
};

static pthread_mutex_t condition_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t raised;                            /* a bit each, so that clearing what is not raised costs a load */
static struct condition_state states[CONDITION_COUNT];     /* guarded by condition_mutex */

const char *condition_severity_name(enum condition_severity severity)
{
	static const char *const names[] = { "note", "warning", "error" };

	return names[severity];
}

void condition_raise(enum condition c, const char *format, ...)
{
	char what[CONDITION_TEXT_MAX];
	int saved_errno = errno;
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(what, sizeof(what), format, ap) < 0)
		what[0] = '\0';
	va_end(ap);
	pthread_mutex_lock(&condition_mutex);
	bool is_new = !(atomic_fetch_or(&raised, 1u << c) & 1u << c);
	if (is_new)
		states[c].since_ns = clock_wall_ns(&clock_system);
	memcpy(states[c].what, what, sizeof(what));
	pthread_mutex_unlock(&condition_mutex);
	if (is_new && condition_kinds[c].severity == CONDITION_ERROR)
		log_error("condition", "raised id=%s what=\"%s\"", condition_kinds[c].id, what);
	else if (is_new && condition_kinds[c].severity == CONDITION_WARNING)
		log_warning("condition", "raised id=%s what=\"%s\"", condition_kinds[c].id, what);
	else if (is_new)
		log_notice("condition", "raised id=%s what=\"%s\"", condition_kinds[c].id, what);
	errno = saved_errno;
}

void condition_clear(enum condition c)
{
	if (!(atomic_load_explicit(&raised, memory_order_relaxed) & 1u << c))
		return;
	pthread_mutex_lock(&condition_mutex);
	bool was = atomic_fetch_and(&raised, ~(1u << c)) & 1u << c;
	int64_t since_ns = states[c].since_ns;
	pthread_mutex_unlock(&condition_mutex);
	if (was)
		log_notice("condition", "cleared id=%s after_s=%lld", condition_kinds[c].id, (clock_wall_ns(&clock_system) - since_ns) / NS_PER_SECOND);
}

bool condition_get(enum condition c, struct condition_state *ret_state)
{
	pthread_mutex_lock(&condition_mutex);
	bool is_raised = atomic_load(&raised) & 1u << c;
	if (is_raised)
		*ret_state = states[c];
	pthread_mutex_unlock(&condition_mutex);
	return is_raised;
}
