/* Which mounts there are, from the text of mountinfo. */
#include <stdlib.h>

#include "mount-tools/mounts.h"
#include "tests/tap.h"

static void parse(const char *text, struct mounts *m)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	if (!f || mounts_parse(f, m) < 0)
		abort();
	fclose(f);
}

int main(void)
{
	static const char text[] =
		"21 26 0:20 / /proc rw,nosuid - proc proc rw\n"
		"40 26 0:50 / /dios rw,nosuid,nodev shared:7 - fuse.dios /var/lib/dios rw,user_id=0\n"
		"41 26 0:51 / /mnt/two\\040words rw shared:7 master:3 - fuse.dios data rw\n"
		"42 26 0:52 / /mnt/hidden rw - fuse.dios data rw\n"
		"43 42 0:53 / /mnt/hidden rw - tmpfs tmpfs rw\n"
		"44 26 0:54 / /mnt/dios-like rw - fuse.diosx data rw\n"
		"45 26 0:55 / /dios/inner rw - fuse.dios data rw\n"
		"broken line\n"
		"46 26 - fuse.dios\n";
	struct mounts m = { 0 };

	parse(text, &m);
	is_int(m.count, 3, "mounts of type fuse.dios that nothing is mounted over");
	is_str(m.count > 0 ? m.paths[0] : "", "/dios", "the first");
	is_str(m.count > 1 ? m.paths[1] : "", "/mnt/two words", "a blank in its path");
	is_str(mounts_find(&m, "/dios"), "/dios", "the mount itself lies in it");
	is_str(mounts_find(&m, "/dios/a/b"), "/dios", "so does a file");
	is_str(mounts_find(&m, "/dios/inner/x"), "/dios/inner", "the innermost counts");
	ok(!mounts_find(&m, "/diosx"), "a longer name does not");
	ok(!mounts_find(&m, "/mnt/hidden/a"), "nor what is hidden");
	mounts_done(&m);
	parse("1 1 0:1 / / rw - fuse.dios data rw\n", &m);
	is_str(mounts_find(&m, "/any/where"), "/", "a mount at the root has everything");
	mounts_done(&m);
	is_int(mounts_read(&m), 0, "this process' own list is read");
	mounts_done(&m);
	return done_testing();
}
