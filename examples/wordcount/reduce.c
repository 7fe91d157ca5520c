/* wordcount-reduce: adds up the "word<TAB>count" lines of all its inputs and writes one such line a word, sorted. Reads whichever input
 * has something: a mapper that waits for this reducer must not wait for another mapper first. */
#include <poll.h>
#include <search.h>

#include "fds.h"

#define LINE_MAX_BYTES 8192

struct input { size_t used; char data[65536]; };
struct tally { unsigned long long count; char word[]; };

static void *words;   /* a tree of struct tally, by word */

static int tally_compare(const void *a, const void *b)
{
	return strcmp(((const struct tally *)a)->word, ((const struct tally *)b)->word);
}

static void add_line(const char *line, size_t size)
{
	const char *tab = memchr(line, '\t', size);
	char *end;

	if (!tab || tab == line || tab[1] < '0' || tab[1] > '9')
		die("input", "expected word<TAB>count");
	errno = 0;
	unsigned long long count = strtoull(tab + 1, &end, 10);
	if (end != line + size || end == tab + 1 || errno)
		die("input", "expected word<TAB>count");

	size_t word_size = (size_t)(tab - line);
	struct tally *entry = malloc(sizeof(*entry) + word_size + 1);
	if (!entry)
		die("memory", strerror(ENOMEM));
	entry->count = 0;
	memcpy(entry->word, line, word_size);
	entry->word[word_size] = '\0';
	struct tally **node = tsearch(entry, &words, tally_compare);
	if (!node)
		die("memory", strerror(ENOMEM));
	(*node)->count += count;
	if (*node != entry)
		free(entry);
}

/* Takes the whole lines out of the input and keeps what is left for the next read. */
static void add_lines(struct input *in)
{
	size_t start = 0;
	char *newline;

	while ((newline = memchr(in->data + start, '\n', in->used - start))) {
		*newline = '\0';   /* ends the number */
		add_line(in->data + start, (size_t)(newline - in->data) - start);
		start = (size_t)(newline - in->data) + 1;
	}
	in->used -= start;
	memmove(in->data, in->data + start, in->used);
	if (in->used > LINE_MAX_BYTES)
		die("input", "a line of more than 8192 bytes");
}

static void read_inputs(const struct fds *fds)
{
	struct input *inputs = calloc((size_t)fds->count, sizeof(*inputs));
	struct pollfd polls[FDS_MAX];
	int open_count = fds->count;

	if (!inputs)
		die("memory", strerror(ENOMEM));
	for (int i = 0; i < fds->count; i++)
		polls[i] = (struct pollfd){ .fd = fds->fd[i], .events = POLLIN };
	while (open_count > 0) {
		if (poll(polls, (nfds_t)fds->count, -1) < 0 && errno != EINTR)
			die("poll", strerror(errno));
		for (int i = 0; i < fds->count; i++) {
			struct input *in = &inputs[i];
			if (polls[i].fd < 0 || !polls[i].revents)
				continue;
			size_t n = read_some(polls[i].fd, in->data + in->used, sizeof(in->data) - in->used);
			in->used += n;
			add_lines(in);
			if (n == 0) {
				if (in->used > 0)
					die("input", "the last line has no end");
				polls[i].fd = -1;   /* poll() passes it over */
				open_count--;
			}
		}
	}
	free(inputs);
}

static void print_entry(const void *node, VISIT visit, void *closure)
{
	const struct tally *entry = *(const struct tally *const *)node;

	if (visit == postorder || visit == leaf)   /* in order */
		fprintf(closure, "%s\t%llu\n", entry->word, entry->count);
}

int main(void)
{
	struct fds in, out;

	fds_read(&in, "DIOS_INPUTS", 0);
	fds_read(&out, "DIOS_OUTPUTS", 1);
	read_inputs(&in);

	FILE *file = fdopen(out.fd[0], "w");
	if (!file)
		die("output", strerror(errno));
	twalk_r(words, print_entry, file);
	if (fclose(file) != 0)
		die("output", strerror(errno));
	tdestroy(words, free);
	return 0;
}
