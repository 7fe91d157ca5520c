/* Any bytes as a command, and as a result: refused, or written and read back the same. The first byte says which: even, a
 * command; odd, a result. */
#include <string.h>

#include "base/error.h"
#include "cluster/command.h"
#include "tests/fuzz/fuzz.h"

static void same_bytes(struct buffer *a, struct buffer *b)
{
	fuzz_check(a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
	buffer_done(a);
	buffer_done(b);
}

/* What a decoder promises to whoever walks through the lists. */
static void commit_is_bounded(const struct command_commit *c)
{
	for (uint32_t i = 0; i < c->row_count; i++)
		fuzz_check(c->rows[i].bytes.size <= BLOCK_SIZE && c->rows[i].side_size <= BLOCK_SIZE);
	fuzz_check(c->row_count <= COMMAND_ROWS_MAX);
	fuzz_check(!c->tail_present || c->tail_count > 0);
}

static void a_command(struct slice data)
{
	struct command command, again;
	struct buffer first, second;
	int r = command_decode(data, &command);

	if (r < 0) {
		fuzz_check(r == -EBADMSG || r == -ENOTSUP);
		return;
	}
	if (command.kind == COMMAND_COMMIT)
		commit_is_bounded(&command.commit);
	buffer_init(&first, COMMAND_MAX);
	buffer_init(&second, COMMAND_MAX);
	fuzz_check(command_encode(&command, &first) == 0 && first.size <= data.size);
	command_done(&command);
	fuzz_check(command_decode((struct slice){ first.data, first.size }, &again) == 0);
	fuzz_check(command_encode(&again, &second) == 0);
	command_done(&again);
	same_bytes(&first, &second);
}

static void a_result(struct slice data)
{
	struct result result, again;
	struct buffer first, second;
	int r = result_decode(data, &result);

	if (r < 0) {
		fuzz_check(r == -EBADMSG || r == -ENOTSUP);
		return;
	}
	fuzz_check(result.touched_count <= RESULT_TOUCHED_MAX);
	buffer_init(&first, COMMAND_MAX);
	buffer_init(&second, COMMAND_MAX);
	result_encode(&result, &first);
	fuzz_check(buffer_error(&first) == 0);
	fuzz_check(result_decode((struct slice){ first.data, first.size }, &again) == 0);
	result_encode(&again, &second);
	same_bytes(&first, &second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (*data % 2)
		a_result((struct slice){ data + 1, size - 1 });
	else
		a_command((struct slice){ data + 1, size - 1 });
	return 0;
}
