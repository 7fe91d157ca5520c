/* What is looked at, because nothing tells of it by itself: room, inodes, the file system's
 * state, the clock, the length of the log, how often the daemon was started, the configuration.
 * Once a second by the maintenance thread; what fails where it is done raises its condition there (base/condition.h). */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/condition.h"
#include "base/log.h"
#include "mount-tools/diosd.h"
#include "store/disk_facts.h"

#define LOOK_INTERVAL_NS NS_PER_SECOND
#define NEARLY_FULL_SHARE 20                 /* of the file system: less than this part is free */
#define NEARLY_FULL_BYTES (2ull << 30)       /* no more than this, however large it is */
#define INODES_SHARE 50
#define QUOTA_NEAR 90                        /* percent of a limit: more are used */
#define QUOTA_FAR 85                         /* so few that it is over */
#define LOG_LONG_BYTES (512ull << 20)        /* eight times what makes it be flushed */
#define DYING_NS (120 * NS_PER_SECOND)       /* as many starts as are kept within that: it keeps dying */
#define STEP_NS (2 * NS_PER_SECOND)
#define STEP_TOLD_NS (3600 * NS_PER_SECOND)  /* how long a step is shown */

/* As a person would say it. */
static const char *size_text(uint64_t bytes, char text[static 32])
{
	static const char units[] = " KMGTPE";
	double value = (double)bytes;
	int unit = 0;

	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	if (unit == 0)
		snprintf(text, 32, "%d bytes", (int)value);
	else
		snprintf(text, 32, "%.*f%ciB", value < 10 ? 1 : 0, value, units[unit]);
	return text;
}

static void look_at_room(struct diosd *d)
{
	char free_text[32], total_text[32];
	struct disk_space space;

	if (disk_space(d->store->disk, &space) < 0 || space.total_bytes == 0)
		return;
	uint64_t low = space.total_bytes / NEARLY_FULL_SHARE;
	low = store_kept_free(d->store) + (low < NEARLY_FULL_BYTES ? low : NEARLY_FULL_BYTES);
	size_text(space.free_bytes, free_text);
	size_text(space.total_bytes, total_text);
	/* The store asks the disk only now and then; asked here, it also takes its reserve back when there is room. */
	bool room = store_has_room(d->store, 0) && space.free_bytes >= store_kept_free(d->store);
	if (!room)
		condition_raise(CONDITION_DISK_FULL, "the disk of %s is full: %s of %s are free, and what is left is kept for deleting", d->region.header->data,
			free_text, total_text);
	else
		condition_clear(CONDITION_DISK_FULL);
	if (room && space.free_bytes < low)
		condition_raise(CONDITION_DISK_NEARLY_FULL, "the disk of %s is nearly full: %s of %s are free", d->region.header->data, free_text, total_text);
	else if (!room || space.free_bytes > low + low / 8)
		condition_clear(CONDITION_DISK_NEARLY_FULL);
	/* Some file systems make inodes as they are wanted, and count none. */
	if (space.total_inodes > 0 && space.free_inodes < space.total_inodes / INODES_SHARE)
		condition_raise(CONDITION_INODES_NEARLY_USED, "the file system of %s has %llu of its %llu inodes left", d->region.header->data,
			(unsigned long long)space.free_inodes, (unsigned long long)space.total_inodes);
	else
		condition_clear(CONDITION_INODES_NEARLY_USED);
}

static bool is_used(uint64_t used, uint64_t limit, unsigned percent)
{
	return limit > 0 && (used >= limit || (double)used > (double)limit * percent / 100);
}

static const char *how_used(uint64_t used, uint64_t limit) { return used < limit ? "nearly used" : "used up"; }

static void look_at_quota(struct diosd *d)
{
	char used_text[32], limit_text[32], bytes_text[128] = "", objects_text[128] = "";
	struct state_usage usage;

	objects_get_usage(d->objects, &usage);
	const struct state_quota *used = &usage.used, *limit = &usage.limit;
	bool bytes = is_used(used->bytes, limit->bytes, QUOTA_NEAR), objects = is_used(used->objects, limit->objects, QUOTA_NEAR);
	if (bytes)
		snprintf(bytes_text, sizeof(bytes_text), "the quota of bytes is %s: %s of %s", how_used(used->bytes, limit->bytes), size_text(used->bytes, used_text),
			size_text(limit->bytes, limit_text));
	if (objects)
		snprintf(objects_text, sizeof(objects_text), "the quota of objects is %s: %llu of %llu", how_used(used->objects, limit->objects),
			(unsigned long long)used->objects, (unsigned long long)limit->objects);
	if (bytes || objects)
		condition_raise(CONDITION_QUOTA_NEARLY_USED, "%s%s%s", bytes_text, bytes && objects ? "; " : "", objects_text);
	else if (!is_used(used->bytes, limit->bytes, QUOTA_FAR) && !is_used(used->objects, limit->objects, QUOTA_FAR))
		condition_clear(CONDITION_QUOTA_NEARLY_USED);
}

static void look_at_file_system(struct diosd *d)
{
	struct disk_facts facts;
	struct statvfs st;

	if (statvfs(d->region.header->data, &st) < 0 || disk_facts_read(d->region.header->data, &facts) < 0)
		return;
	if (st.f_flag & ST_RDONLY || facts.read_only)
		condition_raise(CONDITION_DISK_READ_ONLY, "the file system of %s is read-only", d->region.header->data);
	else
		condition_clear(CONDITION_DISK_READ_ONLY);
}

static void look_at_clock(struct diosd *d, int64_t now_ns)
{
	int64_t step_ns = clock_watch_step(&d->health.clock, &clock_system, STEP_NS);

	if (step_ns != 0) {
		condition_clear(CONDITION_CLOCK_STEPPED);      /* since when is when it was set last */
		condition_raise(CONDITION_CLOCK_STEPPED, "the clock was set %s by %lld s", step_ns > 0 ? "forward" : "back",
			(step_ns > 0 ? step_ns : -step_ns) / NS_PER_SECOND);
		d->health.stepped_ns = now_ns;
	} else if (now_ns - d->health.stepped_ns > STEP_TOLD_NS) {
		condition_clear(CONDITION_CLOCK_STEPPED);
	}
}

static void look_at_log(struct diosd *d)
{
	char text[32];
	struct cluster_info info;

	cluster_get_info(d->cluster, &info);
	if (info.shard.log_bytes > LOG_LONG_BYTES)
		condition_raise(CONDITION_LOG_LONG, "the log has grown to %s", size_text(info.shard.log_bytes, text));
	else
		condition_clear(CONDITION_LOG_LONG);
}

static void look_at_starts(struct diosd *d, int64_t now_ns)
{
	const struct region_header *h = d->region.header;
	/* The oldest that is kept. */
	int64_t first_ns = h->starts_ns[h->starts % REGION_STARTS_KEPT];

	if (h->starts >= REGION_STARTS_KEPT && now_ns - first_ns < DYING_NS)
		condition_raise(CONDITION_DAEMON_DYING, "the daemon was started %u times in the last %lld s", REGION_STARTS_KEPT, (now_ns - first_ns) / NS_PER_SECOND + 1);
	else
		condition_clear(CONDITION_DAEMON_DYING);
}

/* Requests are given up after the start has begun, so this is said again when there are more. */
static void raise_restarted(struct diosd *d)
{
	const struct region_header *h = d->region.header;
	unsigned long long again = h->starts - 1, given_up = h->given_up;
	char text[96] = "";

	if (given_up > 0)
		snprintf(text, sizeof(text), ", and gave up %llu request%s of which it died (EIO)", given_up, given_up == 1 ? "" : "s");
	condition_raise(CONDITION_DAEMON_RESTARTED, "the daemon was started again %llu time%s since the mount was made%s%s%s", again, again == 1 ? "" : "s",
		d->health.stopped_why[0] ? ", the last one because " : "", d->health.stopped_why, text);
	d->health.given_up = given_up;
}

void diosd_health_start(struct diosd *d)
{
	struct disk_facts facts = { 0 };

	if (strcmp(config_string(d->config, "durability"), "relaxed") == 0)
		condition_raise(CONDITION_DURABILITY_RELAXED, "durability = relaxed: a power cut can take what was synced within the last %s",
			config_string(d->config, "commit.interval"));
	if (disk_facts_read(d->region.header->data, &facts) == 0 && facts.no_flush)
		condition_raise(CONDITION_NO_FLUSH, "the %s of %s is mounted so that fsync does not reach the disk: a power cut can damage anything", facts.type,
			d->region.header->data);
	else if (facts.journal == DISK_JOURNAL_NO)
		condition_raise(CONDITION_NO_JOURNAL, "the %s of %s has no journal: after a power cut it must be checked before it is mounted", facts.type,
			d->region.header->data);
	snprintf(d->health.stopped_why, sizeof(d->health.stopped_why), "%s", d->region.header->stopped_why);
	d->region.header->stopped_why[0] = '\0';
	if (d->region.header->starts > 1)
		raise_restarted(d);
}

void diosd_health_ready(struct diosd *d)
{
	const char *why, *has = fs_passthrough(d->fs, &why);

	if (why[0])
		condition_raise(CONDITION_NO_PASSTHROUGH, "passthrough is %s, not %s as configured: %s", has, config_string(d->config, "passthrough"), why);
}

void diosd_health_leave(struct diosd *d)
{
	struct condition_state state;

	if (condition_get(CONDITION_LOG_FAILED, &state) || condition_get(CONDITION_SHARD_STOPPED, &state))
		snprintf(d->region.header->stopped_why, REGION_WHY_MAX, "%.200s", state.what);
}

void diosd_health_look(struct diosd *d)
{
	int64_t now_ns = clock_boot_ns(&clock_system);

	if (now_ns < d->health.next_look_ns)
		return;
	d->health.next_look_ns = now_ns + LOOK_INTERVAL_NS;
	look_at_room(d);
	look_at_quota(d);
	look_at_file_system(d);
	look_at_clock(d, now_ns);
	look_at_log(d);
	look_at_starts(d, now_ns);
	if (d->region.header->given_up != d->health.given_up)
		raise_restarted(d);
	log_flush(false);
}
