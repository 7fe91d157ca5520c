/* Control groups; see cgroup.h. A part is freezer, memory or cpu, each in a hierarchy of version 1 or 2; parts of version 2 share one folder. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "tasks/cgroup.h"

#define TEXT_MAX 65536u
#define CLEAR_WAIT_MS 1000
#define CPU_PERIOD_US 100000u
#define THREADS_FILE "tasks"      /* of version 1: a process is moved by it while it has one thread, without the wait that cgroup.procs costs */

enum part { PART_FREEZER, PART_MEMORY, PART_CPU, PART_COUNT };

/* The daemon's folders are there only while tasks are in them, so that a daemon that is killed leaves none. */
struct cgroups { struct { char root[CGROUP_PATH_MAX], base[CGROUP_PATH_MAX]; int version; /* 0: not there */ } part[PART_COUNT]; };

static const char *const controllers[PART_COUNT] = { [PART_FREEZER] = "freezer", [PART_MEMORY] = "memory", [PART_CPU] = "cpu" };

typedef char path_text[CGROUP_PATH_MAX];

/* ---- files ------------------------------------------------------------------------------------------------------- */

static bool join(path_text out, const char *folder, const char *name)
{
	int n = snprintf(out, CGROUP_PATH_MAX, "%s/%s", folder, name);
	return n > 0 && (size_t)n < CGROUP_PATH_MAX;
}

static int write_file(const char *folder, const char *name, const char *text)
{
	path_text path;

	if (!join(path, folder, name))
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static int write_number(const char *folder, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return write_file(folder, name, text);
}

/* To be freed; NULL: there is none, or it is too long. */
static char *read_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = fd < 0 ? NULL : malloc(TEXT_MAX);
	size_t used = 0;

	while (text && used < TEXT_MAX) {
		ssize_t n = read(fd, text + used, TEXT_MAX - used);
		if (n < 0)
			return NULL;
		if (n == 0) {
			text[used] = '\0';
			return TAKE_PTR(text);
		}
		used += (size_t)n;
	}
	return NULL;
}

static char *read_in(const char *folder, const char *name)
{
	path_text path;
	return join(path, folder, name) ? read_file(path) : NULL;
}

/* The number behind "KEY " at the start of a line. */
static uint64_t read_value(const char *folder, const char *name, const char *key)
{
	_cleanup_free_ char *text = read_in(folder, name);
	size_t size = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, size) == 0 && line[size] == ' ')
			return strtoull(line + size + 1, NULL, 10);
	}
	return LAUNCH_UNKNOWN;
}

/* ---- what this machine has --------------------------------------------------------------------------------------- */

/* Whether a list separated by commas or blanks has this word. */
static bool list_has(const char *list, size_t size, const char *word)
{
	size_t length = strlen(word);

	for (size_t at = 0; at < size;) {
		size_t end = at;
		while (end < size && !memchr(", \n", list[end], 3))
			end++;
		if (end - at == length && memcmp(list + at, word, length) == 0)
			return true;
		at = end + 1;
	}
	return false;
}

/* Fields of a line: ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [...] - TYPE SOURCE SUPEROPTIONS */
static void parse_mount(const char *line, size_t size, struct cgroup_layout *l)
{
	const char *field[16];
	size_t length[16], count = 0, dash = 0;

	for (size_t at = 0; at < size && count < 16;) {
		const char *blank = memchr(line + at, ' ', size - at);
		field[count] = line + at;
		length[count] = blank ? (size_t)(blank - line) - at : size - at;
		if (length[count] == 1 && line[at] == '-' && !dash)
			dash = count;
		at += length[count++] + 1;
	}
	if (dash < 6 || count < dash + 4 || length[4] >= CGROUP_PATH_MAX - NAME_MAX - 32u || memchr(field[4], '\\', length[4]))
		return;
	bool two = length[dash + 1] == 7 && memcmp(field[dash + 1], "cgroup2", 7) == 0;
	bool one = length[dash + 1] == 6 && memcmp(field[dash + 1], "cgroup", 6) == 0;
	const struct { char *into; bool is; } kinds[] = {
		{ l->unified, two },
		{ l->freezer, one && list_has(field[dash + 3], length[dash + 3], "freezer") },
		{ l->memory, one && list_has(field[dash + 3], length[dash + 3], "memory") },
		{ l->cpu, one && list_has(field[dash + 3], length[dash + 3], "cpu") },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].is && kinds[i].into[0] == '\0')
			snprintf(kinds[i].into, CGROUP_PATH_MAX, "%.*s", (int)length[4], field[4]);
}

void cgroup_layout_parse(struct slice text, struct cgroup_layout *ret_layout)
{
	*ret_layout = (struct cgroup_layout){ 0 };
	for (size_t at = 0; at < text.size;) {
		const char *line = (const char *)text.data + at, *newline = memchr(line, '\n', text.size - at);
		size_t size = newline ? (size_t)(newline - line) : text.size - at;

		parse_mount(line, size, ret_layout);
		at += size + 1;
	}
}

static bool make_folder(const char *path)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static bool file_exists(const char *folder, const char *name)
{
	path_text path;
	return join(path, folder, name) && access(path, F_OK) == 0;
}

/* A controller of version 2 must be handed down twice: to our folder, and to those in it. */
static bool hand_down(const char *root, const char *base, const char *controller)
{
	_cleanup_free_ char *there = read_in(root, "cgroup.controllers");
	char text[16];

	if (!there || !list_has(there, strlen(there), controller))
		return false;
	snprintf(text, sizeof(text), "+%s", controller);
	write_file(root, "cgroup.subtree_control", text);     /* done already on most machines; where it can't be, the next one fails */
	return write_file(base, "cgroup.subtree_control", text) == 0;
}

static void use(struct cgroups *g, enum part part, const char *root, const char *base, int version)
{
	snprintf(g->part[part].root, CGROUP_PATH_MAX, "%s", root);
	snprintf(g->part[part].base, CGROUP_PATH_MAX, "%s", base);
	g->part[part].version = version;
}

static void open_unified(struct cgroups *g, const char *root, const char *folder)
{
	path_text base;

	if (root[0] == '\0' || !join(base, root, folder) || !make_folder(base))
		return;
	if (file_exists(base, "cgroup.freeze"))
		use(g, PART_FREEZER, root, base, 2);
	for (int part = PART_MEMORY; part <= PART_CPU; part++)
		if (hand_down(root, base, controllers[part]))
			use(g, part, root, base, 2);
	rmdir(base);
}

static void open_first(struct cgroups *g, enum part part, const char *root, const char *folder)
{
	path_text base;

	if (g->part[part].version || root[0] == '\0' || !join(base, root, folder) || !make_folder(base))
		return;
	use(g, part, root, base, 1);
	rmdir(base);
}

/* The daemon's folder of a part, made now if no other task is in it. */
static bool make_base(const struct cgroups *g, enum part part)
{
	if (mkdir(g->part[part].base, 0755) < 0)
		return errno == EEXIST;
	for (int each = PART_MEMORY; each <= PART_CPU; each++)
		if (g->part[each].version == 2 && !hand_down(g->part[each].root, g->part[each].base, controllers[each]))
			return false;
	return true;
}

int cgroups_new(bool wanted, uint64_t instance, struct cgroups **ret_groups)
{
	struct cgroups *g = calloc(1, sizeof(*g));
	_cleanup_free_ char *mounts = wanted ? read_file("/proc/self/mountinfo") : NULL;
	struct cgroup_layout layout;
	char folder[32];

	if (!g)
		return -ENOMEM;
	*ret_groups = g;
	if (!mounts)
		return 0;
	snprintf(folder, sizeof(folder), "dios-%016" PRIx64, instance);
	cgroup_layout_parse((struct slice){ .data = (uint8_t *)mounts, .size = strlen(mounts) }, &layout);
	open_unified(g, layout.unified, folder);
	open_first(g, PART_FREEZER, layout.freezer, folder);
	open_first(g, PART_MEMORY, layout.memory, folder);
	open_first(g, PART_CPU, layout.cpu, folder);
	log_info("tasks", "control groups: freezer=%d memory=%d cpu=%d", g->part[PART_FREEZER].version, g->part[PART_MEMORY].version,
		g->part[PART_CPU].version);
	return 0;
}

void cgroups_free(struct cgroups *g)
{
	free(g);
}

bool cgroups_can_freeze(const struct cgroups *g)
{
	return g->part[PART_FREEZER].version != 0;
}

/* ---- one task ---------------------------------------------------------------------------------------------------- */

static bool folder_of(const struct cgroups *g, enum part part, const char *name, path_text out)
{
	return g->part[part].version && join(out, g->part[part].base, name);
}

static bool bound_memory(const struct cgroups *g, const char *folder, uint64_t bytes)
{
	if (g->part[PART_MEMORY].version == 1) {
		int r = write_number(folder, "memory.limit_in_bytes", bytes);
		write_number(folder, "memory.memsw.limit_in_bytes", bytes);
		return r == 0;
	}
	int r = write_number(folder, "memory.max", bytes);
	write_file(folder, "memory.swap.max", "0");
	write_file(folder, "memory.oom.group", "1");       /* a task that lost one process would be half dead */
	return r == 0;
}

static bool bound_cpu(const struct cgroups *g, const char *folder, uint32_t percent)
{
	uint64_t quota = (uint64_t)percent * CPU_PERIOD_US / 100;
	char text[48];

	if (g->part[PART_CPU].version == 1)
		return write_number(folder, "cpu.cfs_period_us", CPU_PERIOD_US) == 0 && write_number(folder, "cpu.cfs_quota_us", quota) == 0;
	snprintf(text, sizeof(text), "%" PRIu64 " %u", quota, CPU_PERIOD_US);
	return write_file(folder, "cpu.max", text) == 0;
}

static bool part_used(const struct cgroups *g, enum part part, const struct cgroup_bounds *bounds)
{
	return g->part[part].version && (part != PART_CPU || bounds->cpu_percent > 0 || g->part[part].version == 2);
}

int cgroup_make(struct cgroups *g, const char *name, struct cgroup_bounds *bounds)
{
	path_text folder;

	for (int part = 0; part < PART_COUNT; part++) {
		if (!part_used(g, part, bounds))
			continue;
		if (!folder_of(g, part, name, folder))
			return -ENAMETOOLONG;
		errno = EIO;
		if (!make_base(g, part) || !make_folder(folder))
			return -errno;
	}
	bounds->memory_kept = bounds->memory_bytes > 0 && folder_of(g, PART_MEMORY, name, folder) && bound_memory(g, folder, bounds->memory_bytes);
	bounds->cpu_kept = bounds->cpu_percent > 0 && folder_of(g, PART_CPU, name, folder) && bound_cpu(g, folder, bounds->cpu_percent);
	return 0;
}

int cgroup_open(const struct cgroups *g, const char *name, const struct cgroup_bounds *bounds, int *ret_fds, size_t *ret_count)
{
	path_text paths[PART_COUNT], folder;

	*ret_count = 0;
	for (int part = 0; part < PART_COUNT; part++) {
		bool known = false, one = g->part[part].version == 1;
		char *path = paths[*ret_count];
		if (!part_used(g, part, bounds) || !folder_of(g, part, name, folder) || !join(path, folder, one ? THREADS_FILE : "."))
			continue;
		for (size_t i = 0; i < *ret_count; i++)
			known |= strcmp(paths[i], path) == 0;
		if (known)
			continue;
		ret_fds[*ret_count] = open(path, one ? O_WRONLY | O_CLOEXEC : O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (ret_fds[*ret_count] < 0)
			return -errno;
		++*ret_count;
	}
	return 0;
}

int cgroup_freeze(struct cgroups *g, const char *name, bool freeze)
{
	path_text folder;

	if (!folder_of(g, PART_FREEZER, name, folder))
		return -EOPNOTSUPP;
	if (g->part[PART_FREEZER].version == 1)
		return write_file(folder, "freezer.state", freeze ? "FROZEN" : "THAWED");
	return write_file(folder, "cgroup.freeze", freeze ? "1" : "0");
}

void cgroup_usage(const struct cgroups *g, const char *name, uint64_t *ret_page_cache, uint64_t *ret_out_of_memory)
{
	path_text folder;

	*ret_page_cache = *ret_out_of_memory = LAUNCH_UNKNOWN;
	if (!folder_of(g, PART_MEMORY, name, folder))
		return;
	bool one = g->part[PART_MEMORY].version == 1;
	*ret_page_cache = read_value(folder, "memory.stat", one ? "cache" : "file");
	*ret_out_of_memory = read_value(folder, one ? "memory.oom_control" : "memory.events", "oom_kill");
}

int cgroup_remove(struct cgroups *g, const char *name)
{
	path_text folder;
	int result = 0;

	for (int part = 0; part < PART_COUNT; part++) {
		if (!folder_of(g, part, name, folder))
			continue;
		if (rmdir(folder) < 0 && errno != ENOENT)
			result = -errno;
		rmdir(g->part[part].base);     /* the last one's leaving */
	}
	return result;
}

/* ---- what an earlier daemon left --------------------------------------------------------------------------------- */

/* Waits for what it kills: by process descriptors, so that no id can have passed to somebody else. */
static void kill_all(const char *folder)
{
	struct pollfd killed[256];
	_cleanup_free_ char *text = read_in(folder, "cgroup.procs");
	size_t count = 0;

	for (char *at = text; at && *at && count < sizeof(killed) / sizeof(killed[0]);) {
		char *end;
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
		if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
			killed[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		else if (fd >= 0)
			close(fd);
		at = end + (*end == '\n');
	}
	for (size_t i = 0; i < count; i++) {
		poll(&killed[i], 1, CLEAR_WAIT_MS);
		close(killed[i].fd);
	}
}

static void clear_folder(struct cgroups *g, enum part part, const char *name)
{
	path_text folder;

	if (!folder_of(g, part, name, folder))
		return;
	if (part == PART_FREEZER)
		cgroup_freeze(g, name, false);
	kill_all(folder);
	if (rmdir(folder) < 0 && errno != ENOENT)
		log_warning("tasks", "control group %s of an earlier daemon stays: %s", folder, strerror(errno));
}

void cgroups_clear(struct cgroups *g, bool (*spared)(void *arg, const char *name), void *arg)
{
	for (int part = 0; part < PART_COUNT; part++) {
		DIR *d = g->part[part].version ? opendir(g->part[part].base) : NULL;
		struct dirent *e;

		while (d && (e = readdir(d)))
			if (e->d_type == DT_DIR && e->d_name[0] != '.' && !spared(arg, e->d_name))
				clear_folder(g, part, e->d_name);
		if (d)
			closedir(d);
		if (g->part[part].version)
			rmdir(g->part[part].base);
	}
}
