/* The fixed files of .dios: texts made when they are opened. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/counter.h"
#include "fs/magic_parts.h"
#include "fs/passthrough.h"
#include "objects/scrub.h"

/* DIOS_LIBFUSE_PRIVATE: built by tools/fetch-deps, since the system's is older. */
#ifdef DIOS_LIBFUSE_PRIVATE
#define LIBFUSE_FROM "private"
#else
#define LIBFUSE_FROM "system"
#endif

const char *fs_libfuse(void)
{
	static char text[64];

	if (snprintf(text, sizeof(text), "%s %s", fuse_pkgversion(), LIBFUSE_FROM) < 0)
		return LIBFUSE_FROM;
	return text;
}

static int print_version(struct fs *fs, struct buffer *out)
{
	(void)fs;
	return buffer_printf(out, "dios %s\nlibfuse %s %s\n", DIOS_VERSION, fuse_pkgversion(), LIBFUSE_FROM);
}

static int print_config(struct fs *fs, struct buffer *out)
{
	for (const struct config_key *k = config_keys; fs->options.config && k->name; k++)
		buffer_printf(out, "%s = %s\n", k->name, config_string(fs->options.config, k->name));
	return buffer_error(out);
}

static int print_stats(struct fs *fs, struct buffer *out)
{
	(void)fs;
	return counters_print_stats(out);
}

static int print_metrics(struct fs *fs, struct buffer *out)
{
	(void)fs;
	return counters_print_prometheus(out);
}

static int print_nodes(struct fs *fs, struct buffer *out)
{
	struct cluster_info info;

	cluster_get_info(objects_cluster(fs->objects), &info);
	return buffer_printf(out, "node %" PRIu64 " state up this yes transport local\n", info.node_id);
}

static int print_shards(struct fs *fs, struct buffer *out)
{
	struct cluster_info info;

	cluster_get_info(objects_cluster(fs->objects), &info);
	return buffer_printf(out, "shard 0 slots 0-65535 leader %" PRIu64 " voters %" PRIu64 " term %" PRIu64 " commit %" PRIu64
		" applied %" PRIu64 " first %" PRIu64 " log_bytes %" PRIu64 "\n",
		info.node_id, info.node_id, info.shard.term, info.shard.commit_index, info.shard.applied_index, info.shard.first_index,
		info.shard.log_bytes);
}

static void json_string(struct buffer *out, const char *text)
{
	buffer_append(out, "\"", 1);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			buffer_printf(out, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			buffer_printf(out, "\\u%04x", *c);
		else
			buffer_append(out, c, 1);
	}
	buffer_append(out, "\"", 1);
}

static void json_time(struct buffer *out, int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_SECOND);
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	buffer_printf(out, "\"%s.%09dZ\"", text, (int)(wall_ns % NS_PER_SECOND));
}

static void json_member(struct buffer *out, const char *key, const char *text)
{
	buffer_printf(out, "\"%s\": ", key);
	json_string(out, text);
}

/* All that is raised, the worst first. problems: the sentences alone, of what needs a person. */
static void print_conditions(struct buffer *out)
{
	_cleanup_buffer_ struct buffer problems;
	bool first = true;

	buffer_init(&problems, CONDITION_COUNT * (CONDITION_TEXT_MAX * 6 + 8));
	buffer_printf(out, "  \"conditions\": [");
	for (int severity = CONDITION_ERROR; severity >= CONDITION_NOTE; severity--)
		for (int i = 0; i < CONDITION_COUNT; i++) {
			const struct condition_kind *kind = &condition_kinds[i];
			struct condition_state state;
			if ((int)kind->severity != severity || !condition_get((enum condition)i, &state))
				continue;
			buffer_printf(out, "%s\n    {\"id\": \"%s\", \"severity\": \"%s\", \"since\": ", first ? "" : ",", kind->id, condition_severity_name(kind->severity));
			json_time(out, state.since_ns);
			buffer_printf(out, ", ");
			json_member(out, "what", state.what);
			buffer_printf(out, ", ");
			json_member(out, "does", kind->does);
			buffer_printf(out, ", ");
			json_member(out, "remedy", kind->remedy);
			buffer_printf(out, "}");
			first = false;
			if (severity == CONDITION_NOTE)
				continue;
			if (problems.size > 0)
				buffer_printf(&problems, ", ");
			json_string(&problems, state.what);
		}
	buffer_printf(out, "],\n  \"problems\": [");
	buffer_append(out, problems.data, problems.size);
	buffer_printf(out, "]\n}\n");
}

/* Without what was found: that has everybody's names. */
static void print_scrub(struct fs *fs, struct buffer *out)
{
	struct scrub_progress p = { .state = "off" };

	if (fs->scrub)
		scrub_get_progress(fs->scrub, &p);
	buffer_printf(out, "  \"scrub\": {\"state\": \"%s\", \"rate\": %" PRIu64 ", \"passes\": %" PRIu64 ", \"done_bytes\": %" PRIu64 ", \"total_bytes\": %" PRIu64
		", \"last_full\": ", p.state, p.rate, p.passes, p.done_bytes, p.total_bytes);
	if (p.full_ns)
		json_time(out, p.full_ns);
	else
		buffer_printf(out, "null");
	buffer_printf(out, "},\n");
}

/* One JSON object: what `dios status` shows. */
static int print_status(struct fs *fs, struct buffer *out)
{
	struct disk_space space = { 0 };
	struct cluster_info info;
	struct magic_task_counts tasks = { 0 };
	char cluster_id[33];

	if (fs->options.tasks && fs->options.tasks->count)
		fs->options.tasks->count(fs->options.tasks->arg, &tasks);
	cluster_get_info(objects_cluster(fs->objects), &info);
	(void)disk_space(objects_store(fs->objects)->disk, &space);
	for (int i = 0; i < 16; i++)
		snprintf(cluster_id + 2 * i, 3, "%02x", info.cluster_id[i]);
	buffer_printf(out, "{\n  \"version\": \"%s\",\n  \"daemon_pid\": %d,\n  \"holder_pid\": %d,\n  \"mount\": ", DIOS_VERSION, (int)getpid(),
		(int)fs->region->header->holder_pid);
	json_string(out, fs->options.mount);
	buffer_printf(out, ",\n  \"data\": ");
	json_string(out, fs->options.data);
	buffer_printf(out, ",\n  \"cluster_id\": \"%s\",\n  \"node_id\": %" PRIu64 ",\n  \"nodes\": 1,\n  \"nodes_missing\": [],\n", cluster_id, info.node_id);
	buffer_printf(out, "  \"objects\": %" PRIu64 ",\n  \"bytes\": %" PRIu64 ",\n", info.objects, info.bytes);
	buffer_printf(out, "  \"total_bytes\": %" PRIu64 ",\n  \"free_bytes\": %" PRIu64 ",\n", space.total_bytes, space.free_bytes);
	buffer_printf(out, "  \"durability\": \"%s\",\n", fs->options.config ? config_string(fs->options.config, "durability") : "full");
	buffer_printf(out, "  \"libfuse\": \"%s\",\n  \"libfuse_from\": \"%s\",\n  \"passthrough\": \"%s\",\n  \"passthrough_why\": \"%s\",\n",
		fuse_pkgversion(), LIBFUSE_FROM, passthrough_mode(fs), passthrough_why(fs));
	buffer_printf(out, "  \"starts\": %" PRIu64 ",\n  \"uptime_s\": %lld,\n", fs->region->header->starts,
		(clock_wall_ns(&clock_system) - fs->started_ns) / NS_PER_SECOND);
	buffer_printf(out, "  \"mounted\": ");
	json_time(out, fs->region->header->mounted_ns);
	buffer_printf(out, ",\n  \"started\": ");
	json_time(out, fs->started_ns);
	buffer_printf(out, ",\n  \"tasks_running\": %zu,\n  \"tasks_waiting\": %zu,\n", tasks.running, tasks.waiting);
	print_scrub(fs, out);
	print_conditions(out);
	return buffer_error(out);
}

/* What is damaged, where the scrubber is: names and paths of everybody's objects, so for root. */
static int print_damage(struct fs *fs, struct buffer *out)
{
	return fs->scrub ? scrub_print(fs->scrub, out) : -EAGAIN;
}

void fs_set_scrub(struct fs *fs, struct scrub *scrub) { fs->scrub = scrub; }

const struct magic_file magic_files[] = {
	{ "nodes", print_nodes }, { "shards", print_shards }, { "stats", print_stats }, { "metrics", print_metrics },
	{ "config", print_config }, { "version", print_version }, { "status", print_status }, { "fsck", NULL }, { "fsck.progress", fsck_print_progress }, { "damage", print_damage, true }, { "quota", quota_print, .write = quota_write },
};
const size_t magic_file_count = sizeof(magic_files) / sizeof(magic_files[0]);
