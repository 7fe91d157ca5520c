/* The library that makes the Nth call fail. It is loaded into the daemon (LD_PRELOAD) and does nothing in any other program.
 *
 * Allocations are counted if they are made by dios and the libraries that it links to its own code, also through the C library (strdup,
 * opendir): RocksDB's own are C++'s, and there is no way to refuse them; OpenSSL's while it loads its algorithms crash it, at a daemon's
 * start only (caps/keys.h), and are left out there. All other calls are counted whoever makes them, RocksDB too. */
#undef _FILE_OFFSET_BITS   /* both families of names are defined here: on 64-bit machines they are one */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/sweep/sweep.h"

#define MODULES_MAX 16
#define EARLY_SIZE 65536        /* bytes for what dlsym allocates before there is a real calloc */
#define FRAMES_MAX 40

struct module { uintptr_t start, end; };

static struct sweep_control *control;
static struct module counted[MODULES_MAX], libc, crypto, self;
static unsigned counted_count;
static uintptr_t executable_base;
static _Thread_local bool inside;    /* the library's own calls */

static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	int (*posix_memalign)(void **, size_t, size_t);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
	int (*fsync)(int);
	int (*fdatasync)(int);
	int (*rename)(const char *, const char *);
	int (*renameat)(int, const char *, int, const char *);
	int (*open)(const char *, int, ...);
	int (*openat)(int, const char *, int, ...);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
} real;

static _Alignas(16) char early[EARLY_SIZE];
static size_t early_used;

static void *early_alloc(size_t size)
{
	size_t at = early_used;

	early_used += (size + 15) & ~(size_t)15;
	return early_used <= sizeof(early) ? early + at : NULL;
}

static bool is_early(const void *p) { return (const char *)p >= early && (const char *)p < early + sizeof(early); }

static void *next(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (!p)
		abort();
	return p;
}

static void find_allocators(void)
{
	static _Thread_local bool finding;

	if (real.malloc || finding)
		return;
	finding = true;
	real.calloc = next("calloc");
	real.realloc = next("realloc");
	real.free = next("free");
	real.posix_memalign = next("posix_memalign");
	real.malloc = next("malloc");
	finding = false;
}

/* ---- who calls ---- */

static bool in(const struct module *m, uintptr_t at) { return at >= m->start && at < m->end; }

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	static const char *const ours[] = { "libfuse3", "libmsgpack", "libseccomp", "libraft" };
	uintptr_t start = UINTPTR_MAX, end = 0;
	const char *slash = strrchr(info->dlpi_name, '/'), *name = slash ? slash + 1 : info->dlpi_name;
	bool mine = info->dlpi_name[0] == '\0' && executable_base == 0;

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		start = at < start ? at : start;
		end = at + info->dlpi_phdr[i].p_memsz > end ? at + info->dlpi_phdr[i].p_memsz : end;
	}
	struct module m = { start, end };
	if (mine)
		executable_base = info->dlpi_addr;
	if (strncmp(name, "libc.so", 7) == 0)
		libc = m;
	if (strncmp(name, "libcrypto", 9) == 0)
		crypto = m;
	if (in(&m, (uintptr_t)(void *)note_module))
		self = m;
	for (size_t i = 0; !mine && i < sizeof(ours) / sizeof(ours[0]); i++)
		mine = strncmp(name, ours[i], strlen(ours[i])) == 0;
	if (mine && counted_count < MODULES_MAX)
		counted[counted_count++] = m;
	return 0;
}

static bool is_counted(uintptr_t at)
{
	if (in(&crypto, at))
		return !atomic_load_explicit(&control->without_crypto, memory_order_relaxed);
	for (unsigned i = 0; i < counted_count; i++)
		if (in(&counted[i], at))
			return true;
	return false;
}

/* The C library allocates for whoever called it. */
static bool allocation_counts(void *caller)
{
	void *frames[FRAMES_MAX];
	uintptr_t at = (uintptr_t)caller;

	if (!in(&libc, at))
		return is_counted(at);
	inside = true;
	int n = backtrace(frames, FRAMES_MAX);
	inside = false;
	for (int i = 0; i < n; i++) {
		at = (uintptr_t)frames[i];
		if (!in(&libc, at) && !in(&self, at))
			return is_counted(at);
	}
	return false;
}

/* ---- counting ---- */

static void note_place(const char *what, const char *path)
{
	void *frames[FRAMES_MAX];

	inside = true;
	int n = backtrace(frames, FRAMES_MAX);
	snprintf(control->what, sizeof(control->what), "%s %s", what, path);
	uint32_t count = 0;
	for (int i = 0; i < n && count < SWEEP_TRACE_MAX; i++)
		if (is_counted((uintptr_t)frames[i]))
			control->trace[count++] = (uintptr_t)frames[i] - executable_base;
	atomic_store(&control->trace_count, count);
	inside = false;
}

/* Whether this call is to fail; errno is set then. */
static bool fails(enum sweep_kind kind, const char *what, const char *path)
{
	uint64_t nth = atomic_load(&control->nth);

	if (nth == 0 || !(atomic_load(&control->kinds) & 1u << kind) || (control->match[0] && !strstr(path, control->match)))
		return false;
	uint64_t number = atomic_fetch_add(&control->count, 1) + 1;
	if (number < nth || number > atomic_load(&control->last))
		return false;
	if (atomic_fetch_add(&control->fired, 1) == 0)
		note_place(what, path);
	errno = atomic_load(&control->error);
	return true;
}

static bool armed(void) { return control && !inside && atomic_load_explicit(&control->nth, memory_order_relaxed) != 0; }

static bool allocation_fails(void *caller, const char *what)
{
	return armed() && allocation_counts(caller) && fails(SWEEP_MALLOC, what, "");
}

static bool file_fails(enum sweep_kind kind, const char *what, int fd)
{
	char link[64], path[512];
	int saved = errno;

	if (!armed())
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (fails(kind, what, path))
		return true;
	errno = saved;
	return false;
}

static __attribute__((constructor)) void begin(void)
{
	const char *path = getenv("DIOS_SWEEP");
	void *frame[2];

	find_allocators();
	real.write = next("write");
	real.pwrite = next("pwrite");
	real.pwritev = next("pwritev");
	real.fsync = next("fsync");
	real.fdatasync = next("fdatasync");
	real.rename = next("rename");
	real.renameat = next("renameat");
	real.open = next("open");
	real.openat = next("openat");
	real.mmap = next("mmap");
	if (!path || strcmp(program_invocation_short_name, "diosd") != 0)
		return;
	dl_iterate_phdr(note_module, NULL);
	backtrace(frame, 2);       /* it loads a library, once */
	int fd = real.open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	void *p = real.mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		abort();
	atomic_store(&((struct sweep_control *)p)->pid, (uint32_t)getpid());
	control = p;
}

/* ---- allocations ---- */

void *malloc(size_t size)
{
	find_allocators();
	if (!real.malloc)
		return early_alloc(size);
	return allocation_fails(__builtin_return_address(0), "malloc") ? NULL : real.malloc(size);
}

void *calloc(size_t count, size_t size)
{
	find_allocators();
	if (!real.malloc)
		return early_alloc(count * size);
	return allocation_fails(__builtin_return_address(0), "calloc") ? NULL : real.calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	find_allocators();
	if (!real.malloc || is_early(p)) {
		void *copy = real.malloc ? real.malloc(size) : early_alloc(size);
		size_t left = p ? (size_t)(early + sizeof(early) - (char *)p) : 0;
		if (copy && p)
			memcpy(copy, p, size < left ? size : left);
		return copy;
	}
	return allocation_fails(__builtin_return_address(0), "realloc") ? NULL : real.realloc(p, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	find_allocators();
	return allocation_fails(__builtin_return_address(0), "posix_memalign") ? ENOMEM : real.posix_memalign(ret, alignment, size);
}

void free(void *p)
{
	find_allocators();
	if (p && !is_early(p))
		real.free(p);
}

/* ---- files ---- */

ssize_t write(int fd, const void *data, size_t size)
{
	return file_fails(SWEEP_WRITE, "write", fd) ? -1 : real.write(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return file_fails(SWEEP_PWRITE, "pwrite", fd) ? -1 : real.pwrite(fd, data, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return file_fails(SWEEP_PWRITE, "pwritev", fd) ? -1 : real.pwritev(fd, iov, count, offset);
}

int fsync(int fd) { return file_fails(SWEEP_SYNC, "fsync", fd) ? -1 : real.fsync(fd); }
int fdatasync(int fd) { return file_fails(SWEEP_SYNC, "fdatasync", fd) ? -1 : real.fdatasync(fd); }

int rename(const char *from, const char *to)
{
	return armed() && fails(SWEEP_RENAME, "rename", to) ? -1 : real.rename(from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return armed() && fails(SWEEP_RENAME, "renameat", to) ? -1 : real.renameat(from_fd, from, to_fd, to);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = mode_of(flags, ap);
	va_end(ap);
	return armed() && fails(SWEEP_OPEN, "open", path) ? -1 : real.open(path, flags, mode);
}

int openat(int fd, const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = mode_of(flags, ap);
	va_end(ap);
	return armed() && fails(SWEEP_OPEN, "openat", path) ? -1 : real.openat(fd, path, flags, mode);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (real.mmap && armed() && fails(SWEEP_MMAP, "mmap", ""))
		return MAP_FAILED;
	return (real.mmap ? real.mmap : (void *(*)(void *, size_t, int, int, int, off_t))next("mmap"))(at, size, protection, flags, fd, offset);
}

/* The names that programs built for large files use. */
#define LARGE(name) extern __typeof__(name) name##64 __attribute__((alias(#name)))
LARGE(pwrite);
LARGE(pwritev);
LARGE(open);
LARGE(openat);
LARGE(mmap);
