/* What is wrong with this node, for people: a condition is raised when it is found, with a sentence that says which and how much, and cleared when it is
 * over. What can be wrong is the table in condition.c; `dios status` shows what is raised, .dios/status lists it, docs/OPERATING.md explains each.
 *
 * Raising again changes the sentence and keeps the time since when; a rise and an end are a log line each. Thread-safe; may be called under
 * any lock. */
#ifndef DIOS_BASE_CONDITION_H
#define DIOS_BASE_CONDITION_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

#define CONDITION_TEXT_MAX 512   /* bytes of the sentence; a longer one is cut */

enum condition {
	CONDITION_DAMAGE, CONDITION_LOG_FAILED, CONDITION_SHARD_STOPPED, CONDITION_STATE_BEHIND, CONDITION_DISK_FAILING, CONDITION_DISK_READ_ONLY, CONDITION_DISK_FULL,
	CONDITION_DISK_NEARLY_FULL, CONDITION_QUOTA_NEARLY_USED, CONDITION_INODES_NEARLY_USED, CONDITION_COMMIT_FAILING, CONDITION_ABSORB_FAILING, CONDITION_FLUSH_FAILING,
	CONDITION_LOG_LONG, CONDITION_DAEMON_DYING, CONDITION_DAEMON_RESTARTED, CONDITION_CLOCK_STEPPED, CONDITION_DURABILITY_RELAXED, CONDITION_NO_FLUSH, CONDITION_NO_JOURNAL,
	CONDITION_NO_PASSTHROUGH,
	CONDITION_COUNT
};

/* A note is worth knowing and asks for nothing; the others need a person. */
enum condition_severity { CONDITION_NOTE, CONDITION_WARNING, CONDITION_ERROR };

struct condition_kind {
	const char *id;          /* "disk-full": stays the same in all versions */
	enum condition_severity severity;
	const char *does;        /* what dios does about it */
	const char *remedy;      /* what a person does, with what to type */
};
extern const struct condition_kind condition_kinds[CONDITION_COUNT];
const char *condition_severity_name(enum condition_severity severity);

struct condition_state { int64_t since_ns /* wall clock */; char what[CONDITION_TEXT_MAX]; };

void condition_raise(enum condition c, const char *format, ...) _printf_(2, 3);
void condition_clear(enum condition c);
bool condition_get(enum condition c, struct condition_state *ret_state);   /* false: it is not raised */

#endif
