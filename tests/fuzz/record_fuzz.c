/* Any bytes as an object's record: refused, or a record that is written and read back the same. */
#include <string.h>

#include "base/error.h"
#include "cluster/record.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record record, again;
	struct buffer first, second;
	int r = record_decode((struct slice){ size ? data : NULL, size }, &record);

	if (r < 0) {
		fuzz_check(r == -EBADMSG || r == -ENOTSUP);
		return 0;
	}
	fuzz_check(record.ino != 0 && record.kind >= KIND_BLOB && record.kind <= KIND_SPECIAL);
	buffer_init(&first, RECORD_SIZE_MAX);
	buffer_init(&second, RECORD_SIZE_MAX);
	record_encode(&record, &first);
	fuzz_check(buffer_error(&first) == 0 && first.size <= size);
	fuzz_check(record_decode((struct slice){ first.data, first.size }, &again) == 0);
	record_encode(&again, &second);
	fuzz_check(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
	buffer_done(&first);
	buffer_done(&second);
	return 0;
}
