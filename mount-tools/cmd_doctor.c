/* dios doctor: is this machine fit for dios, before `dios init` and after? A line for each check, and below what falls short what to do about it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mount-tools/ask.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/doctor.h"
#include "mount-tools/json_read.h"
#include "mount-tools/text.h"

static const char *const verdicts[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_BAD] = "bad" };

void doctor_say(struct doctor *d, const char *check, enum doctor_verdict verdict, const char *remedy, const char *format, ...)
{
	_cleanup_free_ char *what = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&what, format, ap) < 0)
		what = NULL;
	va_end(ap);
	d->count[verdict]++;
	if (d->cli->json) {
		struct json *j = &d->cli->writer;
		json_open_object(j, NULL);
		json_string(j, "check", check);
		json_string(j, "verdict", verdicts[verdict]);
		json_string(j, "what", what ? what : "");
		if (remedy)
			json_string(j, "remedy", remedy);
		else
			json_null(j, "remedy");
		json_close(j);
		return;
	}
	_cleanup_free_ char *printable = text_printable(what ? what : "");
	printf("%-5s %-15s%s\n", verdicts[verdict], check, printable ? printable : "");
	if (remedy)
		printf("%21s-> %s\n", "", remedy);
}

int doctor_read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	bool read = fgets(line, (int)size, f) != NULL;
	fclose(f);
	if (!read)
		return -ENODATA;
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* The mount that is named; else the one that there is, if there is just one. NULL: none, or what --mount names is none, which has been said. What
 * DIOS_MOUNT names need not be mounted yet. */
static const char *find_mount(struct cli *cli)
{
	const char *environment = getenv("DIOS_MOUNT");

	if (cli->mount_option)
		return cli_mount(cli, NULL);
	if (mounts_read(&cli->mounts) < 0)
		return NULL;
	cli->mounts_known = true;
	for (size_t i = 0; environment && i < cli->mounts.count; i++)
		if (strcmp(cli->mounts.paths[i], environment) == 0)
			return cli->mounts.paths[i];
	return cli->mounts.count == 1 ? cli->mounts.paths[0] : NULL;
}

static char *data_of_mount(const char *mount, bool *ret_hangs)
{
	_cleanup_buffer_ struct buffer text = { 0 };
	_cleanup_free_ char *path = NULL;
	struct json_value *status = NULL;

	if (!mount || asprintf(&path, "%s/.dios/status", mount) < 0)
		return NULL;
	buffer_init(&text, CLI_FILE_MAX);
	int r = ask_read(path, &text);
	*ret_hangs = r == -ETIMEDOUT;
	if (r < 0 || json_parse((char *)text.data, text.size, &status) < 0)
		return NULL;
	const char *data = json_get_string(status, "data");
	char *copy = data ? strdup(data) : NULL;
	json_value_free(status);
	return copy;
}

static int run_doctor(struct cli *cli)
{
	bool hangs = false;
	if (cli->argc > 0 && cli->mount_option)
		return cli_usage(cli, "either a data directory or --mount");
	const char *mount = cli->argc > 0 ? NULL : find_mount(cli);
	if (!mount && cli->mount_option)
		return EXIT_FAILED;
	_cleanup_free_ char *found = data_of_mount(mount, &hangs);
	struct doctor d = { .cli = cli, .data = cli->argc > 0 ? cli->argv[0] : found };

	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "checks");
	}
	doctor_kernel(&d);
	doctor_programs(&d);
	doctor_fuse(&d);
	doctor_limits(&d);
	doctor_clock(&d);
	doctor_tasks(&d);
	if (hangs)
		doctor_say(&d, "mount", DOCTOR_BAD, "its log says why: DATA/diosd.log, or journalctl -u 'dios@*'; 'dios doctor DATA' looks at its disk",
			"the mount %s has not answered for %d s: its daemon hangs, or dies at each start", mount, ASK_S);
	if (d.data)
		doctor_disk(&d);
	if (cli->json) {
		json_close(&cli->writer);
		json_uint(&cli->writer, "ok", d.count[DOCTOR_OK]);
		json_uint(&cli->writer, "warn", d.count[DOCTOR_WARN]);
		json_uint(&cli->writer, "bad", d.count[DOCTOR_BAD]);
		json_close(&cli->writer);
	} else {
		printf("\n%u ok, %u warning%s, %u bad%s\n", d.count[DOCTOR_OK], d.count[DOCTOR_WARN], d.count[DOCTOR_WARN] == 1 ? "" : "s", d.count[DOCTOR_BAD],
			d.data ? "" : "; name a data directory, made or to be made, to have its disk looked at");
	}
	return d.count[DOCTOR_BAD] > 0 ? EXIT_FAILED : EXIT_OK;
}

const struct cli_command command_doctor = {
	.name = "doctor", .arguments = "[DATA]", .summary = "check whether this machine is fit for dios, and say what to mend",
	.details = "DATA is a data directory, or where one is to be made (default: that of the mount that is named, or the only one). Changes nothing: for\n"
		"the disk's speed a file is written beside the data and removed. Run it as root: others cannot look at everything. Exits with 0 if nothing\n"
		"is bad (there may be warnings), with 1 if something is.",
	.arguments_min = 0, .arguments_max = 1, .run = run_doctor,
};
