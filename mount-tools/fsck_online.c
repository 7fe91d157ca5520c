/* dios fsck of a mount: opening .dios/fsck waits until the daemon has checked everything; meanwhile .dios/fsck.progress says how far it is. */
#include <inttypes.h>
#include <pthread.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/fsck_online.h"

#define LOOK_MS 250      /* between two looks at how far it is */
#define FIELDS 6

struct looking { struct fsck *f; char *path; int stop_fd; };

/* "running DONE TOTAL" or "idle". */
static void *look(void *arg)
{
	struct looking *l = arg;
	struct pollfd stop = { .fd = l->stop_fd, .events = POLLIN };

	while (poll(&stop, 1, LOOK_MS) == 0) {
		_cleanup_buffer_ struct buffer text = { 0 };
		uint64_t done, total;

		buffer_init(&text, 4096);
		if (cli_read_file(l->path, &text) == 0 && buffer_append(&text, "", 1) == 0 &&
		    sscanf((char *)text.data, "running %" SCNu64 " %" SCNu64, &done, &total) == 2)
			fsck_progress(l->f, done, total);
	}
	return NULL;
}

/* The fields are escaped as text_printable does: \xNN, \\. */
static void unescape(char *text)
{
	char *out = text;

	for (char *c = text; *c; c++) {
		unsigned byte;

		if (c[0] == '\\' && c[1] == 'x' && sscanf(c + 2, "%2x", &byte) == 1) {
			*out++ = (char)byte;
			c += 3;
		} else if (c[0] == '\\' && c[1] == '\\') {
			*out++ = *c++;
		} else {
			*out++ = *c;
		}
	}
	*out = '\0';
}

/* "kind TAB inode TAB name TAB path TAB file TAB text", "-" for what is not known. */
static bool print_finding(struct fsck *f, char *line)
{
	char *field[FIELDS];

	for (int i = 0; i < FIELDS; i++) {
		field[i] = line;
		line += strcspn(line, i + 1 < FIELDS ? "\t" : "");
		if (i + 1 < FIELDS && !*line)
			return false;
		if (*line)
			*line++ = '\0';
	}
	for (int i = 2; i < 5; i++) {
		if (strcmp(field[i], "-") == 0)
			field[i] = NULL;
		else
			unescape(field[i]);
	}
	fsck_report(f, &(struct finding){ .kind = strcmp(field[0], "note") == 0 ? FINDING_NOTE : FINDING_PROBLEM, .ino = strtoull(field[1], NULL, 10),
		.name = field[2], .path = field[3], .file = field[4], .text = field[5] });
	return true;
}

static int print_answer(struct fsck *f, char *text)
{
	uint64_t problems = 0;
	bool complete = false, understood = true;

	fsck_begin(f);
	for (char *line = text, *end; *line; line = end) {
		size_t size = strcspn(line, "\n");
		char *rest;

		end = line + size + (line[size] == '\n');
		line[size] = '\0';
		if (*end) {
			understood = print_finding(f, line) && understood;
			continue;
		}
		problems = strtoull(line, &rest, 10);
		complete = strcmp(line, "clean") == 0 || (rest != line && strncmp(rest, " problem", 8) == 0);
	}
	if (!complete || !understood) {
		cli_fail_advised(f->cli, -EBADMSG, "the daemon is of another version?", "the daemon's answer is not understood");
		return FSCK_FAILED;
	}
	return fsck_end(f, problems, 0);
}

/* The answer, while the progress is shown. */
static int wait_for_answer(struct fsck *f, const char *mount, const char *path, struct buffer *text)
{
	struct looking l = { .f = f, .path = cli_dios_path(f->cli, mount, "fsck.progress"), .stop_fd = eventfd(0, EFD_CLOEXEC) };
	pthread_t thread;
	bool started = l.path && l.stop_fd >= 0 && pthread_create(&thread, NULL, look, &l) == 0;

	progress_init(&f->progress, "fsck", PROGRESS_BYTES, 0, f->cli->json || f->cli->quiet);
	int r = cli_read_file(path, text);
	if (started) {
		eventfd_write(l.stop_fd, 1);
		pthread_join(thread, NULL);
		progress_clear(&f->progress);
	}
	if (l.stop_fd >= 0)
		close(l.stop_fd);
	free(l.path);
	return r;
}

int fsck_online(struct fsck *f)
{
	struct cli *cli = f->cli;
	const char *mount = cli_mount(cli, NULL);
	_cleanup_free_ char *path = mount ? cli_dios_path(cli, mount, "fsck") : NULL;
	_cleanup_buffer_ struct buffer text = { 0 };

	if (!path)
		return FSCK_FAILED;
	buffer_init(&text, CLI_FILE_MAX);
	int r = wait_for_answer(f, mount, path, &text);
	if (fsck_cancelled()) {
		cli_fail(cli, 0, "cancelled: nothing was changed");
		return FSCK_CANCELLED;
	}
	if (r == -EACCES)
		cli_fail_advised(cli, r, "it reads everybody's data: run it as root", "cannot check %s", mount);
	else if (r == -EBUSY)
		cli_fail_advised(cli, r, "another check of it is running: wait for its end", "cannot check %s", mount);
	else if (r < 0)
		cli_object_failed(cli, r, "check", mount);
	return r < 0 ? FSCK_FAILED : print_answer(f, (char *)text.data);
}
