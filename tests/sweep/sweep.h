/* What a test and the library inside its daemon share: which call is to fail next, and how far the counting has come.
 *
 * The test arms by writing nth last; the library counts each call of an armed kind, makes call number nth fail, once, and says what it was. */
#ifndef DIOS_TESTS_SWEEP_H
#define DIOS_TESTS_SWEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum sweep_kind { SWEEP_MALLOC, SWEEP_WRITE, SWEEP_PWRITE, SWEEP_SYNC, SWEEP_RENAME, SWEEP_OPEN, SWEEP_MMAP, SWEEP_KINDS };

#define SWEEP_FOR_EVER UINT64_MAX
#define SWEEP_TRACE_MAX 24

struct sweep_control {
	_Atomic uint32_t pid;             /* the daemon that has read this file; 0: none yet */
	_Atomic uint32_t kinds;           /* 1 << enum sweep_kind */
	_Atomic int error;                /* the errno */
	_Atomic uint64_t nth;             /* 0: nothing fails */
	_Atomic uint64_t last;            /* as nth, or SWEEP_FOR_EVER: all calls from nth on */
	_Atomic uint64_t count;           /* calls since it was armed */
	_Atomic uint64_t fired;           /* of those, how many failed */
	_Atomic bool without_crypto;      /* allocations of OpenSSL do not count */
	char match[64];                   /* only calls on files whose path has this in it; empty: all */
	_Atomic uint32_t trace_count;     /* of the first that failed: where it was made, as offsets in the daemon's executable */
	uint64_t trace[SWEEP_TRACE_MAX];
	char what[96];                    /* its kind and path */
};

#endif
