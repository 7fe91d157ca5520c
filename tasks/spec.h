/* A task's specification as its record keeps it: what was asked for, and which objects it was given. Never changed. */
#ifndef DIOS_TASKS_SPEC_H
#define DIOS_TASKS_SPEC_H

#include "caps/name.h"
#include "cluster/command.h"
#include "tasks/codec.h"
#include "tasks/launch.h"

struct spec_reference { uint64_t ino; struct name name; };    /* ino 0: none */

struct task_spec {
	struct spec_reference program;                        /* none: path */
	const char *path;
	const char **arguments, **environment;                /* owned arrays, borrowed texts; end with NULL */
	struct spec_reference *inputs, *outputs;              /* owned */
	size_t input_count, output_count;
	struct spec_reference standard[3];
	bool own[3];                                          /* standard[i] is a stream made for this task: goes with it */
	uint64_t memory_bytes;
	uint32_t cpu_percent;
	struct name job, gang;
	uint32_t gang_size;
	bool pure, restart;
};

void task_spec_encode(const struct task_spec *s, struct buffer *out);    /* errors are the buffer's */
/* Borrows from the bytes. -EBADMSG, -ENOMEM, -ENOTSUP. task_spec_done after success only. */
int task_spec_decode(struct slice bytes, struct task_spec *ret_spec);
void task_spec_done(struct task_spec *s);
/* As JSON, with a newline; NAMEs of objects in text. */
int task_spec_print(const struct task_spec *s, struct buffer *out);

#endif
