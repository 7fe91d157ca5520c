/* Reading /proc; see process.h. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tasks/process.h"
#include "tasks/stats.h"

#define PROC_TEXT_MAX 65536u     /* 65,536 groups take more; then there are too many anyway */
#define SIGNAL_PASSES 64         /* over /proc: a task that forks faster than it is stopped is stopped by its control group or not at all */
#define SIGNALLED_MAX 65536u

static int read_file(const char *path, char *text, size_t size, size_t *ret_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	for (;;) {
		ssize_t n = read(fd, text + used, size - 1 - used);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == size - 1)
			return -E2BIG;
	}
	text[used] = '\0';
	*ret_size = used;
	return 0;
}

static int read_proc(pid_t pid, const char *file, char *text, size_t size, size_t *ret_size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return read_file(path, text, size, ret_size);
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

/* The numbers of a line, at most count of them. How many there are. */
static size_t parse_numbers(const char *line, int base, uint64_t *numbers, size_t count)
{
	size_t n = 0;

	for (;;) {
		char *end;
		line += strspn(line, " \t");
		if (*line == '\n' || *line == '\0')
			return n;
		errno = 0;
		uint64_t number = strtoull(line, &end, base);
		if (end == line || errno)
			return n;
		if (n < count)
			numbers[n] = number;
		n++;
		line = end;
	}
}

/* What stands behind "\nKEY:". NULL: no such line. */
static const char *find_line(const char *text, const char *key)
{
	size_t size = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, size) == 0 && line[size] == ':')
			return line + size + 1;
	}
	return NULL;
}

static bool parse_line(const char *text, const char *key, int base, uint64_t *numbers, size_t count)
{
	const char *line = find_line(text, key);

	return line && parse_numbers(line, base, numbers, count) >= count;
}

int process_parse_status(struct slice bytes, struct process_status *ret_status)
{
	_cleanup_free_ char *text = strndup((const char *)bytes.data, bytes.size);
	struct process_status s = { 0 };
	uint64_t numbers[LAUNCH_GROUPS_MAX] = { 0 };

	if (!text)
		return -ENOMEM;
	if (!parse_line(text, "PPid", 10, numbers, 1) || numbers[0] > INT_MAX)
		return -EBADMSG;
	s.parent = (pid_t)numbers[0];
	if (!parse_line(text, "Uid", 10, numbers, 4) || numbers[3] > UINT32_MAX)
		return -EBADMSG;
	s.uid = (uint32_t)numbers[3];
	if (!parse_line(text, "Gid", 10, numbers, 4) || numbers[3] > UINT32_MAX)
		return -EBADMSG;
	s.gid = (uint32_t)numbers[3];
	if (!parse_line(text, "CapEff", 16, &s.capabilities, 1))
		return -EBADMSG;
	if (parse_line(text, "VmRSS", 10, numbers, 1))
		s.rss_bytes = numbers[0] * 1024;
	const char *groups = find_line(text, "Groups");
	if (!groups)
		return -EBADMSG;
	s.group_count = parse_numbers(groups, 10, numbers, LAUNCH_GROUPS_MAX);
	if (s.group_count > LAUNCH_GROUPS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < s.group_count; i++)
		s.groups[i] = (uint32_t)numbers[i];
	*ret_status = s;
	return 0;
}

int process_get_status(pid_t pid, struct process_status *ret_status)
{
	_cleanup_free_ char *text = malloc(PROC_TEXT_MAX);
	size_t size;

	if (!text)
		return -ENOMEM;
	int r = pid > 0 ? read_proc(pid, "status", text, PROC_TEXT_MAX, &size) : -ESRCH;
	return r < 0 ? r : process_parse_status((struct slice){ .data = (const uint8_t *)text, .size = size }, ret_status);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static const char *parse_limit(const char *text, uint64_t *ret_limit)
{
	char *end;

	text += strspn(text, " ");
	if (strncmp(text, "unlimited", 9) == 0) {
		*ret_limit = RLIM_INFINITY;
		return text + 9;
	}
	*ret_limit = strtoull(text, &end, 10);
	return end == text ? NULL : end;
}

int process_parse_limits(struct slice bytes, struct launch_limit limits[static RLIM_NLIMITS])
{
	static const char *const names[RLIM_NLIMITS] = {
		[RLIMIT_CPU] = "Max cpu time", [RLIMIT_FSIZE] = "Max file size", [RLIMIT_DATA] = "Max data size", [RLIMIT_STACK] = "Max stack size",
		[RLIMIT_CORE] = "Max core file size", [RLIMIT_RSS] = "Max resident set", [RLIMIT_NPROC] = "Max processes", [RLIMIT_NOFILE] = "Max open files",
		[RLIMIT_MEMLOCK] = "Max locked memory", [RLIMIT_AS] = "Max address space", [RLIMIT_LOCKS] = "Max file locks",
		[RLIMIT_SIGPENDING] = "Max pending signals", [RLIMIT_MSGQUEUE] = "Max msgqueue size", [RLIMIT_NICE] = "Max nice priority",
		[RLIMIT_RTPRIO] = "Max realtime priority", [RLIMIT_RTTIME] = "Max realtime timeout",
	};
	_cleanup_free_ char *text = strndup((const char *)bytes.data, bytes.size);

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < RLIM_NLIMITS; i++) {
		const char *line = strstr(text, names[i]);
		const char *at = line ? parse_limit(line + strlen(names[i]), &limits[i].soft) : NULL;
		if (!at || !parse_limit(at, &limits[i].hard))
			return -EBADMSG;
	}
	return 0;
}

/* Not prlimit(2): that takes CAP_SYS_RESOURCE, which a daemon in a container may lack. */
static int get_limits(pid_t pid, struct launch *l)
{
	char text[4096];
	size_t size;
	int r = read_proc(pid, "limits", text, sizeof(text), &size);

	if (r == 0)
		r = process_parse_limits((struct slice){ .data = (const uint8_t *)text, .size = size }, l->limits);
	if (r == 0)
		l->limit_count = RLIM_NLIMITS;
	return r;
}

/* ---- identity ---------------------------------------------------------------------------------------------------- */

int process_identity(pid_t pid, uint32_t uid, uint32_t gid, struct launch *l)
{
	struct process_status s;
	int r = process_get_status(pid, &s);

	l->uid = uid;
	l->gid = gid;
	/* Another user's: not the process that asked. */
	if (r == -ESRCH || (r == 0 && s.uid != uid))
		return 0;
	if (r < 0)
		return r;
	r = get_limits(pid, l);
	if (r < 0)
		return r == -ESRCH ? 0 : r;
	l->capabilities = s.capabilities;
	l->group_count = s.group_count;
	memcpy(l->groups, s.groups, sizeof(l->groups));
	return 0;
}

/* ---- name spaces ------------------------------------------------------------------------------------------------- */

int process_namespace(pid_t pid, uint64_t *ret_namespace)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	if (pid <= 0 || stat(path, &st) < 0)
		return pid <= 0 || errno == ENOENT ? -ESRCH : -errno;
	*ret_namespace = st.st_ino;
	return 0;
}

struct signalled { pid_t *pids; size_t count; };

static bool signalled_before(const struct signalled *s, pid_t pid)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->pids[i] == pid)
			return true;
	return false;
}

/* One look over /proc; how many new ones got the signal. */
static int signal_pass(uint64_t ns, pid_t except, int signal, struct signalled *done)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int found = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		char *end;
		uint64_t its;
		long pid = strtol(e->d_name, &end, 10);

		if (*end != '\0' || pid <= 0 || pid > INT_MAX || pid == except || signalled_before(done, (pid_t)pid))
			continue;
		if (process_namespace((pid_t)pid, &its) < 0 || its != ns || kill((pid_t)pid, signal) < 0 || done->count == SIGNALLED_MAX)
			continue;
		done->pids[done->count++] = (pid_t)pid;
		found++;
	}
	closedir(d);
	return found;
}

int processes_signal(uint64_t ns, pid_t except, int signal)
{
	_cleanup_free_ pid_t *pids = malloc(SIGNALLED_MAX * sizeof(*pids));
	struct signalled done = { .pids = pids };
	int r = pids ? 1 : -ENOMEM;

	for (int pass = 0; r > 0 && pass < SIGNAL_PASSES; pass++)
		r = signal_pass(ns, except, signal, &done);
	return r < 0 ? r : 0;
}

/* ---- usage ------------------------------------------------------------------------------------------------------- */

static void parse_io(const char *text, struct launch_usage *u)
{
	static const struct { const char *key; size_t offset; } fields[] = {
		{ "rchar", offsetof(struct launch_usage, bytes_read) }, { "wchar", offsetof(struct launch_usage, bytes_written) },
		{ "read_bytes", offsetof(struct launch_usage, disk_bytes_read) }, { "write_bytes", offsetof(struct launch_usage, disk_bytes_written) },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t number;
		if (parse_line(text, fields[i].key, 10, &number, 1))
			memcpy((char *)u + fields[i].offset, &number, sizeof(number));
	}
}

/* Fields 14 and 15 of stat(5), in clock ticks; the name before them may hold anything. */
static void parse_times(const char *text, struct launch_usage *u)
{
	const char *behind = strrchr(text, ')');
	uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK), numbers[12];

	if (!behind || strlen(behind) < 4)
		return;
	/* behind is ") S ppid ...": the state is field 3. */
	if (parse_numbers(behind + 3, 10, numbers, 12) < 12)
		return;
	u->user_ns = numbers[10] * tick_ns;
	u->system_ns = numbers[11] * tick_ns;
}

int process_usage(pid_t pid, struct launch_usage *ret_usage)
{
	char text[4096];
	size_t size;
	struct launch_usage u;

	task_usage_unknown(&u);
	int r = read_proc(pid, "stat", text, sizeof(text), &size);
	if (r < 0)
		return r;
	parse_times(text, &u);
	if (read_proc(pid, "io", text, sizeof(text), &size) == 0)
		parse_io(text, &u);
	*ret_usage = u;
	return 0;
}
