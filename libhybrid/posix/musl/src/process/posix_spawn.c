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

int posix_spawn(pid_t *restrict res, const char *restrict path,
	const posix_spawn_file_actions_t *fa,
	const posix_spawnattr_t *restrict attr,
	char *const argv[restrict], char *const envp[restrict])
{
	struct action actions[ACTIONS_MAX];
	struct request request = { path, argv, envp, 0, actions, 0 };

	if (attr && attr->__fn) {
		request.search = getenv("PATH");
		if (!request.search) request.search = "/usr/local/bin:/bin:/usr/bin";
	}
	if (fa && fa->__actions) {
		struct fdop *op;
		/* The first that was added is the last in the list. */
		for (op = fa->__actions; op->next; op = op->next);
		for (; op; op = op->prev) {
			if (request.count == ACTIONS_MAX) return E2BIG;
			actions[request.count++] = (struct action){ op->cmd, op->fd, op->srcfd, op->oflag, op->path };
		}
	}
	long process = __syscall(SYS_hybrid_spawn, &request);
	if (process < 0) return -process;
	if (res) *res = process;
	return 0;
}
