/* The names of the operations, from the one table. */
#include "rpc/rpc.h"

const char *rpc_operation_name(enum rpc_operation operation)
{
	switch (operation) {
#define OPERATION(NAME, number, text) case RPC_##NAME: return text;
#include "rpc/operation.def"
#undef OPERATION
	}
	return NULL;
}
