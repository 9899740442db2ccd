/* What another program spawns: does what its arguments say, and ends as they say. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t told;

static void on_signal(int signal)
{
	told = signal;
}

/* Arguments, one a line, then the two variables that there may be, and whose child this is. */
static int show(int count, char **arguments)
{
	for (int i = 0; i < count; i++)
		printf("argument %d is [%s]\n", i, arguments[i]);
	const char *mood = getenv("MOOD"), *other = getenv("OTHER");
	printf("MOOD is %s, OTHER is %s\n", mood ? mood : "not set", other ? other : "not set");
	printf("a parent: %s, a number of its own: %s\n", getppid() > 1 ? "yes" : "no", getpid() != getppid() ? "yes" : "no");
	return 0;
}

/* Input to output, to its end. */
static int copy(void)
{
	static char bytes[5000];
	long total = 0;
	size_t length;
	while ((length = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
		if (fwrite(bytes, 1, length, stdout) != length)
			return 2;
		total += length;
	}
	fprintf(stderr, "copied %ld bytes\n", total);
	return 0;
}

/* Until a signal comes, which is then the status. */
static int await(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGTERM, &action, 0);
	printf("waits\n");
	fflush(stdout);
	while (!told)
		poll(0, 0, -1);
	return told;
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "show";
	if (!strcmp(what, "show"))
		return show(count, arguments);
	if (!strcmp(what, "status"))
		return atoi(arguments[2]);
	if (!strcmp(what, "copy"))
		return copy();
	if (!strcmp(what, "await"))
		return await();
	if (!strcmp(what, "fault"))
		*(volatile int *)0 = 1;
	if (!strcmp(what, "abort"))
		abort();
	/* As "much", to the end by a signal: all of it is to arrive. */
	if (!strcmp(what, "last-words")) {
		for (int i = 0; i < 3000; i++)
			puts("a line that is thirty-two bytes!");
		fflush(stdout);
		abort();
	}
	if (!strcmp(what, "forever"))
		for (;;)
			poll(0, 0, -1);
	/* More than any pipe holds, and nobody may read it. */
	if (!strcmp(what, "much"))
		for (int i = 0; i < 20000; i++)
			puts("a line that is thirty-two bytes!");
	/* As a shell is called by system() and popen(). */
	if (!strcmp(what, "-c")) {
		printf("asked for [%s]\n", arguments[2]);
		return 3;
	}
	return 0;
}
