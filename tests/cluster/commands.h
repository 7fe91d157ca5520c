/* One command of each kind with every field set, for the tests of the codec. */
#ifndef DIOS_TESTS_CLUSTER_COMMANDS_H
#define DIOS_TESTS_CLUSTER_COMMANDS_H

#include "cluster/command.h"

/* Fills in *c; all it refers to is static. False: there is no such kind. */
bool full_command(unsigned kind, struct command *c);
/* All fields of two commands of one kind are equal, lists and bytes included. */
bool same_command(const struct command *a, const struct command *b);

#endif
