/* Names as text: 43 characters of base64url without padding, strict: one text for one name. */
#include "libdios/call.h"

#include <errno.h>
#include <string.h>

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void dios_name_to_text(const struct dios_name *name, char text[DIOS_NAME_TEXT])
{
	uint32_t bits = 0;
	unsigned held = 0;
	char *at = text;

	for (size_t i = 0; i < sizeof(name->bytes); i++) {
		bits = bits << 8 | name->bytes[i];
		for (held += 8; held >= 6; held -= 6)
			*at++ = alphabet[bits >> (held - 6) & 63];
	}
	*at++ = alphabet[bits << (6 - held) & 63];   /* 256 bits are 42 characters and 4 bits */
	*at = '\0';
}

int dios_name_from_text(const char *text, struct dios_name *ret_name)
{
	struct dios_name name;
	uint32_t bits = 0;
	unsigned held = 0;
	size_t size = 0;

	if (strnlen(text, DIOS_NAME_TEXT) != DIOS_NAME_TEXT - 1) return -EINVAL;
	for (; *text; text++) {
		const char *found = memchr(alphabet, *text, sizeof(alphabet));
		if (!found) return -EINVAL;
		bits = bits << 6 | (uint32_t)(found - alphabet);
		held += 6;
		if (held >= 8 && size < sizeof(name.bytes)) {
			held -= 8;
			name.bytes[size++] = (uint8_t)(bits >> held);
		}
	}
	if (bits & ((1u << held) - 1)) return -EINVAL;
	*ret_name = name;
	return 0;
}

int dios_name_from_string(const char *string, struct dios_name *ret_name)
{
	struct dios_ioctl_name n = { CALL_HEADER(0) };
	size_t size = strlen(string);
	int directory, r;

	if (size == 0) return -EINVAL;
	if (size > DIOS_STRING_MAX) return -ENAMETOOLONG;
	n.string_size = (uint32_t)size;
	memcpy(n.string, string, size);
	r = call_open_dios(NULL, NULL, CALL_DIRECTORY, &directory);
	if (r < 0) return r;
	r = call_ioctl(directory, DIOS_IOC_NAME, &n);
	dios_close(directory);
	if (r == 0) memcpy(ret_name->bytes, n.name, sizeof(ret_name->bytes));
	return r;
}
