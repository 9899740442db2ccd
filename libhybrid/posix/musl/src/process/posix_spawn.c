/* Starts a program that the component may spawn, by one call of the personality: nothing of this process is copied, and none replaces it.
 *
 * Replaces musl's file of this name, which clones and executes. posix_spawnp is musl's own, and says by `__fn` that the path is searched for. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdlib.h>
#include <errno.h>
#include "syscall.h"
#include "fdop.h"

/* libhybrid/posix/src/number.rs has the same. */
#define SYS_hybrid_spawn 4096
#define ACTIONS_MAX 32

/* As libhybrid/posix/src/process/spawn.rs reads them. */
struct action {
	long command, to, from, flags;
	const char *path;
};

struct request {
	const char *path;
	char *const *argv, *const *envp;
	/* The directories in which a name without a slash is searched for, with a colon between each two; 0: it is a path. */
	const char *search;
	const struct action *actions;
	size_t count;
};

/* What a child of a component cannot have: it is another one, with groups, sessions, priorities and numbers of its own. */
#define IMPOSSIBLE (POSIX_SPAWN_RESETIDS | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSID | \
	POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER)

/* Lays out the list of file actions in the order in which they were added, whose last one is its head; 0, or an error number. */
static int lay_out(const struct fdop *last, struct action *actions, size_t *count)
{
	const struct fdop *one = last;
	while (one && one->next) one = one->next;
	while (one) {
		if (*count == ACTIONS_MAX) return E2BIG;
		actions[(*count)++] = (struct action){ one->cmd, one->fd, one->srcfd, one->oflag, one->path };
		one = one->prev;
	}
	return 0;
}

int posix_spawn(pid_t *number, const char *program, const posix_spawn_file_actions_t *files,
	const posix_spawnattr_t *wishes, char *const *arguments, char *const *environment)
{
	struct action actions[ACTIONS_MAX];
	struct request request = { program, arguments, environment, 0, actions, 0 };

	/* Wishes about signals: a child has the default of each and blocks none, whatever mask was wished. */
	if (wishes && (wishes->__flags & IMPOSSIBLE)) return ENOSYS;
	if (wishes && wishes->__fn) {
		request.search = getenv("PATH");
		if (!request.search) request.search = "/usr/local/bin:/bin:/usr/bin";
	}
	int refused = files ? lay_out(files->__actions, actions, &request.count) : 0;
	if (refused) return refused;
	long process = __syscall(SYS_hybrid_spawn, &request);
	if (process < 0) return -process;
	if (number) *number = process;
	return 0;
}
