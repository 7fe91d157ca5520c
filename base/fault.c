/* Fault points: DIOS_FAULT is read once, at the first point passed. A text that can't be understood ends the program,
 * because a test whose fault never fires would pass for the wrong reason. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"

#define FAULTS_MAX 32   /* armed at once */

enum fault_action { FAULT_ERROR, FAULT_KILL, FAULT_WAIT };

struct fault {
	char name[64];
	enum fault_action action;
	unsigned nth;              /* fires at this passage only; 0: at each */
	_Atomic unsigned passed;
};

static struct fault faults[FAULTS_MAX];
static int fault_count;
static pthread_once_t faults_once = PTHREAD_ONCE_INIT;

static void fault_refuse(const char *text)
{
	fprintf(stderr, "DIOS_FAULT: '%s': expected point=error[:N], point=kill[:N] or point=wait[:N], comma separated, at most %d\n", text, FAULTS_MAX);
	abort();
}

static void fault_parse_one(const char *text, size_t size)
{
	struct fault *f = &faults[fault_count];
	char item[128], action[16];

	if (fault_count == FAULTS_MAX || size >= sizeof(item))
		fault_refuse(text);
	memcpy(item, text, size);
	item[size] = '\0';

	int end = 0;
	f->nth = 0;
	if (sscanf(item, "%63[^=]=%15[a-z]%n", f->name, action, &end) != 2)
		fault_refuse(item);
	if (item[end] == ':') {
		int more = 0;
		if (sscanf(item + end, ":%u%n", &f->nth, &more) != 1 || f->nth == 0)
			fault_refuse(item);
		end += more;
	}
	if (item[end] != '\0')
		fault_refuse(item);
	if (strcmp(action, "error") == 0)
		f->action = FAULT_ERROR;
	else if (strcmp(action, "kill") == 0)
		f->action = FAULT_KILL;
	else if (strcmp(action, "wait") == 0)
		f->action = FAULT_WAIT;
	else
		fault_refuse(item);
	fault_count++;
}

static void faults_read(void)
{
	const char *text = getenv("DIOS_FAULT");

	while (text && *text) {
		size_t size = strcspn(text, ",");
		fault_parse_one(text, size);
		text += size + (text[size] == ',');
	}
}

int fault_point(const char *name)
{
	int result = 0;

	pthread_once(&faults_once, faults_read);
	/* each entry counts every passage, also when another one fires */
	for (int i = 0; i < fault_count; i++) {
		struct fault *f = &faults[i];
		if (strcmp(f->name, name) != 0)
			continue;
		unsigned passage = atomic_fetch_add(&f->passed, 1) + 1;
		if (f->nth != 0 && passage != f->nth)
			continue;
		if (f->action == FAULT_KILL)
			raise(SIGKILL);
		while (f->action == FAULT_WAIT)
			pause();
		result = -EIO;
	}
	return result;
}

int fault_point_of(const char *name, unsigned number)
{
	char text[64];

	snprintf(text, sizeof(text), "%s.%u", name, number);
	return fault_point(text);
}
