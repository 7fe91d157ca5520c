/* dios stat: everything about an object, or what a format asks for. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/facts.h"
#include "mount-tools/text.h"

enum { STAT_FORMAT = 'f', STAT_NO_FOLLOW = 'P' };

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * NS_PER_SECOND + t->tv_nsec;
}

static void print_text(const char *text)
{
	_cleanup_free_ char *printable = text_printable(text);

	fputs(printable ? printable : "?", stdout);
}

/* One directive; false: there is no such. */
static bool print_directive(char directive, const char *what, const struct facts *f)
{
	char time[TEXT_TIME_MAX];

	switch (directive) {
	case 'N': fputs(f->name, stdout); return true;
	case 'n': print_text(what); return true;
	case 'k': fputs(f->kind, stdout); return true;
	case 's': printf("%jd", (intmax_t)f->st.st_size); return true;
	case 'v':
		if (f->has_version)
			printf("%" PRIu64, f->version);
		else
			putchar('-');
		return true;
	case 'p': fputs(f->proximity, stdout); return true;
	case 'r': fputs(f->replicas, stdout); return true;
	case 'R': printf("%" PRIu32, f->replica_count); return true;
	case 'l': fputs(f->lease, stdout); return true;
	case 'i': printf("%ju", (uintmax_t)f->st.st_ino); return true;
	case 'm': printf("%04o", f->st.st_mode & 07777u); return true;
	case 'u': printf("%u", f->st.st_uid); return true;
	case 'g': printf("%u", f->st.st_gid); return true;
	case 'h': printf("%ju", (uintmax_t)f->st.st_nlink); return true;
	case 't':
		text_time(nanoseconds(&f->st.st_mtim), time);
		fputs(time, stdout);
		return true;
	case 'L': fputs(f->has_info ? facts_lifecycle(f->info.lifecycle) : "-", stdout); return true;
	case 'P': fputs(f->has_info ? facts_produced(f->info.produced) : "-", stdout); return true;
	case '%': putchar('%'); return true;
	default: return false;
	}
}

static int print_format(struct cli *cli, const char *format, const char *what, const struct facts *f)
{
	for (const char *p = format; *p; p++) {
		if (*p == '\\' && (p[1] == 'n' || p[1] == 't' || p[1] == '\\'))
			putchar(*++p == 'n' ? '\n' : *p == 't' ? '\t' : '\\');
		else if (*p != '%')
			putchar(*p);
		else if (!print_directive(*++p, what, f))
			return cli_usage(cli, "--format: no directive '%%%.1s'; there are N n k s v p r R l i m u g h t L P %%", p);
	}
	putchar('\n');
	return EXIT_OK;
}

static void print_time(const char *label, const struct timespec *t)
{
	char text[TEXT_TIME_MAX];

	text_time(nanoseconds(t), text);
	printf("%-12s%s\n", label, text);
}

static void print_stream(const struct dios_ioctl_info *info)
{
	char age[TEXT_DURATION_MAX];

	printf("%-12s%" PRIu64 " to %" PRIu64 ", %" PRIu64 " records, %" PRIu64 " consumed%s%s%s%s\n", "stream", info->stream_start, info->stream_end,
		info->stream_records, info->stream_consumed, info->create_flags & DIOS_DIRECT ? ", direct" : "",
		info->create_flags & DIOS_END_ON_CLOSE ? ", ends on close" : "", info->stream_state & DIOS_STREAM_ENDED ? ", ended" : "",
		info->stream_state & DIOS_STREAM_BROKEN ? ", broken" : "");
	printf("%-12s%" PRIu64 " bytes", "limit", info->limit_bytes);
	if (info->trim_bytes)
		printf(", trimmed to %" PRIu64 " bytes", info->trim_bytes);
	if (info->trim_age_ns) {
		text_duration(info->trim_age_ns, age);
		printf(", trimmed after %s", age);
	}
	printf("%s\n", info->stream_state & DIOS_STREAM_TRIM_CONSUMED ? ", trimmed when consumed" : "");
}

static void print_all(const char *what, const struct facts *f)
{
	printf("%-12s", "object");
	print_text(what);
	printf("\n%-12s%s\n%-12s%s\n%-12s%jd\n", "name", f->name, "kind", f->kind, "size", (intmax_t)f->st.st_size);
	if (f->has_version)
		printf("%-12s%" PRIu64 "\n", "version", f->version);
	printf("%-12s%s\n%-12s%s\n%-12s%s\n", "proximity", f->proximity, "replicas", f->replicas, "lease", f->lease);
	printf("%-12s%04o  uid %u  gid %u  links %ju  inode %ju\n", "mode", f->st.st_mode & 07777u, f->st.st_uid, f->st.st_gid,
		(uintmax_t)f->st.st_nlink, (uintmax_t)f->st.st_ino);
	print_time("modified", &f->st.st_mtim);
	print_time("changed", &f->st.st_ctim);
	if (!f->has_info)
		return;
	printf("%-12s%s\n", "lifecycle", facts_lifecycle(f->info.lifecycle));
	if (f->info.produced != DIOS_PRODUCED_YES)
		printf("%-12s%s\n", "produced", facts_produced(f->info.produced));
	if (f->info.create_flags & (DIOS_MEMORY | DIOS_LOCAL))
		printf("%-12s%s%s\n", "kept", f->info.create_flags & DIOS_MEMORY ? "in memory only " : "",
			f->info.create_flags & DIOS_LOCAL ? "on this node only" : "");
	if (f->info.kind == DIOS_STREAM)
		print_stream(&f->info);
	if (f->info.kind == DIOS_TASK)
		printf("%-12s%s\n", "state", facts_task_state(f->info.task_state));
}

static int stat_one(struct cli *cli, const char *what)
{
	_cleanup_free_ char *path = NULL;
	const char *format = cli_value(cli, STAT_FORMAT);
	struct facts f;
	int r = cli_object_path(cli, what, &path);

	if (r != 0)
		return r;
	r = facts_read(AT_FDCWD, path, cli_has(cli, STAT_NO_FOLLOW) ? AT_SYMLINK_NOFOLLOW : 0, &f);
	if (r < 0)
		return cli_object_failed(cli, r, "look at", what);
	if (f.refused < 0 && !strcmp(f.name, "-") && !S_ISDIR(f.st.st_mode))
		return cli_object_failed(cli, f.refused, "ask", what);
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_string(&cli->writer, "file", what);
		facts_json(&cli->writer, &f);
		json_close(&cli->writer);
		return EXIT_OK;
	}
	if (format)
		return print_format(cli, format, what, &f);
	print_all(what, &f);
	return EXIT_OK;
}

static int run_stat(struct cli *cli)
{
	int status = EXIT_OK;

	if (cli->json && cli_has(cli, STAT_FORMAT))
		return cli_usage(cli, "--format and --json exclude each other");
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "objects");
	}
	for (int i = 0; i < cli->argc && !cli->writer.done; i++) {
		int r = stat_one(cli, cli->argv[i]);

		if (r == EXIT_USAGE)
			return r;
		if (r != EXIT_OK)
			status = r;
		if (i + 1 < cli->argc && !cli->json && !cli_has(cli, STAT_FORMAT))
			putchar('\n');
	}
	if (!cli->writer.done)
		cli_json_end(cli);
	return status;
}

static const struct cli_option stat_options[] = {
	{ STAT_FORMAT, "format", "FORMAT", "print this instead, with directives as below, and a newline" },
	{ STAT_NO_FOLLOW, "no-follow", NULL, "look at a symbolic link itself" },
	{ 0 },
};
const struct cli_command command_stat = {
	.name = "stat", .arguments = "OBJECT...", .summary = "show what is known of objects",
	.details = "OBJECT is a path in a mount, an object's name, or a token.\n"
		"Directives: %N name, %n as given, %k kind, %s size in bytes, %v version, %p proximity, %r nodes with a replica, %R number of\n"
		"replicas, %l lease, %i inode, %m mode, %u uid, %g gid, %h links, %t time of the last change of content, %L lifecycle,\n"
		"%P produced, %% a percent sign; \\n and \\t as in printf(1). What is not known is '-'.",
	.options = stat_options, .arguments_min = 1, .arguments_max = -1, .run = run_stat,
};
