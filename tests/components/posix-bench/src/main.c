/* Says what ordinary calls cost, in retired instructions; compiled for Linux as well, where it is the first process. */
#include "count.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef ON_LINUX
void linux_end(void);
#endif

int main(int count, char **arguments)
{
	/* As the child of its own: it ends at once. */
	if (count > 1 && !strcmp(arguments[1], "status"))
		return EXIT_SUCCESS;
	if (!count_start())
		fail("no counter");
	rows_of_calls();
	rows_of_files("file", "/data/counted");
	rows_of_kept_files("/data/counted");
	rows_of_memory();
	rows_of_threads();
	rows_of_programs();
	rows_of_sockets(count > 1 ? atoi(arguments[1]) : 9);
	printf("all rows are measured\n");
	fflush(stdout);
#ifdef ON_LINUX
	linux_end();
#endif
	return EXIT_SUCCESS;
}
