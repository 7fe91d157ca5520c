/* base/fault: what DIOS_FAULT arms fires where and when it says; a text that can't be understood ends the program. */
#include "base/error.h"
#include "base/fault.h"
#include "tests/base/child.h"
#include "tests/tap.h"

/* Passes "a" four times and "b" twice; each result is one letter on standard error: '.' went on, 'e' -EIO. */
static void pass_points(void *argument)
{
	static const char *const points[] = { "a", "a", "a", "a", "b", "b" };

	setenv("DIOS_FAULT", argument, 1);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		int r = fault_point(points[i]);
		fputs(r == 0 ? "." : r == -EIO ? "e" : "?", stderr);
	}
}

static const struct { const char *text, *said; int signal; } cases[] = {
	{ "", "......", 0 },
	{ "c=error", "......", 0 },
	{ "a=error", "eeee..", 0 },
	{ "a=error:3", "..e...", 0 },
	{ "a=error:1,b=error:2", "e....e", 0 },
	{ "a=error:1,a=error:4", "e..e..", 0 },
	{ "b=kill", "....", SIGKILL },
	{ "a=kill:2", ".", SIGKILL },
	{ "a", NULL, SIGABRT },
	{ "a=explode", NULL, SIGABRT },
	{ "a=error:", NULL, SIGABRT },
	{ "a=error:0", NULL, SIGABRT },
	{ "a=error:x", NULL, SIGABRT },
	{ "a=error:1x", NULL, SIGABRT },
	{ "=error", NULL, SIGABRT },
};

int main(void)
{
	char said[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = child_run(pass_points, (void *)cases[i].text, said, sizeof(said));
		int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		is_int(signal, cases[i].signal, "'%s' ends as it should", cases[i].text);
		if (cases[i].said)
			is_str(said, cases[i].said, "'%s' fires where it should", cases[i].text);
		else
			ok(strstr(said, "DIOS_FAULT: '") && strstr(said, "expected point=error[:N]"), "'%s' is explained", cases[i].text);
	}
	return done_testing();
}
