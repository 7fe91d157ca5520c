/* The data directory, or the folder in which it is to be made: what file system it is on, whether there is room, what a power cut would take, and how long
 * an fsync takes. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/clock.h"
#include "mount-tools/doctor.h"
#include "mount-tools/text.h"
#include "store/disk_facts.h"

#define ROOM_NEEDED (256ull << 20)     /* the reserve, the log, and something to keep */
#define ROOM_WANTED (1ull << 30)
#define INODES_WANTED 10000u
#define SYNCS 16                       /* enough for a median, over in a second on a slow disk */
#define SYNC_BELIEVABLE_NS 10000       /* faster than the fastest disk with a battery */
#define SYNC_SLOW_NS (50 * NS_PER_MS)
#define SKEW_S 86400

static void look_at_kind(struct doctor *d, const struct disk_facts *facts)
{
	static const char *const stacked[] = { "overlay", "ecryptfs", "aufs" }, *const remote[] = { "nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "ceph" };
	char sentence[1024];

	disk_facts_warn(facts, sentence, sizeof(sentence));
	if (strcmp(facts->type, "tmpfs") == 0 || strcmp(facts->type, "ramfs") == 0) {
		doctor_say(d, "file system", DOCTOR_BAD, "choose a folder on a disk", "%s is memory: everything is lost at the next boot", facts->type);
		return;
	}
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (strcmp(facts->type, remote[i]) == 0) {
			doctor_say(d, "file system", DOCTOR_BAD, "choose a folder on a disk of this machine", "%s is not of this machine, and syncs as it likes", facts->type);
			return;
		}
	for (size_t i = 0; i < sizeof(stacked) / sizeof(stacked[0]); i++)
		if (strcmp(facts->type, stacked[i]) == 0) {
			doctor_say(d, "file system", DOCTOR_WARN, "choose a folder on a plain ext4, XFS or Btrfs",
				"%s is stacked on another file system, so that there is no passthrough", facts->type);
			return;
		}
	if (sentence[0])
		doctor_say(d, "journal", facts->no_flush ? DOCTOR_BAD : DOCTOR_WARN, NULL, "%s", sentence);
	else if (facts->writeback)
		doctor_say(d, "journal", DOCTOR_WARN, "mount it with data=ordered, the default: not by 'remount', but anew; 'tune2fs -o ^journal_data_writeback' where the "
			"file system itself asks for it", "the %s is mounted with data=writeback: after a power cut files that were written past the daemon, and not "
			"synced, may show what was deleted before", facts->type);
	else if (facts->journal == DISK_JOURNAL_YES)
		doctor_say(d, "journal", DOCTOR_OK, NULL, "the %s keeps its order in a power cut", facts->type);
	doctor_say(d, "file system", DOCTOR_OK, NULL, "%s", facts->type[0] ? facts->type : "of an unknown kind");
}

static void look_at_room(struct doctor *d, const char *folder)
{
	char free_text[TEXT_SIZE_MAX], total_text[TEXT_SIZE_MAX];
	struct statvfs st;

	if (statvfs(folder, &st) < 0)
		return;
	uint64_t left = (uint64_t)st.f_bavail * st.f_frsize;
	text_size(left, free_text);
	text_size((uint64_t)st.f_blocks * st.f_frsize, total_text);
	struct disk_facts facts;
	if (st.f_flag & ST_RDONLY || (disk_facts_read(folder, &facts) == 0 && facts.read_only))
		doctor_say(d, "writable", DOCTOR_BAD, "look into dmesg for why; then 'mount -o remount,rw ...'", "the file system is read-only");
	if (left < ROOM_NEEDED)
		doctor_say(d, "room", DOCTOR_BAD, "delete what is not needed ('du -xh' finds it), or choose another disk", "%s of %s are free, too little for dios", free_text,
			total_text);
	else if (left < ROOM_WANTED)
		doctor_say(d, "room", DOCTOR_WARN, "delete what is not needed ('du -xh' finds it), or choose another disk", "only %s of %s are free", free_text, total_text);
	else
		doctor_say(d, "room", DOCTOR_OK, NULL, "%s of %s are free", free_text, total_text);
	if (st.f_files > 0 && st.f_favail < INODES_WANTED)
		doctor_say(d, "inodes", DOCTOR_WARN, "delete many small files, or make the file system with more inodes (mkfs.ext4 -i)",
			"%" PRIu64 " are left: each object over 64K needs one", (uint64_t)st.f_favail);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Median of small writes with a sync each, in a file that has no name; -errno. */
static int64_t measure_sync(const char *folder)
{
	char block[4096] = { 1 };
	int64_t took[SYNCS];
	_cleanup_close_ int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < SYNCS; i++) {
		int64_t start = clock_boot_ns(&clock_system);
		if (pwrite(fd, block, sizeof(block), (off_t)i * (off_t)sizeof(block)) != (ssize_t)sizeof(block) || fdatasync(fd) < 0)
			return errno ? -errno : -EIO;
		took[i] = clock_boot_ns(&clock_system) - start;
	}
	qsort(took, SYNCS, sizeof(took[0]), compare);
	return took[SYNCS / 2];
}

static void look_at_sync(struct doctor *d, const char *folder)
{
	int64_t ns = measure_sync(folder);
	char text[TEXT_DURATION_MAX];

	if (ns == -EACCES || ns == -EPERM || ns == -EROFS) {
		doctor_say(d, "fsync", DOCTOR_WARN, "run this as root, or as the folder's owner", "%s is not writable here, so that it cannot be tried", folder);
		return;
	}
	if (ns == -EOPNOTSUPP || ns == -EISDIR)
		return;      /* no nameless files there, and no named one is left behind for this */
	if (ns < 0) {
		doctor_say(d, "fsync", DOCTOR_BAD, "look into dmesg and at the disk with smartctl(8)", "writing and syncing fail: %s", strerror((int)-ns));
		return;
	}
	if (ns < 1000000)
		snprintf(text, sizeof(text), "%d us", (int)(ns / 1000));
	else
		text_duration(ns, text);
	if (ns < SYNC_BELIEVABLE_NS)
		doctor_say(d, "fsync", DOCTOR_WARN, "find out what is below: a virtual disk with cache=unsafe, eatmydata, a RAM disk?",
			"it takes %s, too little for any disk: what is synced is probably not durable", text);
	else if (ns > SYNC_SLOW_NS)
		doctor_say(d, "fsync", DOCTOR_WARN, "use a faster disk, or 'durability = relaxed' where the last second may be lost", "it takes %s: so does each fsync on the mount",
			text);
	else
		doctor_say(d, "fsync", DOCTOR_OK, NULL, "it takes %s", text);
}

static void look_at_directory(struct doctor *d, const struct stat *st)
{
	time_t newest = st->st_mtime;
	char path[PATH_MAX];
	struct stat file;

	if (st->st_mode & 0077)
		doctor_say(d, "privacy", DOCTOR_WARN, "as its owner: 'chmod 700 DATA'", "others may look into %s, which has the key and everybody's data", d->data);
	if ((size_t)snprintf(path, sizeof(path), "%s/log", d->data) < sizeof(path) && stat(path, &file) == 0 && file.st_mtime > newest)
		newest = file.st_mtime;
	if (newest > time(NULL) + SKEW_S)
		doctor_say(d, "file times", DOCTOR_WARN, "check the clock: 'timedatectl'", "%s was changed in the future: the clock was wrong then, or is now", d->data);
}

/* The data directory, or the nearest folder above the place where it is to be. */
static bool find_folder(const char *data, char *folder, size_t size)
{
	struct stat st;

	if ((size_t)snprintf(folder, size, "%s", data) >= size)
		return false;
	while (stat(folder, &st) < 0) {
		char *slash = strrchr(folder, '/');
		if (errno != ENOENT)
			return false;
		if (!slash)
			snprintf(folder, size, ".");
		else if (slash == folder)
			folder[1] = '\0';
		else
			*slash = '\0';
	}
	return S_ISDIR(st.st_mode);
}

void doctor_disk(struct doctor *d)
{
	char folder[PATH_MAX], format[PATH_MAX + 8];
	struct disk_facts facts;
	struct stat st;

	if (!find_folder(d->data, folder, sizeof(folder)) || disk_facts_read(folder, &facts) < 0 || stat(folder, &st) < 0) {
		doctor_say(d, "data", DOCTOR_BAD, "name a folder, or one that can be made", "%s cannot be looked at: it, or a part of its path, is no folder, or is not readable here",
			d->data);
		return;
	}
	snprintf(format, sizeof(format), "%s/format", folder);
	bool there = strcmp(folder, d->data) == 0 && access(format, F_OK) == 0;
	doctor_say(d, "data", DOCTOR_OK, NULL, there ? "%s is a data directory" : "%s is not made yet: 'dios init' makes it", d->data);
	look_at_kind(d, &facts);
	look_at_room(d, folder);
	look_at_sync(d, folder);
	if (there)
		look_at_directory(d, &st);
}
