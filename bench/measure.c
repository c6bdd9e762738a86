/*
 * measure.c - runs commands in turns and says what each run cost, as the kernel counted it.
 *
 *   measure ROUNDS -- WORD... [-- WORD...]...
 *
 * Every round runs each command once, beginning with another one each time, so that whatever else
 * the machine does falls on all alike. Prints a line for each run: the command's number, wall, user
 * and system time in microseconds, peak resident memory in KiB. What the commands print on stdout
 * is dropped. A command that fails ends the measuring with 1.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_COMMANDS 32

extern char **environ;

static long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long long microseconds(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static bool run(int number, char **words, const posix_spawn_file_actions_t *actions)
{
    struct rusage usage;
    long long begun = now_us();
    int status = 0;
    pid_t child;

    if (posix_spawnp(&child, words[0], actions, NULL, words, environ) != 0 ||
        wait4(child, &status, 0, &usage) != child || status != 0) {
        fprintf(stderr, "measure: %s failed (status %d)\n", words[0], status);
        return false;
    }
    printf("%d %lld %lld %lld %ld\n", number, now_us() - begun, microseconds(usage.ru_utime),
           microseconds(usage.ru_stime), usage.ru_maxrss);
    return true;
}

/* Cuts the arguments at every "--"; the words of a command end with NULL then, as exec wants it. */
static int find_commands(int argc, char **argv, char **commands[MOST_COMMANDS])
{
    int count = 0;
    int i;

    for (i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        argv[i] = NULL;
        if (i + 1 < argc && count < MOST_COMMANDS)
            commands[count++] = &argv[i + 1];
    }
    return count;
}

int main(int argc, char **argv)
{
    char **commands[MOST_COMMANDS];
    int count = find_commands(argc, argv, commands);
    int rounds = argc > 1 ? atoi(argv[1]) : 0;
    posix_spawn_file_actions_t actions;
    int round, i;

    if (count == 0 || rounds < 1) {
        fprintf(stderr, "usage: measure ROUNDS -- WORD... [-- WORD...]...\n");
        return 2;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (round = 0; round < rounds; round++)
        for (i = 0; i < count; i++) {
            int number = (round + i) % count;

            if (!run(number + 1, commands[number], &actions))
                return 1;
        }
    return 0;
}
