/* Specifications, launch descriptions and events: what was written is read; what is cut, longer, or of another version is refused. */
#include <stdlib.h>

#include "tasks/launch.h"
#include "tasks/spec.h"
#include "tests/tap.h"

static struct slice slice_of(const struct buffer *b) { return (struct slice){ .data = b->data, .size = b->size }; }

static struct task_spec sample_spec(void)
{
	static const char *arguments[] = { "sort", "-rn", "", "caf\303\251", NULL }, *environment[] = { "A=b", NULL };
	static struct spec_reference inputs[2] = { { 7, { { 1 } } }, { 1ULL << 60 | 9, { { 2 } } } }, outputs[1] = { { 8, { { 3 } } } };

	return (struct task_spec){ .program = { 5, { { 9, 8 } } }, .arguments = arguments, .environment = environment, .inputs = inputs, .input_count = 2,
		.outputs = outputs, .output_count = 1, .standard = { { 0 }, { 11, { { 4 } } }, { 12, { { 5 } } } }, .own = { false, true, false },
		.memory_bytes = 1ULL << 40, .cpu_percent = 250, .job = { { 6 } }, .gang = { { 7 } }, .gang_size = 3, .restart = true };
}

static void spec_round_trip(void)
{
	struct task_spec in = sample_spec(), out;
	_cleanup_buffer_ struct buffer bytes, again;

	buffer_init(&bytes, TASK_SPEC_MAX);
	buffer_init(&again, TASK_SPEC_MAX);
	task_spec_encode(&in, &bytes);
	is_int(buffer_error(&bytes), 0, "a specification is encoded");
	is_int(task_spec_decode(slice_of(&bytes), &out), 0, "and decoded");
	is_str(out.arguments[3], "caf\303\251", "its arguments");
	is_str(out.arguments[2], "", "also an empty one");
	ok(out.arguments[4] == NULL && out.path == NULL, "and no more");
	is_int(out.program.ino, 5, "its program");
	is_int(out.inputs[1].ino, 1ULL << 60 | 9, "its inputs");
	ok(out.own[1] && !out.own[2] && out.standard[2].ino == 12 && out.standard[0].ino == 0, "its standard streams");
	ok(out.restart && !out.pure && out.gang_size == 3 && out.cpu_percent == 250, "its settings");
	task_spec_encode(&out, &again);
	ok(bytes.size == again.size && memcmp(bytes.data, again.data, bytes.size) == 0, "encoding it again gives the same bytes");
	task_spec_done(&out);
}

static void spec_text(void)
{
	struct task_spec s = sample_spec();
	static const char *odd[] = { "q\"\\\n\177\xff\xed\xa0\x80", NULL };
	_cleanup_buffer_ struct buffer text;

	s.arguments = odd;
	buffer_init(&text, 65536);
	is_int(task_spec_print(&s, &text), 0, "a specification is printed");
	buffer_append(&text, "", 1);
	ok(strstr((char *)text.data, "\"arguments\": [\"q\\\"\\\\\\u000a\\u007f\\udcff\\udced\\udca0\\udc80\"]") != NULL,
		"what is no UTF-8 becomes lone surrogates");
	ok(strncmp((char *)text.data, "{\"program\": \"CQg", 15) == 0, "names are in text: %.40s", (char *)text.data);
}

/* Every prefix, every longer text, every change of one byte: refused or read, never more. */
static void spec_hostile(void)
{
	struct task_spec in = sample_spec(), out;
	_cleanup_buffer_ struct buffer bytes;
	int refused = 0, cut = 0;

	buffer_init(&bytes, TASK_SPEC_MAX);
	task_spec_encode(&in, &bytes);
	for (size_t n = 0; n < bytes.size; n++) {
		uint8_t *copy = malloc(n ? n : 1);     /* of exactly that size: a sanitizer sees a byte read behind it */
		memcpy(copy, bytes.data, n);
		cut += task_spec_decode((struct slice){ .data = copy, .size = n }, &out) < 0;
		free(copy);
	}
	is_int(cut, bytes.size, "each cut one is refused");
	for (size_t at = 0; at < bytes.size; at++)
		for (int bit = 0; bit < 8; bit++) {
			bytes.data[at] ^= (uint8_t)(1 << bit);
			int r = task_spec_decode(slice_of(&bytes), &out);
			if (r == 0)
				task_spec_done(&out);
			refused += r < 0;
			bytes.data[at] ^= (uint8_t)(1 << bit);
		}
	ok(refused > 100, "a changed bit is refused or harmless: %d refused", refused);
	bytes.data[7] = 9;
	is_int(task_spec_decode(slice_of(&bytes), &out), -ENOTSUP, "another version is refused as such");
	bytes.data[7] = 1;
	buffer_append(&bytes, "", 1);
	is_int(task_spec_decode(slice_of(&bytes), &out), -EBADMSG, "a byte too many is refused");
}

static struct launch sample_launch(void)
{
	static const char *arguments[] = { "prog", NULL }, *environment[] = { "DIOS_INPUTS=3", NULL };
	static struct launch_reference inputs[1] = { { .token = "abc", .read = true, .consume = true } },
		outputs[1] = { { .token = "def", .write = true, .append = true } };
	struct launch l = { .task = "name", .program = { .token = "p", .read = true }, .arguments = arguments,
		.environment = environment, .inputs = inputs, .input_count = 1, .outputs = outputs, .output_count = 1, .uid = 1000, .gid = 1001,
		.groups = { 4, 24 }, .group_count = 2, .capabilities = 0xff, .limit_count = 2 };

	l.limits[1] = (struct launch_limit){ .soft = 5, .hard = UINT64_MAX };
	l.standard[1] = (struct launch_reference){ .token = "def", .write = true };
	return l;
}

static void launch_round_trip(void)
{
	struct launch in = sample_launch(), out;
	_cleanup_buffer_ struct buffer bytes;
	size_t refused = 0;

	buffer_init(&bytes, LAUNCH_MAX);
	launch_encode(&in, &bytes);
	is_int(launch_decode(slice_of(&bytes), &out), 0, "a launch description is read");
	ok(strcmp(out.task, "name") == 0 && strcmp(out.program.token, "p") == 0 && out.path == NULL, "its name and its program");
	ok(out.inputs[0].consume && out.inputs[0].read && !out.inputs[0].write && strcmp(out.outputs[0].token, "def") == 0, "its references");
	ok(out.uid == 1000 && out.gid == 1001 && out.group_count == 2 && out.groups[1] == 24 && out.limits[1].hard == UINT64_MAX, "its identity");
	launch_done(&out);
	for (size_t n = 0; n < bytes.size; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, bytes.data, n);
		refused += launch_decode((struct slice){ .data = copy, .size = n }, &out) < 0;
		free(copy);
	}
	is_int(refused, bytes.size, "each cut one is refused");
	for (size_t at = 0; at < bytes.size; at++) {
		bytes.data[at] ^= 0xff;
		if (launch_decode(slice_of(&bytes), &out) == 0)
			launch_done(&out);
		bytes.data[at] ^= 0xff;
	}
	ok(true, "a changed byte does no harm");
}

static void launch_refused(void)
{
	_cleanup_buffer_ struct buffer bytes;
	struct launch l, out;
	struct { const char *what; struct launch launch; } bad[4];

	for (size_t i = 0; i < 4; i++)
		bad[i].launch = sample_launch();
	bad[0].what = "a user id that is none";
	bad[0].launch.uid = UINT32_MAX;
	bad[1].what = "a program and a path";
	bad[1].launch.path = "/bin/true";
	bad[2].what = "neither program nor path";
	bad[2].launch.program.token = NULL;
	bad[3].what = "an input without a token";
	bad[3].launch.inputs = calloc(1, sizeof(struct launch_reference));
	for (size_t i = 0; i < 4; i++) {
		buffer_init(&bytes, LAUNCH_MAX);
		launch_encode(&bad[i].launch, &bytes);
		is_int(launch_decode(slice_of(&bytes), &out), -EBADMSG, "%s is refused", bad[i].what);
		buffer_done(&bytes);
	}
	free(bad[3].launch.inputs);
	/* A count that the bytes cannot hold allocates nothing. */
	l = sample_launch();
	buffer_init(&bytes, LAUNCH_MAX);
	put_number(&bytes, 3);
	put_text(&bytes, l.task);
	put_optional_text(&bytes, "p");
	for (int i = 0; i < 4; i++)
		put_number(&bytes, 0);
	put_optional_text(&bytes, NULL);
	put_number(&bytes, LAUNCH_TEXTS_MAX);
	is_int(launch_decode(slice_of(&bytes), &out), -EBADMSG, "so is a count that its bytes cannot hold");
}

static void places(void)
{
	struct launch_place in = { .mount = "/dios", .hidden = "/var/lib/dios", .parent = 77, .kept = true }, out;
	_cleanup_buffer_ struct buffer bytes;
	size_t refused = 0;

	buffer_init(&bytes, LAUNCH_PLACE_MAX);
	launch_place_encode(&in, &bytes);
	is_int(launch_place_decode(slice_of(&bytes), &out), 0, "a place is read");
	ok(strcmp(out.mount, "/dios") == 0 && strcmp(out.hidden, "/var/lib/dios") == 0 && out.parent == 77 && out.kept, "with what it says");
	for (size_t n = 0; n < bytes.size; n++)
		refused += launch_place_decode((struct slice){ .data = bytes.data, .size = n }, &out) < 0;
	is_int(refused, bytes.size, "each cut one is refused");
	bytes.data[7]++;
	is_int(launch_place_decode(slice_of(&bytes), &out), -ENOTSUP, "another version is refused as such");
	in.mount = "dios";
	buffer_reset(&bytes);
	launch_place_encode(&in, &bytes);
	is_int(launch_place_decode(slice_of(&bytes), &out), -EBADMSG, "a mount that is no absolute path is refused");
}

static void events(void)
{
	struct launch_event failed = { .kind = LAUNCH_FAILED, .stage = LAUNCH_EXECUTE, .error = ENOENT, .what = "/bin/nothing" }, out;
	struct launch_event exited = { .kind = LAUNCH_EXITED, .wait_status = 7 << 8, .usage = { .user_ns = 1, .bytes_read = LAUNCH_UNKNOWN } };
	_cleanup_buffer_ struct buffer bytes;
	char longer[LAUNCH_WHAT_MAX + 50];

	buffer_init(&bytes, LAUNCH_EVENT_MAX);
	launch_event_encode(&failed, &bytes);
	is_int(launch_event_decode(slice_of(&bytes), &out), 0, "an event is read");
	ok(out.kind == LAUNCH_FAILED && out.stage == LAUNCH_EXECUTE && out.error == ENOENT && strcmp(out.what, "/bin/nothing") == 0, "with what it says");
	size_t refused = 0;
	for (size_t n = 0; n < bytes.size; n++)
		refused += launch_event_decode((struct slice){ .data = bytes.data, .size = n }, &out) < 0;
	is_int(refused, bytes.size, "each cut one is refused");
	buffer_reset(&bytes);
	launch_event_encode(&exited, &bytes);
	is_int(launch_event_decode(slice_of(&bytes), &out), 0, "an end is read");
	ok(out.wait_status == 7 << 8 && out.usage.user_ns == 1 && out.usage.bytes_read == LAUNCH_UNKNOWN, "with status and usage");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	failed.what = longer;
	buffer_reset(&bytes);
	launch_event_encode(&failed, &bytes);
	ok(buffer_error(&bytes) == 0 && launch_event_decode(slice_of(&bytes), &out) == 0 && strlen(out.what) == LAUNCH_WHAT_MAX, "a long text is cut");
	buffer_reset(&bytes);
	put_number(&bytes, 1);
	put_number(&bytes, LAUNCH_EXITED + 1);
	is_int(launch_event_decode(slice_of(&bytes), &out), -EBADMSG, "an unknown event is refused");
}

int main(void)
{
	spec_round_trip();
	spec_text();
	spec_hostile();
	launch_round_trip();
	launch_refused();
	places();
	events();
	return done_testing();
}
