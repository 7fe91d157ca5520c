/* The frame of the dios command: one table describes each subcommand and its options, and parser, --help, completion and the
 * tests all read it, so that they cannot differ. Each subcommand family is a file cmd_*.c that exports its descriptions.
 *
 * Exit statuses, the same everywhere unless a subcommand's help says otherwise: 0 done; 1 it failed, and a message says what,
 * which, and what to do; 2 wrong usage.
 *
 * Output: the result on standard output, messages and progress on standard error. With --json the result is one JSON object,
 * and a failure an object with the key "error" (docs/JSON.md). */
#ifndef DIOS_MOUNT_TOOLS_CLI_H
#define DIOS_MOUNT_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "mount-tools/json.h"
#include "mount-tools/mounts.h"

#define CLI_GIVEN_MAX 1024   /* options on one command line: more is a mistake of a script */

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TIMED_OUT = 124 /* as timeout(1) */, EXIT_LOST = 125 /* of wait: no status of a task */ };

struct cli;

struct cli_option {
	int id;                  /* a letter: also the short form; from 256 on: long form only */
	const char *name;        /* "expires": --expires */
	const char *argument;    /* "DURATION"; NULL: none */
	const char *help;        /* one line; names the default */
};

struct cli_command {
	const char *name;        /* "cap mint": one word, or family and verb */
	const char *arguments;   /* as in its usage line: "FILE..."; NULL: none */
	const char *summary;     /* one line, for the list of commands */
	const char *details;     /* what --help says below the usage; NULL: nothing more */
	const struct cli_option *options;   /* ends with name NULL; the common ones are added. NULL: none */
	int arguments_min, arguments_max;   /* max -1: any number */
	bool stop_at_argument;   /* options end at the first argument: what follows belongs to a program */
	bool no_mount;           /* it asks no mount, so it has no --mount */
	int usage_status;        /* its exit status for wrong usage; 0: EXIT_USAGE */
	int (*run)(struct cli *cli);        /* returns the exit status */
};

struct cli_given { int id; const char *value; };   /* an option as given, borrowed from argv */

struct cli {
	const struct cli_command *const *commands;     /* ends with NULL */
	const struct cli_command *command;
	struct cli_given given[CLI_GIVEN_MAX];
	size_t given_count;
	int argc;                /* arguments after the options */
	char **argv;
	const char *mount_option;
	bool json, quiet, help;
	bool failed;             /* cli_fail has spoken */
	struct json writer;      /* of standard output, with --json */
	struct mounts mounts;
	bool mounts_known;
	const char *answered;    /* the mount that did, in mounts */
};

extern const struct cli_option cli_common_options[];   /* ends with name NULL */

/* Finds the subcommand, parses, runs, checks that standard output took everything. Returns the exit status. */
int cli_main(struct cli *cli, int argc, char **argv);
/* The command called argv[0] (and argv[1], for a family); *ret_words: how many words its name took. NULL: none. */
const struct cli_command *cli_find_command(const struct cli *cli, int argc, char **argv, int *ret_words);
bool cli_is_family(const struct cli *cli, const char *word);   /* "cap" of "cap mint" */
void cli_print_help(const struct cli_command *command, FILE *out);

const char *cli_value(const struct cli *cli, int id);   /* the last value given; NULL: not given */
bool cli_has(const struct cli *cli, int id);
size_t cli_count(const struct cli *cli, int id);

/* Values of options and arguments. On failure a message has been printed: return EXIT_USAGE. */
int cli_size(struct cli *cli, int id, uint64_t *value);         /* unchanged if not given */
int cli_duration(struct cli *cli, int id, int64_t *value_ns);
int cli_count_value(struct cli *cli, int id, uint64_t minimum, uint64_t maximum, uint64_t *value);

/* Prints "dios NAME: message" and, for error < 0, its meaning; with --json also the error object. Returns EXIT_FAILED. The
 * message says what failed and with what; text from outside is printed escaped. */
int cli_fail(struct cli *cli, int error, const char *format, ...) _printf_(3, 4);
int cli_usage(struct cli *cli, const char *format, ...) _printf_(2, 3);      /* the same with a hint to --help; EXIT_USAGE */
void cli_warn(struct cli *cli, const char *format, ...) _printf_(2, 3);
/* The same, ending in "; advice" where advice is not NULL. */
int cli_fail_advised(struct cli *cli, int error, const char *advice, const char *format, ...) _printf_(4, 5);
/* Ends the JSON document, whatever is open in it. */
void cli_json_end(struct cli *cli);

#endif
