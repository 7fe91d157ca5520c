/* The private root of a task. Built on a new tmpfs, so that /dios is there whether the machine has such a folder or not:
 *
 *   /NAME        each folder of the machine's root, with all that is mounted below it: read-only, no devices, no set-user-id
 *   /dev         new: null, zero, full, random, urandom, tty, terminals of its own, shm
 *   /proc        new, of the task's process name space; what changes the machine is read-only
 *   /tmp, /var/tmp, /dev/shm       new and empty
 *   /dios, and the path where the machine has it    the mount, as it is mounted outside
 *
 * The daemon's data directory is covered. A program that lies below one of the new folders is put back there, by itself. Nothing is made outside
 * of this mount name space. Changes of the machine's mounts are passed in, none are passed out (MS_SLAVE), so that the
 * machine can still unmount. The root may be made before there is a task: then it does not hold the mount, and the daemon lets no task have
 * it once the machine's mounts or the entries of its root have changed (tasks/task_helper.c). */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "mount-tools/dios-task.h"

#define STAGE "/proc"            /* a folder that every machine has and whose content is not needed: the new root is built there */
#define TMPFS_FLAGS (MS_NOSUID | MS_NODEV)

static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
#define DEVICE_COUNT (sizeof(devices) / sizeof(devices[0]))

/* What a task of root could change the machine with, or read its memory and keys from. */
static struct { const char *path; bool hidden, covered; } guarded[] = {
	{ .path = "/proc/sys" }, { .path = "/proc/sysrq-trigger" }, { .path = "/proc/irq" }, { .path = "/proc/bus" }, { .path = "/proc/fs" },
	{ .path = "/proc/acpi" }, { .path = "/proc/scsi" },
	{ .path = "/proc/kcore", .hidden = true }, { .path = "/proc/keys", .hidden = true }, { .path = "/proc/timer_list", .hidden = true },
};

static void __attribute__((noreturn)) fail_mount(const char *what) { fail(LAUNCH_MOUNTS, errno, what); }

static void mount_or_fail(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	if (mount(source, target, type, flags, options) < 0)
		fail_mount(target);
}

static void attach(int tree, const char *target)
{
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail_mount(target);
	close(tree);
}

/* A detached copy. */
static int copy_tree(const char *path, unsigned flags)
{
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

static void protect(int fd, const char *path, unsigned flags, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes };

	if (mount_setattr(fd, path, flags, &attr, sizeof(attr)) < 0)
		fail_mount(path[0] ? path : "protect");
}

static void make_folder(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		fail_mount(path);
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		fail_mount(path);
	close(fd);
}

/* All folders above path; those that are there stay. */
static void make_parents(const char *path)
{
	char parent[PATH_MAX];
	struct stat st;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		if (stat(parent, &st) < 0)
			make_folder(parent, 0755);
	}
}

static bool is_folder(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- while the machine's root is there --------------------------------------------------------------------------- */

static void copy_devices(int *ret_trees)
{
	char path[64];

	for (size_t i = 0; i < DEVICE_COUNT; i++) {
		snprintf(path, sizeof(path), "/dev/%s", devices[i]);
		ret_trees[i] = copy_tree(path, 0);
	}
}

/* An entry of the machine's root, seen from the new one. What vanishes meanwhile, or is closed even to root, is left out. */
static void bind_entry(int root, const char *name)
{
	char source[NAME_MAX + 2], target[NAME_MAX + sizeof(STAGE) + 1], link[PATH_MAX];
	struct stat st;

	snprintf(source, sizeof(source), "/%.*s", NAME_MAX, name);
	snprintf(target, sizeof(target), STAGE "/%.*s", NAME_MAX, name);
	if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(root, name, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (n > 0 && symlink(link, target) < 0)
			fail_mount(target);
		return;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return;
	if (S_ISDIR(st.st_mode))
		make_folder(target, 0755);
	else
		make_file(target);
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0 && errno != EACCES && errno != ENOENT)
		fail_mount(source);
}

static void build_root(void)
{
	static const char *const own[] = { "proc", "dev", "tmp", "dios" };
	DIR *d = opendir("/");
	struct dirent *e;

	if (!d)
		fail_mount("/");
	mount_or_fail("dios-task", STAGE, "tmpfs", TMPFS_FLAGS, "mode=0755,size=1m");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		char path[32];
		snprintf(path, sizeof(path), STAGE "/%s", own[i]);
		make_folder(path, 0755);
	}
	while ((e = readdir(d))) {
		bool skip = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			skip |= strcmp(e->d_name, own[i]) == 0;
		if (!skip)
			bind_entry(dirfd(d), e->d_name);
	}
	closedir(d);
	protect(AT_FDCWD, STAGE, AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
}

/* On an initial ramdisk there is nothing to pivot from: then the new root is laid over the old one. */
static void enter_root(void)
{
	if (chdir(STAGE) < 0)
		fail_mount(STAGE);
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			fail_mount("the old root");
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
		fail_mount("the new root");
	}
	if (chdir("/") < 0)
		fail_mount("/");
}

/* ---- in the new root --------------------------------------------------------------------------------------------- */

static void fill_dev(const int *trees)
{
	static const char *const links[][2] = { { "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" }, { "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" }, { "pts/ptmx", "/dev/ptmx" } };
	char path[64];

	mount_or_fail("dios-task", "/dev", "tmpfs", MS_NOSUID, "mode=0755,size=64k");
	for (size_t i = 0; i < DEVICE_COUNT; i++) {
		if (trees[i] < 0)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", devices[i]);
		make_file(path);
		attach(trees[i], path);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			fail_mount(links[i][1]);
	make_folder("/dev/shm", 0755);
	mount_or_fail("dios-task", "/dev/shm", "tmpfs", TMPFS_FLAGS, "mode=1777");
	make_folder("/dev/pts", 0755);
	mount_or_fail("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
	make_folder("/dev/mqueue", 0755);
	if (mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		rmdir("/dev/mqueue");     /* a kernel without message queues */
}

/* Again for what a module has brought since the last time. */
static void guard_proc(void)
{
	for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
		const char *path = guarded[i].path;
		int tree = guarded[i].covered || guarded[i].hidden ? -1 : copy_tree(path, AT_RECURSIVE);

		if (tree >= 0) {
			protect(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY);
			attach(tree, path);
			guarded[i].covered = true;
		} else if (guarded[i].hidden && !guarded[i].covered && access(path, F_OK) == 0) {
			mount_or_fail("/dev/null", path, NULL, MS_BIND, NULL);
			guarded[i].covered = true;
		}
	}
}

static bool hides(const struct launch_place *p) { return p->hidden && is_folder(p->hidden); }

void arrange_mounts(const struct launch_place *p)
{
	int device_trees[DEVICE_COUNT];

	mount_or_fail(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	umount2(p->mount, MNT_DETACH | UMOUNT_NOFOLLOW);     /* here alone; who has unmounted it meanwhile has done that already */
	copy_devices(device_trees);
	build_root();
	enter_root();
	fill_dev(device_trees);
	mount_or_fail("dios-task", "/tmp", "tmpfs", TMPFS_FLAGS, "mode=1777");
	if (is_folder("/var") && is_folder("/var/tmp"))
		mount_or_fail("dios-task", "/var/tmp", "tmpfs", TMPFS_FLAGS, "mode=1777");
	mount_or_fail("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	guard_proc();
	if (hides(p))
		mount_or_fail("dios-task", p->hidden, "tmpfs", TMPFS_FLAGS, "mode=0700,size=4k");
	make_parents(p->mount);
	if (!is_folder(p->mount))
		make_folder(p->mount, 0755);
}

/* ---- with a task ------------------------------------------------------------------------------------------------- */

static bool begins_with(const char *path, const char *folder)
{
	size_t size = strlen(folder);
	return strncmp(path, folder, size) == 0 && path[size] == '/';
}

static bool program_is_hidden(const struct launch *l)
{
	return l->path && (begins_with(l->path, "/tmp") || begins_with(l->path, "/var/tmp") || begins_with(l->path, "/dev"));
}

/* Found with the rights of the task's user: its place behind folders that are closed to the user must not be opened by this. */
static int copy_program(const struct launch *l)
{
	gid_t groups[LAUNCH_GROUPS_MAX];

	if (!program_is_hidden(l))
		return -1;
	for (size_t i = 0; i < l->group_count; i++)
		groups[i] = l->groups[i];
	if (setgroups(l->group_count, groups) < 0)
		fail(LAUNCH_IDENTITY, errno, "groups");
	setfsgid(l->gid);
	setfsuid(l->uid);
	int tree = copy_tree(l->path, 0);
	int error = errno;
	setfsuid(0);
	setfsgid(0);
	if (tree < 0)
		fail(LAUNCH_EXECUTE, error, l->path);
	protect(tree, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
	return tree;
}

/* A copy that was made outside would pass its mounts out. */
static void make_slave(int tree)
{
	struct mount_attr attr = { .propagation = MS_SLAVE };

	if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		fail_mount("propagation");
}

/* A name space is entered at its own root, which need not be the one that this process had there. */
static void change_namespace(int namespace, int root)
{
	if (setns(namespace, CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0)
		fail_mount("a mount name space");
	close(namespace);
	close(root);
}

void complete_mounts(const struct launch_place *p, const struct launch *l, struct mount_namespaces *n)
{
	int own_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	guard_proc();
	change_namespace(n->outside, n->outside_root);
	int dios = copy_tree(p->mount, 0);
	if (dios < 0)
		fail_mount(p->mount);
	int program = copy_program(l);
	change_namespace(n->own, own_root);
	make_slave(dios);
	make_slave(program);
	if (program >= 0) {
		make_parents(l->path);
		make_file(l->path);
		attach(program, l->path);
	}
	attach(dios, TASK_DIOS);
	if (strcmp(p->mount, TASK_DIOS) != 0) {
		int again = copy_tree(TASK_DIOS, 0);
		if (again < 0)
			fail_mount(TASK_DIOS);
		attach(again, p->mount);
	}
	if (hides(p))
		protect(AT_FDCWD, p->hidden, 0, MOUNT_ATTR_RDONLY);
	protect(AT_FDCWD, "/dev", 0, MOUNT_ATTR_RDONLY);
	if (chdir(p->mount) < 0)
		fail_mount(p->mount);
}
