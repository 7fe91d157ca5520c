/* What every fuzz target defines and uses. A target is one file, <target>_fuzz.c, listed in `targets`; it is linked with
 * libFuzzer by `run`, and with replay.c for the suite, which gives it each file of corpus/<target>/. */
#ifndef DIOS_TESTS_FUZZ_H
#define DIOS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes any bytes; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input. Stays in every build. */
#define fuzz_check(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} } while (0)

#endif
