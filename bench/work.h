/* What the works share: their sizes, their clock, and how they say what they measured. A work is one row of docs/PERFORMANCE.md on one
 * mount; it runs once and prints "NAME VALUE" lines. Whatever fails ends the program: a figure is of a run in which all went well. */
#ifndef DIOS_BENCH_WORK_H
#define DIOS_BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

#define SMALL 4096u            /* bytes: of small files, random reads and writes, and committed blocks */
#define LARGE (1u << 20)       /* bytes: of sequential reads and writes */
#define RECORD 256u            /* bytes: of a stream's records */

struct sizes {
	const char *folder;    /* where the work is done; its own */
	uint64_t bytes;        /* of the large file */
	uint64_t files, operations, records;
};

_Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *format, ...);   /* adds errno's text */
void need(int r, const char *what);              /* r < 0: a negative errno */
int64_t now_ns(void);
uint64_t random_next(uint64_t *state);
void *buffer_make(size_t size);                  /* aligned, with bytes that do not compress */
int file_open(const struct sizes *s, const char *name, int flags);
void file_write(int fd, const void *data, size_t size, int64_t offset);
void say_rate(uint64_t count, int64_t ns);               /* rate: a second */
void say_bytes(uint64_t bytes, int64_t ns);              /* rate: MiB a second */
/* Takes the durations of single operations; also says how long the middle one and the 99th of a hundred took. */
void say_times(int64_t *ns, uint64_t count);

/* Each of these is a work. */
void sequential_write(const struct sizes *s);
void sequential_read(const struct sizes *s);
void sequential_read_again(const struct sizes *s);
void mapped_read_again(const struct sizes *s);
void random_read_again(const struct sizes *s);
void random_write_sync(const struct sizes *s);
void random_write(const struct sizes *s);
void block_sync(const struct sizes *s);
void create_files(const struct sizes *s);
void create_files_sync(const struct sizes *s);
void stat_again(const struct sizes *s);
void read_files(const struct sizes *s);
void read_files_again(const struct sizes *s);
void unlink_files(const struct sizes *s);
void many_files(const struct sizes *s);
void acquire_commit(const struct sizes *s);
void commit_write(const struct sizes *s);
void bare_ioctl(const struct sizes *s);
void plain_write(const struct sizes *s);
void stream_batched(const struct sizes *s);
void stream_single(const struct sizes *s);
void plain_stream(const struct sizes *s);
void run_task(const struct sizes *s);
void fork_exec(const struct sizes *s);

#endif
