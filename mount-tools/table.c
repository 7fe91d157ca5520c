/* Columns; see table.h. Invariant: cells holds whole rows and then row_cells cells of the next one. */
#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "mount-tools/table.h"
#include "mount-tools/text.h"

void table_init(struct table *t, FILE *out, size_t columns, const char *const *titles)
{
	assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
	*t = (struct table){ .out = out, .columns = columns };
	t->cells = calloc(columns * (TABLE_ROWS + 1), sizeof(*t->cells));
	if (!t->cells) {
		t->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < columns; i++) {
		if (titles[i][0] == '>')
			t->right |= 1u << i;
		table_cell(t, titles[i] + (titles[i][0] == '>'));
	}
}

static void table_put_cell(struct table *t, size_t column, const char *text)
{
	size_t width = text_width(text);
	int padding = width < t->widths[column] ? (int)(t->widths[column] - width) : 0;
	bool last = column == t->columns - 1;

	if (column > 0)
		fputs("  ", t->out);
	if (t->right & 1u << column)
		fprintf(t->out, "%*s%s", padding, "", text);
	else
		fprintf(t->out, "%s%*s", text, last ? 0 : padding, "");
	if (last)
		putc('\n', t->out);
}

/* Prints the held rows. */
static void table_flush(struct table *t)
{
	for (size_t i = 0; i < t->cell_count; i++) {
		size_t width = text_width(t->cells[i]);

		if (width > t->widths[i % t->columns])
			t->widths[i % t->columns] = width;
	}
	for (size_t i = 0; i < t->cell_count; i++) {
		table_put_cell(t, i % t->columns, t->cells[i]);
		free(t->cells[i]);
	}
	t->cell_count = 0;
}

void table_cell(struct table *t, const char *text)
{
	if (t->error < 0)
		return;
	char *printable = text_printable(text);
	if (!printable) {
		t->error = -ENOMEM;
		return;
	}
	t->cells[t->cell_count++] = printable;
	t->row_cells = (t->row_cells + 1) % t->columns;
	if (t->row_cells == 0 && t->cell_count == t->columns * (TABLE_ROWS + 1))
		table_flush(t);
}

void table_printf(struct table *t, const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	int n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		t->error = -ENOMEM;
		return;
	}
	table_cell(t, text);
	free(text);
}

int table_finish(struct table *t)
{
	int r = t->error;

	assert(r < 0 || t->row_cells == 0);
	if (t->cells) {
		t->cell_count -= t->row_cells;   /* a row that memory cut short is left out */
		for (size_t i = 0; i < t->row_cells; i++)
			free(t->cells[t->cell_count + i]);
		table_flush(t);
	}
	free(t->cells);
	*t = (struct table){ .out = t->out, .columns = t->columns };
	return r;
}
