/* ext4 tells of its journal in sysfs (the process that writes it, or "<none>") and of its mount options in procfs; XFS, Btrfs, F2FS and
 * the like order what they write by themselves. Whatever cannot be read is not known, which is no reason to warn. */
#include "store/disk_facts.h"

#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"

static const char *const ordered[] = { "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "nilfs2" };

static bool has_option(char *options, const char *wanted)
{
	const struct mntent m = { .mnt_opts = options };

	return hasmntopt(&m, wanted) != NULL;
}

/* /proc/self/mountinfo: "36 35 8:1 / /mnt rw,noatime shared:1 - ext4 /dev/sda1 rw,nobarrier". From 6.15 on an ext4 that has met an error says
 * "emergency_ro" there and stays "rw". */
static void read_mount(dev_t device, struct disk_facts *facts)
{
	char wanted[32], *line = NULL;
	size_t capacity = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	snprintf(wanted, sizeof(wanted), "%u:%u", major(device), minor(device));
	while (f && getline(&line, &capacity, f) > 0) {
		char number[32], type[32], options[1024];
		const char *rest = strstr(line, " - ");
		if (sscanf(line, "%*d %*d %31s", number) != 1 || strcmp(number, wanted) != 0 || !rest)
			continue;
		if (sscanf(rest, " - %31s %*s %1023s", type, options) != 2)
			continue;
		snprintf(facts->type, sizeof(facts->type), "%s", type);
		facts->read_only = has_option(options, "ro") || has_option(options, "emergency_ro");
		facts->writeback = has_option(options, "data=writeback");
		facts->no_flush = has_option(options, "nobarrier") || has_option(options, "volatile");
		break;
	}
	free(line);
	if (f)
		fclose(f);
}

static void read_device(dev_t device, struct disk_facts *facts)
{
	char path[64], target[512];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(device), minor(device));
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	snprintf(facts->device, sizeof(facts->device), "%.63s", slash ? slash + 1 : target);
}

static void read_ext4(struct disk_facts *facts)
{
	char path[128], said[64];

	snprintf(path, sizeof(path), "/sys/fs/ext4/%s/journal_task", facts->device);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(said, sizeof(said), f))
		facts->journal = strncmp(said, "<none>", 6) == 0 ? DISK_JOURNAL_NO : DISK_JOURNAL_YES;
	fclose(f);
}

int disk_facts_read(const char *directory, struct disk_facts *ret)
{
	struct disk_facts facts = { .journal = DISK_JOURNAL_UNKNOWN };
	struct stat st;

	if (stat(directory, &st) < 0)
		return -errno;
	read_mount(st.st_dev, &facts);
	read_device(st.st_dev, &facts);
	for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++)
		if (strcmp(facts.type, ordered[i]) == 0)
			facts.journal = DISK_JOURNAL_YES;
	if (strncmp(facts.type, "ext", 3) == 0 && facts.device[0])
		read_ext4(&facts);
	*ret = facts;
	return 0;
}

void disk_facts_warn(const struct disk_facts *facts, char *sentence, size_t size)
{
	const char *device = facts->device[0] ? facts->device : "DEVICE";

	sentence[0] = '\0';
	if (facts->no_flush)
		snprintf(sentence, size, "the %s there is mounted so that fsync does not reach the disk (nobarrier or volatile): after a power cut nothing "
			"is certain, and the data may be damaged beyond repair; mount it without that option", facts->type);
	else if (facts->journal == DISK_JOURNAL_NO)
		snprintf(sentence, size, "the %s there has no journal: after a power cut it must be checked (e2fsck -y /dev/%s) before it is mounted, and "
			"files that were being written can have lost what was synced of them too; give it a journal while it is not mounted: "
			"tune2fs -O has_journal /dev/%s", facts->type, device, device);
}
