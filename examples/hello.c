/* Makes an object, writes, reads and deletes it.  cc hello.c $(pkg-config --cflags --libs dios) */
#include <dios.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct dios_buffer b;
	dios_ref ref;

	int r = dios_create(0, NULL, NULL, &ref);
	if (r == 0) r = dios_acquire_write(0, ref, 0, 13, &b);
	if (r == 0) r = (memcpy(b.data, "hello, world\n", 13), dios_commit_write(0, ref, &b, 13));
	if (r == 0) r = dios_acquire_read(0, ref, 0, 100, &b);
	if (r == 0) r = (printf("%.*s", (int)b.size, (char *)b.data), dios_commit_read(0, ref, &b));
	if (r == 0) r = dios_delete(0, ref);
	if (r < 0) fprintf(stderr, "hello: %s\n", strerror(-r));
	return r < 0;
}
