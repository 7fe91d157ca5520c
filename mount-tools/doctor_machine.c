/* The kernel, what it lets a process have, and its clocks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "mount-tools/doctor.h"
#include "mount-tools/text.h"

#define KERNEL_OLDEST 5, 10           /* what Debian 11 has; before, calls that dios makes are missing */
#define KERNEL_TESTED 6, 1
#define FILES_NEEDED 1024u            /* heads, log, state and the mount's own */
#define FILES_WANTED 16384u           /* the daemon keeps that many heads open at most */
#define THREADS_NEEDED 256u
#define LOCKED_WANTED (64ull << 20)   /* registered buffers of RDMA, and rings of io_uring on kernels before 5.12 */
#define MEMORY_WANTED (512ull << 20)  /* the state's cache and bytes under way, twice */

static bool older(unsigned major, unsigned minor, unsigned than_major, unsigned than_minor)
{
	return major < than_major || (major == than_major && minor < than_minor);
}

void doctor_kernel(struct doctor *d)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		doctor_say(d, "kernel", DOCTOR_WARN, NULL, "its version is not known");
	else if (older(major, minor, KERNEL_OLDEST))
		doctor_say(d, "kernel", DOCTOR_BAD, "install kernel 6.1 or newer: 'apt install linux-image-amd64', and boot it", "Linux %s is too old", name.release);
	else if (older(major, minor, KERNEL_TESTED))
		doctor_say(d, "kernel", DOCTOR_WARN, "install kernel 6.1 or newer: 'apt install linux-image-amd64', and boot it",
			"Linux %s is older than what dios is tested with", name.release);
	else
		doctor_say(d, "kernel", DOCTOR_OK, NULL, "Linux %s", name.release);
}

/* ---- limits ---- */

static void look_at_files(struct doctor *d)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	unsigned long long most = limit.rlim_max;
	if (most < FILES_NEEDED)
		doctor_say(d, "open files", DOCTOR_BAD, "raise it: 'ulimit -Hn 65536', or LimitNOFILE=65536 in the service",
			"a process here may open %llu files, and dios needs %u", most, FILES_NEEDED);
	else if (most < FILES_WANTED)
		doctor_say(d, "open files", DOCTOR_WARN, "raise it: 'ulimit -Hn 65536', or LimitNOFILE=65536 in the service",
			"a process here may open %llu files: with many large objects in use dios closes and opens them all the time", most);
	else
		doctor_say(d, "open files", DOCTOR_OK, NULL, "a process may open %llu files", most);
}

/* The least of the machine's, the user's and the control group's limits; UINT64_MAX: none. */
static void look_at_threads(struct doctor *d)
{
	uint64_t most = UINT64_MAX, value;
	struct rlimit limit;
	char line[64];

	if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max != RLIM_INFINITY && geteuid() != 0)
		most = limit.rlim_max;
	if (doctor_read_line("/proc/sys/kernel/threads-max", line, sizeof(line)) == 0 && sscanf(line, "%" SCNu64, &value) == 1 && value < most)
		most = value;
	if (doctor_read_line("/sys/fs/cgroup/pids.max", line, sizeof(line)) == 0 && sscanf(line, "%" SCNu64, &value) == 1 && value < most)
		most = value;
	if (most < THREADS_NEEDED)
		doctor_say(d, "threads", DOCTOR_BAD, "raise the limit that is the lowest: 'sysctl kernel.threads-max=65536', TasksMax= of the service",
			"there may be %" PRIu64 " threads here, and dios and its tasks need %u", most, THREADS_NEEDED);
	else if (most == UINT64_MAX)
		doctor_say(d, "threads", DOCTOR_OK, NULL, "there is no limit");
	else
		doctor_say(d, "threads", DOCTOR_OK, NULL, "there may be %" PRIu64, most);
}

static void look_at_memory(struct doctor *d)
{
	uint64_t available = UINT64_MAX, value;
	char line[256];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &value) == 1)
			available = value << 10;
	if (f)
		fclose(f);
	if (doctor_read_line("/sys/fs/cgroup/memory.max", line, sizeof(line)) == 0 && sscanf(line, "%" SCNu64, &value) == 1 && value < available)
		available = value;
	if (available == UINT64_MAX)
		return;
	if (available < MEMORY_WANTED)
		doctor_say(d, "memory", DOCTOR_WARN, "end what is not needed, or raise MemoryMax= of the service", "%" PRIu64 " MiB are available: the daemon may be killed "
			"when many objects are in use", available >> 20);
	else
		doctor_say(d, "memory", DOCTOR_OK, NULL, "%" PRIu64 " MiB are available", available >> 20);
}

/* A process with CAP_IPC_LOCK, as the daemon has by default, is not bound by it. */
static void look_at_locked_memory(struct doctor *d)
{
	struct rlimit limit;
	char text[TEXT_SIZE_MAX];

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (doctor_has_capability(CAP_IPC_LOCK_BIT) || limit.rlim_max == RLIM_INFINITY) {
		doctor_say(d, "locked memory", DOCTOR_OK, NULL, "there is no limit");
		return;
	}
	text_size(limit.rlim_max, text);
	if (limit.rlim_max < LOCKED_WANTED)
		doctor_say(d, "locked memory", DOCTOR_WARN, "raise it: 'ulimit -Hl 65536', or LimitMEMLOCK=64M in the service",
			"a process here may lock %s: too little for buffers that a network card reads itself (RDMA); one node works", text);
	else
		doctor_say(d, "locked memory", DOCTOR_OK, NULL, "a process may lock %s", text);
}

void doctor_limits(struct doctor *d)
{
	look_at_files(d);
	look_at_locked_memory(d);
	look_at_threads(d);
	look_at_memory(d);
}

/* ---- clock ---- */

#define YEAR_2024_S 1704067200        /* before this program was written */

void doctor_clock(struct doctor *d)
{
	static const char *const remedy = "keep it by a time service: 'apt install systemd-timesyncd && timedatectl set-ntp true', or chrony";
	struct timespec boot, monotonic;
	struct timex t = { 0 };
	time_t now = time(NULL);

	if (clock_gettime(CLOCK_BOOTTIME, &boot) < 0 || clock_gettime(CLOCK_MONOTONIC, &monotonic) < 0 || boot.tv_sec + 1 < monotonic.tv_sec)
		doctor_say(d, "boot clock", DOCTOR_BAD, "boot another kernel: leases are counted by this clock", "CLOCK_BOOTTIME does not work");
	else
		doctor_say(d, "boot clock", DOCTOR_OK, NULL, "CLOCK_BOOTTIME works");
	if (now < YEAR_2024_S)
		doctor_say(d, "clock", DOCTOR_BAD, "set it: 'timedatectl set-time ...', and keep it by a time service", "it is wrong: it says a time before 2024");
	else if (adjtimex(&t) < 0)
		doctor_say(d, "clock", DOCTOR_OK, NULL, "whether it is synchronised is not known");
	else if (t.status & STA_UNSYNC)
		doctor_say(d, "clock", DOCTOR_WARN, remedy, "nothing synchronises it: times of files and of tokens' expiry drift away");
	else
		doctor_say(d, "clock", DOCTOR_OK, NULL, "it is synchronised");
}
