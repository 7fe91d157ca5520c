/* Facts of objects; see facts.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "mount-tools/facts.h"
#include "mount-tools/text.h"

#define NAMED(table, index) ((index) < sizeof(table) / sizeof((table)[0]) && (table)[index] ? (table)[index] : "unknown")

const char *facts_task_state(uint32_t state)
{
	static const char *const names[] = {
		[DIOS_TASK_WAITING] = "waiting", [DIOS_TASK_RUNNING] = "running", [DIOS_TASK_PAUSED] = "paused",
		[DIOS_TASK_EXITED] = "exited", [DIOS_TASK_FAILED] = "failed", [DIOS_TASK_LOST] = "lost",
	};
	return NAMED(names, state);
}

const char *facts_proximity(uint32_t proximity)
{
	static const char *const names[] = {
		[DIOS_NEAR_CPU] = "cpu memory", [DIOS_NEAR_MEMORY] = "local memory", [DIOS_NEAR_DISK] = "local disk",
		[DIOS_ONE_HOP_MEMORY] = "one-hop memory", [DIOS_ONE_HOP_DISK] = "one-hop disk",
		[DIOS_HOPS_MEMORY] = "several-hop memory", [DIOS_HOPS_DISK] = "several-hop disk", [DIOS_FAR_MEMORY] = "far memory",
		[DIOS_FAR_DISK] = "far disk",
	};
	return NAMED(names, proximity);
}

const char *facts_lifecycle(uint32_t lifecycle)
{
	static const char *const names[] = {
		[DIOS_REFCOUNTED] = "reference-counted", [DIOS_SINGLE_DELETE] = "single-delete", [DIOS_IMMORTAL] = "immortal",
	};
	return NAMED(names, lifecycle);
}

const char *facts_produced(uint32_t produced)
{
	static const char *const names[] = {
		[DIOS_PRODUCED_YES] = "yes", [DIOS_PRODUCED_NOT_YET] = "not-yet", [DIOS_PRODUCED_FAILED] = "failed",
	};
	return NAMED(names, produced);
}

static const char *consistency_name(uint32_t consistency)
{
	static const char *const names[] = {
		[DIOS_OPTIMISTIC] = "optimistic", [DIOS_NONE] = "none", [DIOS_EVENTUAL] = "eventual", [DIOS_MUTEX] = "mutex",
	};
	return NAMED(names, consistency);
}

static const char *kind_of_mode(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "directory";
	case S_IFLNK: return "symlink";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "socket";
	case S_IFREG: return "blob";
	default: return "device";
	}
}

static const char *kind_name(uint32_t kind, mode_t mode)
{
	static const char *const names[] = { [DIOS_BLOB] = "blob", [DIOS_STREAM] = "stream", [DIOS_TASK] = "task" };

	return S_ISREG(mode) && kind < 4 && names[kind] ? names[kind] : kind_of_mode(mode);
}

/* The attribute's text up to its NUL or newline; false: none. */
static bool read_attribute(int fd, const char *path, const char *key, char *out, size_t size)
{
	ssize_t n = fd >= 0 ? fgetxattr(fd, key, out, size - 1) : getxattr(path, key, out, size - 1);

	if (n < 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return out[0] != '\0';
}

static void facts_from_info(int fd, struct facts *f)
{
	struct dios_ioctl_replica replicas[DIOS_REPLICAS_MAX];
	size_t count = DIOS_REPLICAS_MAX, used = 0;
	struct dios_name name;

	f->has_info = true;
	memcpy(name.bytes, f->info.name, sizeof(name.bytes));
	dios_name_to_text(&name, f->name);
	f->kind = kind_name(f->info.kind, f->st.st_mode);
	f->has_version = true;
	f->version = f->info.object_version;
	snprintf(f->proximity, sizeof(f->proximity), "%s", facts_proximity(f->info.proximity));
	f->replica_count = f->info.replicas;
	if (dios_replicas(fd, replicas, &count) < 0)
		return;
	f->replica_count = (uint32_t)count;
	for (size_t i = 0; i < count && used < sizeof(f->replicas); i++)
		used += (size_t)snprintf(f->replicas + used, sizeof(f->replicas) - used, "%s%" PRIu64, i ? "," : "", replicas[i].node);
}

/* What the attributes say, where the object did not speak itself. */
static void facts_from_attributes(int fd, const char *path, struct facts *f)
{
	static const char *const kinds[] = { "blob", "stream", "task" };
	char text[64];

	if (!f->has_info) {
		if (!read_attribute(fd, path, "user.dios.name", f->name, sizeof(f->name)))
			snprintf(f->name, sizeof(f->name), "-");
		if (read_attribute(fd, path, "user.dios.type", text, sizeof(text)))
			for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
				if (strcmp(text, kinds[i]) == 0)
					f->kind = kinds[i];
		if (read_attribute(fd, path, "user.dios.version", text, sizeof(text))) {
			char *end;

			f->version = strtoull(text, &end, 10);
			f->has_version = !*end;
		}
		read_attribute(fd, path, "user.dios.proximity", f->proximity, sizeof(f->proximity));
		if (read_attribute(fd, path, "user.dios.replicas", f->replicas, sizeof(f->replicas)))
			for (const char *p = f->replicas; p; p = strchr(p + 1, ','))
				f->replica_count++;
	}
	if (!read_attribute(fd, path, "user.dios.lease", f->lease, sizeof(f->lease)))
		snprintf(f->lease, sizeof(f->lease), "-");
}

int facts_read(int directory, const char *path, int flags, struct facts *ret_facts)
{
	struct facts f = { .name = "-", .proximity = "-", .replicas = "-", .lease = "-" };
	_cleanup_close_ int fd = -1;
	char place[64];

	if (fstatat(directory, path, &f.st, flags) < 0)
		return -errno;
	f.kind = kind_of_mode(f.st.st_mode);
	if (!S_ISREG(f.st.st_mode) && !S_ISDIR(f.st.st_mode)) {
		*ret_facts = f;   /* Linux gives these no attributes, and opening them reaches no mount */
		return 0;
	}
	fd = openat(directory, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		f.refused = -errno;
	else
		f.refused = dios_info(fd, &f.info);
	if (fd >= 0 && f.refused == 0)
		facts_from_info(fd, &f);
	if (fd < 0 && directory != AT_FDCWD) {
		/* getxattr has no "at" form */
		_cleanup_close_ int path_fd = openat(directory, path, O_PATH | O_CLOEXEC);

		snprintf(place, sizeof(place), "/proc/self/fd/%d", path_fd);
		if (path_fd >= 0)
			facts_from_attributes(-1, place, &f);
	} else {
		facts_from_attributes(fd, path, &f);
	}
	*ret_facts = f;
	return 0;
}

static void json_or_null(struct json *j, const char *key, const char *text)
{
	if (strcmp(text, "-") == 0)
		json_null(j, key);
	else
		json_string(j, key, text);
}

static void json_replicas(struct json *j, const struct facts *f)
{
	json_open_array(j, "replicas");
	for (const char *p = f->replicas; *p && strcmp(f->replicas, "-") != 0;) {
		size_t size = strcspn(p, ",");

		json_bytes(j, NULL, p, size);
		p += size + (p[size] == ',');
	}
	json_close(j);
}

static void json_stream(struct json *j, const struct dios_ioctl_info *info)
{
	json_open_object(j, "stream");
	json_uint(j, "start", info->stream_start);
	json_uint(j, "end", info->stream_end);
	json_uint(j, "consumed", info->stream_consumed);
	json_uint(j, "records", info->stream_records);
	json_uint(j, "limit_bytes", info->limit_bytes);
	json_uint(j, "trim_bytes", info->trim_bytes);
	json_int(j, "trim_age_ns", info->trim_age_ns);
	json_bool(j, "trim_consumed", info->stream_state & DIOS_STREAM_TRIM_CONSUMED);
	json_bool(j, "direct", info->create_flags & DIOS_DIRECT);
	json_bool(j, "end_on_close", info->create_flags & DIOS_END_ON_CLOSE);
	json_bool(j, "ended", info->stream_state & DIOS_STREAM_ENDED);
	json_bool(j, "broken", info->stream_state & DIOS_STREAM_BROKEN);
	json_close(j);
}

static void json_info(struct json *j, const struct dios_ioctl_info *info)
{
	json_string(j, "lifecycle", facts_lifecycle(info->lifecycle));
	json_string(j, "produced", facts_produced(info->produced));
	json_string(j, "read_consistency", consistency_name(info->read_consistency));
	json_string(j, "write_consistency", consistency_name(info->write_consistency));
	json_bool(j, "memory_only", info->create_flags & DIOS_MEMORY);
	json_bool(j, "local_only", info->create_flags & DIOS_LOCAL);
	if (info->kind == DIOS_STREAM)
		json_stream(j, info);
	if (info->kind == DIOS_TASK)
		json_string(j, "state", facts_task_state(info->task_state));
}

void facts_json(struct json *j, const struct facts *f)
{
	char number[24], time[TEXT_TIME_MAX];

	json_or_null(j, "name", f->name);
	json_string(j, "kind", f->kind);
	json_uint(j, "size", (uint64_t)f->st.st_size);
	if (f->has_version)
		json_uint(j, "version", f->version);
	else
		json_null(j, "version");
	json_or_null(j, "proximity", f->proximity);
	json_replicas(j, f);
	json_or_null(j, "lease", f->lease);
	/* A string: inode numbers have 64 bits, of which most readers of JSON keep 53. */
	snprintf(number, sizeof(number), "%" PRIu64, (uint64_t)f->st.st_ino);
	json_string(j, "ino", number);
	snprintf(number, sizeof(number), "%04o", f->st.st_mode & 07777u);
	json_string(j, "mode", number);
	json_uint(j, "uid", f->st.st_uid);
	json_uint(j, "gid", f->st.st_gid);
	json_uint(j, "links", f->st.st_nlink);
	json_uint(j, "blocks", (uint64_t)f->st.st_blocks);
	text_time((int64_t)f->st.st_mtim.tv_sec * 1000000000 + f->st.st_mtim.tv_nsec, time);
	json_string(j, "modified", time);
	text_time((int64_t)f->st.st_ctim.tv_sec * 1000000000 + f->st.st_ctim.tv_nsec, time);
	json_string(j, "changed", time);
	if (f->has_info)
		json_info(j, &f->info);
}
