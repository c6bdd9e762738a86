/*
 * process.h - telling a forked child from its parent, without a system call each time.
 *
 * Depends on pthread_atfork. A process made by a bare clone() is not noticed.
 */
#ifndef FILESCOM_PROCESS_H
#define FILESCOM_PROCESS_H

#include "filescom.h"

#pragma GCC visibility push(hidden)

/* How many forks lie between the process that first asked and this one. */
unsigned fc_process_generation(void);

#pragma GCC visibility pop

#endif
