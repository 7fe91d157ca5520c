/* run: what the task gets is written out as a specification, inside the ioctl if it is short, else in a private buffer. */
#include "libdios/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A specification being written; the first error stays. */
struct spec { uint8_t *data; size_t size, capacity; int error; };

static void spec_put(struct spec *s, enum dios_spec_kind kind, const void *bytes, size_t size)
{
	struct dios_spec_item item = { .kind = kind, .size = (uint32_t)size };
	size_t padded = size > DIOS_SPEC_MAX ? 0 : (size + 7) / 8 * 8, need = s->size + sizeof(item) + padded;

	if (s->error) return;
	if (size > DIOS_SPEC_MAX || need > DIOS_SPEC_MAX) {
		s->error = -E2BIG;
		return;
	}
	if (need > s->capacity) {
		size_t capacity = need * 2;
		uint8_t *data = realloc(s->data, capacity);
		if (!data) {
			s->error = -ENOMEM;
			return;
		}
		s->data = data;
		s->capacity = capacity;
	}
	memcpy(s->data + s->size, &item, sizeof(item));
	if (size > 0) memcpy(s->data + s->size + sizeof(item), bytes, size);
	memset(s->data + s->size + sizeof(item) + size, 0, padded - size);
	s->size = need;
}

static void spec_put_number(struct spec *s, enum dios_spec_kind kind, uint64_t number)
{
	if (number) spec_put(s, kind, &number, sizeof(number));
}

static void spec_put_texts(struct spec *s, enum dios_spec_kind kind, const char *const *texts)
{
	for (; texts && *texts && !s->error; texts++)
		spec_put(s, kind, *texts, strlen(*texts));
}

static void spec_put_references(struct spec *s, enum dios_spec_kind kind, const dios_ref *refs, size_t count)
{
	uint8_t id[DIOS_ID_SIZE];

	if (count > DIOS_SPEC_REFERENCES_MAX && !s->error) s->error = -EINVAL;
	for (size_t i = 0; refs && i < count && !s->error; i++) {
		s->error = call_reference_id(&refs[i], id);
		spec_put(s, kind, id, sizeof(id));
	}
}

static void spec_put_name(struct spec *s, enum dios_spec_kind kind, const struct dios_name *name)
{
	if (name) spec_put(s, kind, name->bytes, sizeof(name->bytes));
}

static void spec_write(struct spec *s, const struct dios_run_options *o)
{
	if (o->path) spec_put(s, DIOS_SPEC_PATH, o->path, strlen(o->path));
	spec_put_texts(s, DIOS_SPEC_ARGUMENT, o->arguments);
	spec_put_texts(s, DIOS_SPEC_ENVIRONMENT, o->environment);
	spec_put_references(s, DIOS_SPEC_INPUT, o->inputs, o->input_count);
	spec_put_references(s, DIOS_SPEC_OUTPUT, o->outputs, o->output_count);
	spec_put_references(s, DIOS_SPEC_STDIN, o->standard_input, 1);
	spec_put_references(s, DIOS_SPEC_STDOUT, o->standard_output, 1);
	spec_put_references(s, DIOS_SPEC_STDERR, o->standard_error, 1);
	spec_put_number(s, DIOS_SPEC_MEMORY, o->memory_bytes);
	spec_put_number(s, DIOS_SPEC_CPU, o->cpu_percent);
	spec_put_number(s, DIOS_SPEC_NODE, o->node);
	spec_put_name(s, DIOS_SPEC_JOB, o->job);
	spec_put_name(s, DIOS_SPEC_GANG, o->gang);
	spec_put_number(s, DIOS_SPEC_GANG_SIZE, o->gang_size);
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);
		if (n < 0) return -errno;
		if (n == 0) return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int spec_to_buffer(const struct spec *s, int fd, uint8_t ret_id[DIOS_ID_SIZE])
{
	int buffer, r = buffer_new(fd, s->size, ret_id);
	if (r < 0) return r;
	r = buffer_open(ret_id, O_WRONLY, &buffer);
	if (r == 0) {
		r = write_all(buffer, s->data, s->size);
		close(buffer);
	}
	if (r < 0) buffer_free(fd, ret_id);
	return r;
}

static int run_spec(uint32_t flags, int fd, const struct spec *s, struct dios_name *ret_name)
{
	struct dios_ioctl_run run = { CALL_HEADER(flags), .spec_size = (uint32_t)s->size };
	int r = 0;

	if (s->size <= sizeof(run.spec)) {
		if (s->size > 0) memcpy(run.spec, s->data, s->size);
	} else {
		r = spec_to_buffer(s, fd, run.buffer);
	}
	if (r == 0) r = call_ioctl(fd, DIOS_IOC_RUN, &run);
	if (!buffer_id_is_zero(run.buffer) && s->size > sizeof(run.spec)) buffer_free(fd, run.buffer);
	if (r == 0) memcpy(ret_name->bytes, run.name, sizeof(ret_name->bytes));
	return r;
}

static int open_task(const struct dios_name *name, dios_ref *ret_task)
{
	char text[DIOS_NAME_TEXT];
	dios_name_to_text(name, text);
	return call_open_dios("name", text, O_RDWR, ret_task);
}

int dios_run(uint32_t flags, dios_ref program, const struct dios_run_options *options, dios_ref *ret_task)
{
	static const struct dios_run_options defaults;
	const struct dios_run_options *o = options ? options : &defaults;
	struct spec s = { 0 };
	struct dios_name name;
	int directory = -1, r;

	if (call_flags_bad(flags, DIOS_PURE | DIOS_RESTART) || (program < 0) != (o->path != NULL)) return -EINVAL;
	if ((o->inputs == NULL && o->input_count) || (o->outputs == NULL && o->output_count)) return -EINVAL;
	spec_write(&s, o);
	r = s.error;
	if (r == 0 && program < 0) r = call_open_dios(NULL, NULL, CALL_DIRECTORY, &directory);
	if (r == 0) r = run_spec(flags, program < 0 ? directory : program, &s, &name);
	if (r == 0) r = open_task(&name, ret_task);
	if (directory >= 0) close(directory);
	free(s.data);
	return r;
}
