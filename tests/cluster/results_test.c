/* Remembered results, the applied index, and replaying a log. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cluster/fixture.h"
#include "tests/tap.h"

static struct command create(struct fixture *f, const char *entry, uint64_t client, uint64_t seq, uint64_t done_below)
{
	struct command c = { .kind = COMMAND_CREATE, .client = client, .seq = seq, .done_below = done_below };
	c.create = (struct command_create){ .parent = ROOT_INO, .entry = text(entry), .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = fixture_name(f, 0) };
	return c;
}

static unsigned results_kept(struct fixture *f)
{
	struct kv_iter *it = kv_iter_new(f->kv, NULL, (struct slice){ 0 }, (struct slice){ 0 });
	unsigned count = 0;

	for (; kv_iter_valid(f->kv, it); kv_iter_next(f->kv, it)) {
		struct slice key = kv_iter_key(f->kv, it);
		count += key.size > 6 && key.data[6] == 22;   /* docs/DISK_FORMAT.md */
	}
	kv_iter_free(f->kv, it);
	return count;
}

static void a_command_that_comes_again_is_applied_once(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	struct command c = create(&f, "a", 50, 10, 10), again = c;
	is_int(fixture_apply(&f, &c), 0, "the command");
	struct result first = f.result;
	again.time_ns = 5;
	is_int(fixture_apply(&f, &again), 0, "the same command again");
	ok(f.result.record.ino == first.record.ino && f.result.record.btime_ns == first.record.btime_ns && f.result.touched_count == first.touched_count, "gives the same result");
	is_int(fixture_record(&f, ROOT_INO).entries, 1, "and no second effect");
	fixture_reopen(&f);
	is_int(fixture_apply(&f, &again), 0, "after a restart too");
	is_int(f.result.record.ino, first.record.ino, "the same result");

	struct command refused = create(&f, "a", 50, 12, 10), refused_again = refused;
	is_int(fixture_apply(&f, &refused), -EEXIST, "a refused command");
	fixture_unlink(&f, ROOT_INO, "a", false);
	is_int(fixture_apply(&f, &refused_again), -EEXIST, "is refused again, though it would do now");
	struct command other = create(&f, "b", 51, 10, 0);
	is_int(fixture_apply(&f, &other), 0, "another client has its own numbers");
	struct command late = create(&f, "c", 50, 11, 10);
	is_int(fixture_apply(&f, &late), 0, "numbers may come out of order");
	fixture_close(&f);
}

static void results_are_given_up(void)
{
	struct fixture f;
	struct command c;

	fixture_open_realm(&f);
	unsigned before = results_kept(&f);
	char entry[8];
	for (uint64_t seq = 1; seq <= 20; seq++) {
		snprintf(entry, sizeof(entry), "e%u", (unsigned)seq);
		c = create(&f, entry, 50, seq, 0);
		fixture_apply(&f, &c);
	}
	is_int(results_kept(&f), before + 20, "results are kept while the client has not said that it has them");
	c = create(&f, "x", 50, 21, 18);
	fixture_apply(&f, &c);
	is_int(results_kept(&f), before + 4, "what is below done_below goes");
	c = create(&f, "e17", 50, 17, 0);
	is_int(fixture_apply(&f, &c), -EALREADY, "a late copy of a command below it is refused");
	fixture_reopen(&f);
	is_int(fixture_apply(&f, &c), -EALREADY, "after a restart too");
	c = create(&f, "e18", 50, 18, 0);
	is_int(fixture_apply(&f, &c), 0, "one that is not below is remembered");
	is_int(results_kept(&f), before + 4, "refusals and repetitions are not kept");
	c = create(&f, "y", 50, 30, 31);
	is_int(fixture_apply(&f, &c), -EINVAL, "nobody has the result of what he just sends");
	c = create(&f, "y", 50, UINT64_MAX, 0);
	is_int(fixture_apply(&f, &c), -EINVAL, "the last number is not for use");
	c = create(&f, "y", 50, 30, 0);
	is_int(fixture_apply(&f, &c), 0, "a command with a smaller done_below than before");
	c = create(&f, "e17", 50, 17, 0);
	is_int(fixture_apply(&f, &c), -EALREADY, "does not take it back");
	fixture_close(&f);
}

static void clients_that_are_gone(void)
{
	struct fixture f;
	struct command c, gone;

	fixture_open_realm(&f);
	unsigned before = results_kept(&f);
	for (uint64_t seq = 1; seq <= 5; seq++) {
		c = create(&f, "same", 60, seq, 0);
		fixture_apply(&f, &c);
	}
	gone = (struct command){ .kind = COMMAND_CLIENT_GONE };
	gone.client_gone.client = 60;
	is_int(fixture_apply(&f, &gone), 0, "a client is gone");
	is_int(results_kept(&f), before + 2, "its results too, but for a mark");
	c = create(&f, "late", 60, 6, 0);
	is_int(fixture_apply(&f, &c), -EALREADY, "a late command of it is refused");
	fixture_reopen(&f);
	is_int(fixture_apply(&f, &c), -EALREADY, "after a restart too");
	is_int(fixture_lookup(&f, ROOT_INO, "late"), 0, "and has no effect");
	gone = (struct command){ .kind = COMMAND_CLIENT_GONE, .client = 61, .seq = 1 };
	gone.client_gone.client = 61;
	is_int(fixture_apply(&f, &gone), 0, "a client says goodbye itself");
	gone.client_gone.client = 60;
	gone.client = 62;
	is_int(fixture_apply(&f, &gone), 0, "one that is gone is gone again");
	c = create(&f, "late", 61, 2, 0);
	is_int(fixture_apply(&f, &c), -EALREADY, "and is gone");
	fixture_reopen(&f);
	is_int(fixture_apply(&f, &c), -EALREADY, "after a restart too");
	gone = (struct command){ .kind = COMMAND_CLIENT_GONE };
	is_int(fixture_apply(&f, &gone), -EINVAL, "client 0 is none");
	fixture_close(&f);
}

static void the_applied_index(void)
{
	struct fixture f;
	struct buffer b _cleanup_buffer_;
	struct result result;
	uint64_t index;

	buffer_init(&b, 1u << 20);
	fixture_open(&f);
	is_int(state_applied_index(f.state), 0, "nothing is applied at first");
	is_int(state_get_configuration(f.state, &index, &b), -ENOENT, "and there is no configuration");
	is_int(state_apply(f.state, 5, 2, (struct slice){ 0 }, &result), 0, "a barrier");
	ok(state_applied_index(f.state) == 5 && state_applied_term(f.state) == 2, "moves index and term");
	is_int(state_apply(f.state, 5, 2, (struct slice){ 0 }, &result), -EINVAL, "an index does not come twice");
	is_int(state_apply(f.state, 6, 2, text("garbage"), &result), -EBADMSG, "what is no command stops the replica");
	is_int(state_applied_index(f.state), 5, "and is not applied");
	is_int(state_put_configuration(f.state, 6, text("nodes")), 0, "a configuration");
	fixture_reopen(&f);
	ok(state_applied_index(f.state) == 5 && state_applied_term(f.state) == 2, "index and term are there after a restart");
	is_int(state_get_configuration(f.state, &index, &b), 0, "the configuration");
	ok(index == 6 && b.size == 5 && memcmp(b.data, "nodes", 5) == 0, "as it was put");
	fixture_close(&f);
}

static void commands_without_a_number(void)
{
	struct fixture f;
	struct buffer b _cleanup_buffer_;

	buffer_init(&b, COMMAND_MAX);
	fixture_open_realm(&f);
	unsigned before = results_kept(&f);
	struct command c = create(&f, "a", 0, 0, 0);
	command_encode(&c, &b);
	is_int(fixture_apply_bytes(&f, (struct slice){ b.data, b.size }), 0, "a command without a number");
	is_int(results_kept(&f), before, "is not remembered");
	is_int(fixture_apply_bytes(&f, (struct slice){ b.data, b.size }), 0, "and again");
	is_int(f.result.error, -EEXIST, "is another command");
	fixture_close(&f);
}

static void a_store_that_fails_stops_the_replica(void)
{
	struct fixture f, whole;
	struct buffer b _cleanup_buffer_;
	struct result result;
	unsigned crashes = 0;

	buffer_init(&b, COMMAND_MAX);
	fixture_open_realm(&f);
	fixture_open(&whole);
	kv_flush(f.kv);
	for (unsigned i = 0; i < 10; i++) {
		char entry[8];
		snprintf(entry, sizeof(entry), "e%u", i);
		struct command c = create(&f, entry, 50, i + 1, 0);
		c.time_ns = FIXTURE_START + i;
		buffer_reset(&b);
		command_encode(&c, &b);
		disk_sim_crash_after(f.disk, 1);
		crashes += state_apply(f.state, f.index + 1, 3, (struct slice){ b.data, b.size }, &result) < 0;
		state_free(f.state);
		kv_close(f.kv);
		disk_sim_process_kill(f.disk);
		if (kv_sim_open(f.disk, "state", &f.kv) < 0 || state_open(f.kv, &f.state) < 0)
			abort();
		/* What was not flushed may be lost: the log goes on from where the store is. */
		for (uint64_t index = state_applied_index(f.state); index < f.log_count; index++)
			state_apply(f.state, index + 1, 3, (struct slice){ f.log[index].data, f.log[index].size }, &result);
		if (state_applied_index(f.state) == f.index && fixture_apply_bytes(&f, (struct slice){ b.data, b.size }) < 0)
			abort();
		if (i % 3 == 0)
			kv_flush(f.kv);
	}
	is_int(crashes, 10, "an entry that the store did not take is an error");
	for (uint64_t index = 0; index < f.log_count; index++)
		state_apply(whole.state, index + 1, 3, (struct slice){ f.log[index].data, f.log[index].size }, &result);
	is_int(state_applied_index(f.state), 11, "after crashes and replays all entries are applied");
	ok(fixture_same(&f, &whole), "and the state is as if nothing had failed");
	ok(fixture_check(&f) == NULL, "and sound");
	fixture_close(&whole);
	fixture_close(&f);
}

int main(void)
{
	a_store_that_fails_stops_the_replica();
	a_command_that_comes_again_is_applied_once();
	results_are_given_up();
	clients_that_are_gone();
	the_applied_index();
	commands_without_a_number();
	return done_testing();
}
