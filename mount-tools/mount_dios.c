/* mount.dios DATA DIR [-sfnv] [-N NS] [-o OPTIONS] [-t TYPE]: what mount(8) runs for `mount -t dios` and for lines of fstab. Checks the options and
 * becomes dios-holder. */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "mount-tools/beside.h"
#include "mount-tools/mount_options.h"

#define EXIT_USAGE 1      /* as of mount(8): incorrect invocation or permissions */
#define EXIT_SYSTEM 2

static int usage(void)
{
	fprintf(stderr, "usage: mount.dios DATA DIRECTORY [-o OPTIONS]\n");
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *options = "";
	bool sloppy = false, fake = false;
	struct mount_options parsed = { 0 };
	char error[512] = "", holder[4096];
	int c;

	while ((c = getopt(argc, argv, "sfnvN:o:t:")) != -1) {
		if (c == 's')
			sloppy = true;
		else if (c == 'f')
			fake = true;
		else if (c == 'o')
			options = optarg;
		else if (c == 'N') {
			fprintf(stderr, "mount.dios: -N: mounting in another name space is not supported; use nsenter(1)\n");
			return EXIT_USAGE;
		} else if (c == '?')
			return usage();
	}
	if (argc - optind != 2)
		return usage();
	int r = mount_options_parse(&parsed, options, sloppy, error, sizeof(error));
	mount_options_done(&parsed);
	if (r < 0) {
		fprintf(stderr, "mount.dios: %s\n", error[0] ? error : strerror(-r));
		return EXIT_USAGE;
	}
	if (fake)
		return 0;
	r = program_beside("dios-holder", holder, sizeof(holder));
	if (r < 0) {
		fprintf(stderr, "mount.dios: dios-holder is neither beside this program nor in %s\n", DIOS_SBINDIR);
		return EXIT_SYSTEM;
	}
	const char *arguments[8] = { holder };
	int n = 1;
	if (sloppy)
		arguments[n++] = "--sloppy";
	if (options[0]) {
		arguments[n++] = "-o";
		arguments[n++] = options;
	}
	arguments[n++] = "--";
	arguments[n++] = argv[optind];
	arguments[n++] = argv[optind + 1];
	execv(holder, (char *const *)(uintptr_t)arguments);
	fprintf(stderr, "mount.dios: %s: %s\n", holder, strerror(errno));
	return EXIT_SYSTEM;
}
