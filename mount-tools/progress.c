/* The progress bar; see progress.h. */
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "mount-tools/progress.h"
#include "mount-tools/text.h"

#define BAR_WIDTH_MAX 30
#define COLUMNS_DEFAULT 80

void progress_init(struct progress *p, const char *label, enum progress_unit unit, uint64_t total, bool quiet)
{
	*p = (struct progress){ .out = stderr, .clock = &clock_system, .label = label, .unit = unit, .total = total,
		.quiet = quiet, .terminal = isatty(STDERR_FILENO) };
	p->start_ns = p->drawn_ns = clock_boot_ns(p->clock);
}

static int progress_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col;
}

static void progress_count(const struct progress *p, uint64_t value, char out[static TEXT_SIZE_MAX])
{
	if (p->unit == PROGRESS_BYTES)
		text_size(value, out);
	else
		snprintf(out, TEXT_SIZE_MAX, "%llu", (unsigned long long)value);
}

/* "label  12M of 40M, 30%, 3.1M/s, 9.0s left, detail" */
static void progress_describe(const struct progress *p, uint64_t done, int64_t now, const char *detail, struct buffer *line)
{
	char text[TEXT_SIZE_MAX], duration[TEXT_DURATION_MAX];
	double seconds = (double)(now - p->start_ns) / NS_PER_SECOND;
	double rate = seconds > 0 ? (double)done / seconds : 0;

	progress_count(p, done, text);
	buffer_printf(line, "%s", text);
	if (p->total > 0) {
		progress_count(p, p->total, text);
		buffer_printf(line, " of %s, %d%%", text, (int)((double)done * 100 / (double)p->total));
	}
	if (p->unit == PROGRESS_BYTES && seconds >= 0.2) {
		text_size((uint64_t)rate, text);
		buffer_printf(line, ", %s/s", text);
	}
	if (p->total > done && done > 0 && seconds >= 1) {
		text_duration((int64_t)((double)(p->total - done) / rate * NS_PER_SECOND), duration);
		buffer_printf(line, ", %s left", duration);
	}
	if (detail)
		buffer_printf(line, ", %s", detail);
}

static void progress_draw(struct progress *p, uint64_t done, int64_t now, const char *detail)
{
	_cleanup_buffer_ struct buffer line = { 0 };
	int columns = progress_columns();

	buffer_init(&line, 4096);
	progress_describe(p, done, now, detail, &line);
	buffer_append(&line, "", 1);
	if (buffer_error(&line) < 0)
		return;
	if (!p->terminal) {
		fprintf(p->out, "%s: %s\n", p->label, (char *)line.data);
		return;
	}
	int room = columns - (int)(text_width(p->label) + text_width((char *)line.data)) - 6;
	int width = room > BAR_WIDTH_MAX ? BAR_WIDTH_MAX : room;

	fprintf(p->out, "\r\033[K%s ", p->label);
	if (p->total > 0 && width >= 5) {
		int full = (int)((double)(done > p->total ? p->total : done) / (double)p->total * width);

		putc('[', p->out);
		for (int i = 0; i < width; i++)
			putc(i < full ? '#' : '.', p->out);
		fputs("] ", p->out);
	}
	/* A line longer than the terminal would wrap, and the next carriage return leave its first part behind. */
	int left = columns - (int)text_width(p->label) - 2;
	if (p->total > 0 && width >= 5)
		left -= width + 3;
	fprintf(p->out, "%.*s", left > 0 ? left : 0, (char *)line.data);
	fflush(p->out);
	p->drawn = true;
}

void progress_update(struct progress *p, uint64_t done, const char *detail)
{
	int64_t now = clock_boot_ns(p->clock);

	if (p->quiet || now - p->drawn_ns < (p->terminal ? PROGRESS_BAR_NS : PROGRESS_LINE_NS))
		return;
	p->drawn_ns = now;
	progress_draw(p, done, now, detail);
}

void progress_finish(struct progress *p, uint64_t done, const char *detail)
{
	int64_t now = clock_boot_ns(p->clock);

	if (p->quiet)
		return;
	/* Without a terminal a last line is worth it only where one came before. */
	if (p->terminal ? p->drawn : p->drawn_ns != p->start_ns)
		progress_draw(p, done, now, detail);
	if (p->terminal && p->drawn)
		putc('\n', p->out);
	p->drawn = false;
}

void progress_clear(struct progress *p)
{
	if (!p->terminal || !p->drawn)
		return;
	fputs("\r\033[K", p->out);
	fflush(p->out);
	p->drawn = false;
}
