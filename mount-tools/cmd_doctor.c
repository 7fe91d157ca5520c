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

/* The data directory of the mount that there is, if there is just one. */
static char *data_of_mount(struct cli *cli, bool *ret_hangs)
{
	_cleanup_buffer_ struct buffer text = { 0 };
	_cleanup_free_ char *path = NULL;
	struct json_value *status = NULL;

	if (mounts_read(&cli->mounts) < 0)
		return NULL;
	cli->mounts_known = true;
	if (cli->mounts.count != 1 || asprintf(&path, "%s/.dios/status", cli->mounts.paths[0]) < 0)
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
	_cleanup_free_ char *found = cli->argc > 0 ? NULL : data_of_mount(cli, &hangs);
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
			"the mount %s has not answered for %d s: its daemon hangs, or dies at each start", cli->mounts.paths[0], ASK_S);
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
	.details = "DATA is a data directory, or where one is to be made (default: that of the only mount). Changes nothing: for the disk's speed a file is\n"
		"written beside the data and removed. Run it as root: others cannot look at everything. Exits with 0 if nothing is bad (there may be\n"
		"warnings), with 1 if something is.",
	.arguments_min = 0, .arguments_max = 1, .no_mount = true, .run = run_doctor,
};
