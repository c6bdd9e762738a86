/* process.c - see process.h. */
#include "process.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned generation; /* written only in a child that has one thread */

static void count_fork(void)
{
    generation++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned fc_process_generation(void)
{
    pthread_once(&once, watch_forks);
    return generation;
}
