/* base/condition: raised, said, changed, cleared; what the table says. */
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/log.h"
#include "tests/tap.h"

static int log_file;

static const char *logged(void)
{
	static char text[16384];
	ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (ftruncate(log_file, 0) < 0)
		abort();
	return text;
}

static void raised_and_cleared(void)
{
	struct condition_state state = { .since_ns = 5 };

	ok(!condition_get(CONDITION_DISK_FULL, &state) && state.since_ns == 5, "nothing is raised at first");
	condition_clear(CONDITION_DISK_FULL);
	is_str(logged(), "", "clearing what is not raised says nothing");
	int64_t before = clock_wall_ns(&clock_system);
	condition_raise(CONDITION_DISK_FULL, "only %d bytes are free", 7);
	ok(condition_get(CONDITION_DISK_FULL, &state), "it is raised");
	is_str(state.what, "only 7 bytes are free", "with its sentence");
	ok(state.since_ns >= before && state.since_ns <= clock_wall_ns(&clock_system), "and since when");
	ok(strstr(logged(), "ERROR condition: raised id=disk-full what=\"only 7 bytes are free\"\n"), "and in the log");
	int64_t since = state.since_ns;
	condition_raise(CONDITION_DISK_FULL, "only %d bytes are free", 6);
	condition_get(CONDITION_DISK_FULL, &state);
	is_str(state.what, "only 6 bytes are free", "raised again, the sentence is the new one");
	is_int(state.since_ns, since, "since when stays");
	is_str(logged(), "", "and the log says nothing more");
	ok(!condition_get(CONDITION_DAMAGE, &state), "another one is not concerned");
	condition_clear(CONDITION_DISK_FULL);
	ok(!condition_get(CONDITION_DISK_FULL, &state), "it is cleared");
	ok(strstr(logged(), "NOTICE condition: cleared id=disk-full after_s=0\n"), "and the log says so");
	condition_raise(CONDITION_NO_JOURNAL, "%01000d", 0);
	condition_get(CONDITION_NO_JOURNAL, &state);
	is_int(strlen(state.what), CONDITION_TEXT_MAX - 1, "a long sentence is cut");
}

static void the_table_is_whole(void)
{
	bool whole = true, unique = true, plain = true;

	for (int i = 0; i < CONDITION_COUNT; i++) {
		const struct condition_kind *k = &condition_kinds[i];
		whole = whole && k->id && k->does && k->remedy && strlen(k->remedy) > 10 && strlen(k->does) > 10;
		plain = plain && whole && strspn(k->id, "abcdefghijklmnopqrstuvwxyz-") == strlen(k->id);
		for (int j = 0; whole && j < i; j++)
			unique = unique && strcmp(k->id, condition_kinds[j].id) != 0;
	}
	ok(whole, "each condition has an id, what dios does, and what a person does");
	ok(unique && plain, "ids are plain words, each once");
	ok(CONDITION_COUNT <= 32, "and have a bit each");
}

int main(void)
{
	char path[] = "/tmp/dios-condition.XXXXXX";

	log_file = mkstemp(path);
	fcntl(log_file, F_SETFL, O_APPEND);
	unlink(path);
	log_set_fd(log_file);
	raised_and_cleared();
	the_table_is_whole();
	return done_testing();
}
