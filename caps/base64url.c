/* Base64url, strict. Six bits a character, most significant first; the last character's unused bits are zero. */
#include "caps/base64url.h"

#include "base/error.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const uint8_t *data, size_t size, char *text)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		for (count += 8; count >= 6; count -= 6)
			*text++ = alphabet[bits >> (count - 6) & 63];
	}
	if (count)
		*text = alphabet[bits << (6 - count) & 63];
}

/* 0 to 63, or -EINVAL. */
static int decode_character(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -EINVAL;
}

int base64url_decode(const char *text, size_t size, uint8_t *out, size_t capacity, size_t *ret_size)
{
	uint32_t bits = 0;
	unsigned count = 0;
	size_t used = 0;

	/* One character left over holds six bits: no byte. The first test keeps the arithmetic from wrapping. */
	if (size / 4 > capacity || size % 4 == 1 || size / 4 * 3 + size % 4 * 3 / 4 > capacity)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		int value = decode_character(text[i]);
		if (value < 0)
			return value;
		bits = bits << 6 | (uint32_t)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[used++] = (uint8_t)(bits >> count);
		}
	}
	if (bits & ((1U << count) - 1))
		return -EINVAL;
	*ret_size = used;
	return 0;
}
