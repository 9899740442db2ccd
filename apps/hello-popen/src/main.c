/* Spawns programs as C does, and says what became of them: its shell is whatever the product has at /bin/sh. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t children;

static void on_child(int signal)
{
	(void)signal;
	children++;
}

static int ended(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static pid_t spawn(char *what, posix_spawn_file_actions_t *actions)
{
	char *arguments[] = { "sh", what, 0 }, *environment[] = { "MOOD=fine", 0 };
	pid_t child;
	int error = posix_spawn(&child, "/bin/sh", actions, 0, arguments, environment);
	if (error)
		printf("posix_spawn %s: %s\n", what, strerror(error));
	return error ? -1 : child;
}

/* A handler, a signal that a child handles, one that ends it, and what comes after. */
static void signals(void)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART };
	sigaction(SIGCHLD, &action, 0);
	posix_spawn_file_actions_t actions;
	int ends[2], status = 0;
	char line[32] = "";
	pipe(ends);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	pid_t first = spawn("await", &actions), second = spawn("forever", 0);
	close(ends[1]);
	ssize_t length = read(ends[0], line, sizeof line - 1);
	printf("the first says %s", length > 0 ? line : "nothing\n");
	errno = 0;
	printf("none has ended: %d\n", waitpid(-1, &status, WNOHANG));
	kill(first, SIGTERM);
	pid_t found = waitpid(first, &status, 0);
	printf("handled: %s, %d\n", found == first ? "yes" : "no", ended(status));
	kill(second, SIGTERM);
	siginfo_t information;
	int error = waitid(P_PID, second, &information, WEXITED);
	printf("ended: %s, code %d, signal %d\n", !error && information.si_pid == second ? "yes" : "no",
		information.si_code, information.si_status);
	printf("told of children: %s\n", children == 2 ? "yes" : "no");
	error = kill(second, SIGTERM);
	printf("then: %s\n", error ? strerror(errno) : "it takes signals");
	error = waitpid(-1, &status, 0);
	printf("and: %s\n", error < 0 ? strerror(errno) : "there is one more");
	close(ends[0]);
}

/* A child that writes more than is under way between two programs, and aborts: none of it is lost. */
static void last_words(void)
{
	posix_spawn_file_actions_t actions;
	int ends[2], status = 0;
	char bytes[512];
	long total = 0;
	pipe(ends);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	pid_t child = spawn("last-words", &actions);
	close(ends[1]);
	for (ssize_t length; (length = read(ends[0], bytes, sizeof bytes)) > 0;)
		total += length;
	waitpid(child, &status, 0);
	printf("last words: %ld bytes, then %d\n", total, ended(status));
	close(ends[0]);
}

/* Until somebody stops the supervisor: then it knows of no child, and can spawn the next one when it is there again. */
static void lost(void)
{
	int status = 0;
	pid_t child = spawn("forever", 0);
	printf("one more: %s\n", child > 0 ? "waits for ever" : "none");
	pid_t found = waitpid(child, &status, 0);
	printf("lost: %s, %d\n", found == child ? "yes" : "no", ended(status));
	char *arguments[] = { "sh", "status", "4", 0 }, *environment[] = { 0 };
	while (posix_spawn(&child, "/bin/sh", 0, 0, arguments, environment))
		sched_yield();
	found = waitpid(child, &status, 0);
	printf("the next: %s, %d\n", found == child ? "yes" : "no", ended(status));
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	signals();
	char line[64] = "";
	FILE *shell = popen("what a person types", "r");
	if (!shell || !fgets(line, sizeof line, shell))
		printf("popen: %s\n", strerror(errno));
	printf("the shell was %s", line);
	printf("its status: %d\n", ended(pclose(shell)));
	printf("system: %d\n", ended(system("anything")));
	last_words();
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/etc/hosts", 0, 0);
	spawn("show", &actions);
	printf("a fork: %s\n", fork() < 0 ? strerror(errno) : "there");
	lost();
	return 0;
}
