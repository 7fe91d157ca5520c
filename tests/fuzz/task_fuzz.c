/* Any bytes as what tasks/ keeps and sends: the first byte says whether they are a specification, a launch description or an event. What is
 * decoded gives the same bytes again. */
#include <string.h>

#include "tasks/launch.h"
#include "tasks/spec.h"
#include "tests/fuzz/fuzz.h"

static void check_same(const struct buffer *again, struct slice bytes)
{
	fuzz_check(buffer_error(again) == 0 && again->size == bytes.size && memcmp(again->data, bytes.data, bytes.size) == 0);
}

static void specification(struct slice bytes)
{
	_cleanup_buffer_ struct buffer again = { 0 }, text = { 0 };
	struct task_spec spec;
	int r = task_spec_decode(bytes, &spec);

	fuzz_check(r == 0 || r == -EBADMSG || r == -ENOTSUP);
	if (r < 0)
		return;
	buffer_init(&again, TASK_SPEC_MAX);
	buffer_init(&text, TASK_SPEC_MAX * 8);
	task_spec_encode(&spec, &again);
	check_same(&again, bytes);
	fuzz_check(task_spec_print(&spec, &text) == 0 && text.data[text.size - 1] == '\n');
	task_spec_done(&spec);
}

static void description(struct slice bytes)
{
	_cleanup_buffer_ struct buffer again = { 0 };
	struct launch launch;
	int r = launch_decode(bytes, &launch);

	fuzz_check(r == 0 || r == -EBADMSG || r == -ENOTSUP);
	if (r < 0)
		return;
	buffer_init(&again, LAUNCH_MAX);
	launch_encode(&launch, &again);
	check_same(&again, bytes);
	launch_done(&launch);
}

static void event(struct slice bytes)
{
	_cleanup_buffer_ struct buffer again = { 0 };
	struct launch_event e;
	int r = launch_event_decode(bytes, &e);

	fuzz_check(r == 0 || r == -EBADMSG || r == -ENOTSUP);
	if (r < 0)
		return;
	fuzz_check(launch_stage_text(e.stage)[0] != '\0');
	buffer_init(&again, LAUNCH_EVENT_MAX);
	launch_event_encode(&e, &again);
	check_same(&again, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice bytes = { .data = data + 1, .size = size - 1 };
	switch (data[0] % 3) {
	case 0:
		specification(bytes);
		break;
	case 1:
		description(bytes);
		break;
	default:
		event(bytes);
	}
	return 0;
}
