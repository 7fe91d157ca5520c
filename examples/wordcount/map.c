/* wordcount-map: splits its inputs into words (runs of ASCII letters, in lower case) and writes "word<TAB>1" lines, each to the
 * output that the word's hash chooses, so that all of one word reach the same reducer. Several lines go out in one write, always
 * whole ones: a write to a stream is one record, which no other mapper's can split. */
#include <ctype.h>
#include <stdint.h>

#include "fds.h"

#define WORD_MAX 4096        /* letters; no text has longer ones */
#define OUTPUT_SIZE 32768    /* bytes gathered for one write */

struct output { int fd; size_t used; char data[OUTPUT_SIZE]; };

static struct output outputs[FDS_MAX];
static int output_count;

static void output_flush(struct output *out)
{
	write_all(out->fd, out->data, out->used);
	out->used = 0;
}

static uint32_t hash_word(const char *word, size_t size)
{
	uint32_t hash = 2166136261u;   /* FNV-1a */

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)word[i]) * 16777619u;
	return hash;
}

static void emit(const char *word, size_t size)
{
	struct output *out = &outputs[hash_word(word, size) % (uint32_t)output_count];

	if (size + 3 > OUTPUT_SIZE - out->used)
		output_flush(out);
	memcpy(out->data + out->used, word, size);
	memcpy(out->data + out->used + size, "\t1\n", 3);
	out->used += size + 3;
}

static void map_input(int fd)
{
	static char buffer[65536];
	char word[WORD_MAX];
	size_t size = 0, n;

	while ((n = read_some(fd, buffer, sizeof(buffer))) > 0)
		for (size_t i = 0; i < n; i++) {
			unsigned char c = (unsigned char)buffer[i];
			if (c < 0x80 && isalpha(c)) {
				if (size == WORD_MAX)
					die("input", "a word of more than 4096 letters");
				word[size++] = (char)tolower(c);
			} else if (size > 0) {
				emit(word, size);
				size = 0;
			}
		}
	if (size > 0)
		emit(word, size);
}

int main(void)
{
	struct fds in, out;

	fds_read(&in, "DIOS_INPUTS", 0);
	fds_read(&out, "DIOS_OUTPUTS", 1);
	output_count = out.count;
	for (int i = 0; i < out.count; i++)
		outputs[i].fd = out.fd[i];
	for (int i = 0; i < in.count; i++)
		map_input(in.fd[i]);
	for (int i = 0; i < out.count; i++)
		output_flush(&outputs[i]);
	return 0;
}
