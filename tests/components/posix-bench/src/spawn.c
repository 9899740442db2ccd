/* The row of another program, spawned and waited for; and the one that counts files in memory. */
#include "count.h"
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>

/* On Linux this program itself, which ends at once when it is called so; on HybridOS the one that the product has there. */
static char program[] = "/init", what[] = "status", status[] = "0";

static void spawn_and_wait(int times)
{
	char *arguments[] = { program, what, status, NULL }, *environment[] = { NULL };
	while (times-- > 0) {
		pid_t child;
		int ended = -1;
		if (posix_spawn(&child, program, NULL, NULL, arguments, environment) != 0 || waitpid(child, &ended, 0) != child || ended != 0)
			fail("a program");
	}
}

#ifdef ON_LINUX
void rows_of_memory(void)
{
	rows_of_files("memory", "/tmp/counted");
}
#else
void rows_of_memory(void)
{
	char other[] = "/memory", *arguments[] = { other, NULL }, *environment[] = { NULL };
	pid_t child;
	int ended = -1;
	if (posix_spawn(&child, other, NULL, NULL, arguments, environment) != 0 || waitpid(child, &ended, 0) != child || ended != 0)
		fail("the program whose files are in memory");
}
#endif

void rows_of_programs(void)
{
	row("spawn", 5, spawn_and_wait);
}
