/* Counts retired instructions, those of the kernel and of every component included; the same rows on HybridOS and on Linux. */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>

/* Starts the counter; 0 if there is none. */
int count_start(void);
/* Retired instructions until now; wraps at 2^32. */
uint32_t count_now(void);

/* Prints the row `name`: the middle, the least and the most of what `rounds` batches of `times` calls cost a call. */
void row(const char *name, int times, void (*work)(int times));

/* Prints the row `name`: the middle, the least and the most of `count` costs, each divided. They are sorted. */
void print_row(const char *name, uint32_t *costs, int count, double divisor);

/* Rows of calls, of threads, of programs, and of sockets that somebody on the host talks to. */
void rows_of_calls(void);
void rows_of_threads(void);
void rows_of_programs(void);
void rows_of_sockets(int port);
/* Rows of the file at this path, which begin with `where`. */
void rows_of_files(const char *where, const char *name);
/* Rows of that file when what was written is on the disk before the call is over. */
void rows_of_kept_files(const char *name);
/* The same as `rows_of_files` of a file in memory: by another program where this one's files are on the disk. */
void rows_of_memory(void);

/* Ends the program, since a figure would be wrong. */
_Noreturn void fail(const char *what);

#endif
