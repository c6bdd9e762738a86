/*
 * host.h - a Lua state inside a fuzzer, with filescom.core linked in.
 *
 * libFuzzer is told which lines of Lua an input ran, as it is told of the branches in C. The
 * programs find the Lua modules below the directory that they run in: the top of the tree.
 * Depends on Lua 5.4.
 */
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include "lua_core.h"

/* The state of this program with the module spec.fuzz.NAME at stack index 1. */
lua_State *host_state(const char *name);

/*
 * Calls the function `name` of that module with the values at the top of the stack. A Lua error is
 * a finding and ends the program; results are dropped.
 */
void host_call(lua_State *L, const char *name, int arguments);

#endif
