/* Aligned columns on a stream. Widths come from the first TABLE_ROWS rows, so that a long listing starts at once and takes no
 * more memory; later rows that need more room take it. The last column is never padded. Texts are made printable. */
#ifndef DIOS_MOUNT_TOOLS_TABLE_H
#define DIOS_MOUNT_TOOLS_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16
#define TABLE_ROWS 512   /* rows held back to find the widths */

struct table {
	FILE *out;                             /* borrowed */
	size_t columns;
	unsigned int right;                    /* bit i: column i is aligned to the right */
	size_t widths[TABLE_COLUMNS_MAX];
	char **cells;                          /* held rows, row after row; owned */
	size_t cell_count;
	size_t row_cells;                      /* cells of the row that is being filled */
	int error;
};

/* titles: `columns` of them, each in capitals; a leading '>' aligns its column to the right. */
void table_init(struct table *t, FILE *out, size_t columns, const char *const *titles);
void table_cell(struct table *t, const char *text);      /* row after row, left to right */
void table_printf(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
int table_finish(struct table *t);                       /* prints what is held, frees; -ENOMEM if a row was lost */

#endif
