/* Any bytes as the argument of an ioctl, and as the specification of a task. The first byte says how: 0 mod 3: the next byte is
 * the number, and the rest its struct, cut or filled up to its size and given the right version, so that the fuzzer gets past
 * those; 1 mod 3: the next four bytes are the whole command and the rest its argument; 2 mod 3: the rest is a specification. */
#include <string.h>

#include "fs/ioctl_calls.h"
#include "fs/run_spec.h"
#include "libdios/dios.h"
#include "objects/private_buffer.h"
#include "tests/fuzz/fuzz.h"

static const unsigned commands[] = {
	DIOS_IOC_CREATE, DIOS_IOC_LOOKUP, DIOS_IOC_TOKEN_MINT, DIOS_IOC_DELETE, DIOS_IOC_RUN, DIOS_IOC_PAUSE, DIOS_IOC_ACQUIRE_READ,
	DIOS_IOC_COMMIT_READ, DIOS_IOC_ACQUIRE_WRITE, DIOS_IOC_COMMIT_WRITE, DIOS_IOC_SELECT, DIOS_IOC_INFO, DIOS_IOC_NAME,
	DIOS_IOC_CLONE, DIOS_IOC_MAKE_LOCAL, DIOS_IOC_TOKEN_NARROW, DIOS_IOC_TOKEN_REVOKE, DIOS_IOC_TOKEN_OPEN, DIOS_IOC_STREAM_END,
	DIOS_IOC_STREAM_CONFIGURE, DIOS_IOC_SET_PRODUCED, DIOS_IOC_TASK_CONTROL, DIOS_IOC_BUFFER,
};
_Static_assert(sizeof(commands) / sizeof(commands[0]) == DIOS_IOC_COUNT, "every number is tried");

static bool zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

static void created_is_bounded(const struct dios_ioctl_create *c)
{
	fuzz_check(c->entry_size <= DIOS_ENTRY_MAX && c->string_size <= DIOS_STRING_MAX && c->name_kind <= DIOS_NAME_COUNTER);
	fuzz_check(!memchr(c->entry, '/', c->entry_size) && !memchr(c->entry, '\0', c->entry_size));
	fuzz_check(c->kind == DIOS_BLOB || c->kind == DIOS_STREAM);
	fuzz_check((c->mode & ~07777u) == 0 && c->replicas <= DIOS_REPLICAS_MAX && c->trim_age_ns >= 0);
}

static void token_is_bounded(const struct dios_ioctl_token *t)
{
	fuzz_check((t->rights & ~(uint32_t)RIGHT_ALL) == 0 && t->expiry_ns >= 0 && t->offset <= UINT64_MAX - t->length);
}

static void transfer_is_bounded(unsigned command, const void *in)
{
	const struct dios_ioctl_acquire *a = in;
	const struct dios_ioctl_commit_write *w = in;

	if (_IOC_NR(command) == _IOC_NR(DIOS_IOC_COMMIT_WRITE)) {
		size_t inside = _IOC_SIZE(command) - offsetof(struct dios_ioctl_commit_write, data);
		fuzz_check(w->size <= (zero(w->buffer, sizeof(w->buffer)) ? inside : PRIVATE_BUFFER_MAX));
		fuzz_check(w->offset <= INT64_MAX && w->offset + w->size <= INT64_MAX);
	} else {
		size_t inside = _IOC_SIZE(command) - offsetof(struct dios_ioctl_acquire, data);
		fuzz_check(a->size <= inside || inside == DIOS_INLINE_MAX);
		fuzz_check(a->size <= INT64_MAX && (a->offset == UINT64_MAX || a->offset + a->size <= INT64_MAX));
	}
}

static bool is_transfer(unsigned command)
{
	unsigned number = _IOC_NR(command);
	return number == _IOC_NR(DIOS_IOC_ACQUIRE_READ) || number == _IOC_NR(DIOS_IOC_ACQUIRE_WRITE) || number == _IOC_NR(DIOS_IOC_COMMIT_WRITE);
}

/* What handlers rely on without another look. */
static void accepted_is_bounded(unsigned command, const void *in)
{
	if (is_transfer(command)) {
		transfer_is_bounded(command, in);
		return;
	}
	switch (command) {
	case DIOS_IOC_CREATE: case DIOS_IOC_CLONE:
		created_is_bounded(in);
		break;
	case DIOS_IOC_TOKEN_MINT: case DIOS_IOC_TOKEN_NARROW:
		token_is_bounded(in);
		fuzz_check(command == DIOS_IOC_TOKEN_MINT || ((const struct dios_ioctl_token *)in)->text_size <= DIOS_TOKEN_TEXT_MAX);
		break;
	case DIOS_IOC_TOKEN_REVOKE: case DIOS_IOC_TOKEN_OPEN:
		fuzz_check(((const struct dios_ioctl_text *)in)->text_size <= DIOS_TOKEN_TEXT_MAX);
		break;
	case DIOS_IOC_NAME:
		fuzz_check(((const struct dios_ioctl_name *)in)->string_size <= DIOS_STRING_MAX);
		break;
	case DIOS_IOC_RUN:
		fuzz_check(((const struct dios_ioctl_run *)in)->spec_size <= DIOS_INLINE_MAX ||
			!zero(((const struct dios_ioctl_run *)in)->buffer, DIOS_ID_SIZE));
		break;
	}
}

/* in: a block of exactly `size` bytes. */
static int check(unsigned command, uint8_t *in, size_t size)
{
	int r = ioctl_check(command, in, size);

	fuzz_check(r == 0 || r == -EINVAL || r == -ENOTTY);
	if (r == 0) {
		fuzz_check(size == _IOC_SIZE(command));
		accepted_is_bounded(command, in);
		fuzz_check(ioctl_check(command, in, size - 1) == -EINVAL && ioctl_check(command, in, size + 1) == -EINVAL);
		in[0]++;   /* the version */
		fuzz_check(ioctl_check(command, in, size) == -EINVAL);
	}
	return r;
}

/* The first byte chooses the number; above half, a struct that may be cut is cut behind the bytes that there are. */
static void one_struct(const uint8_t *data, size_t size)
{
	unsigned command = commands[size > 0 ? *data % DIOS_IOC_COUNT : 0];
	if (size > 8 && *data >= 128 && is_transfer(command) && size < _IOC_SIZE(command))
		command = _IOC(_IOC_READ | _IOC_WRITE, 'd', _IOC_NR(command), size / 8 * 8);
	size_t room = _IOC_SIZE(command), used = size > 0 ? size - 1 : 0;
	uint32_t version = DIOS_ABI_VERSION;
	_cleanup_free_ uint8_t *in = calloc(1, room);

	if (!in)
		return;
	memcpy(in + 4, data + (size > 0), used < room - 4 ? used : room - 4);
	memcpy(in, &version, sizeof(version));
	check(command, in, room);
}

static void one_command(const uint8_t *data, size_t size)
{
	unsigned command;

	if (size < sizeof(command))
		return;
	memcpy(&command, data, sizeof(command));
	size -= sizeof(command);
	_cleanup_free_ uint8_t *in = malloc(size ? size : 1);
	if (!in)
		return;
	memcpy(in, data + sizeof(command), size);
	check(command, in, size);
}

static void texts_are_within(const struct run_text *texts, size_t count, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *start = (const uint8_t *)texts[i].text;
		fuzz_check(start >= data && start + texts[i].size <= data + size && !memchr(start, '\0', texts[i].size));
	}
}

static void one_specification(const uint8_t *data, size_t size)
{
	struct run_spec spec;
	int r = run_spec_decode(data, size, &spec);

	fuzz_check(r == 0 || r == -EINVAL);
	if (r == 0) {
		texts_are_within(spec.arguments, spec.argument_count, data, size);
		texts_are_within(spec.environment, spec.environment_count, data, size);
		texts_are_within(&spec.path, spec.path.size > 0, data, size);
		for (size_t i = 0; i < spec.environment_count; i++)
			fuzz_check(memchr(spec.environment[i].text, '=', spec.environment[i].size) > (const void *)spec.environment[i].text);
		fuzz_check(spec.input_count <= DIOS_SPEC_REFERENCES_MAX && spec.output_count <= DIOS_SPEC_REFERENCES_MAX);
		fuzz_check(spec.gang_size <= UINT32_MAX);
	}
	run_spec_done(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (*data % 3 == 0)
		one_struct(data + 1, size - 1);
	else if (*data % 3 == 1)
		one_command(data + 1, size - 1);
	else
		one_specification(data + 1, size - 1);
	return 0;
}
