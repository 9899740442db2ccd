/* Starts a thread as musl does, on a stack that is asked for by a call of its own: that says what it is for, and how much of it is the guard.
 *
 * The rest is musl's file of this name, which the build keeps beside this one. The personality cannot tell by an mmap what it is for: malloc, too,
 * reserves pages without access and opens them one by one, the second first (decision 0161). */
#define _GNU_SOURCE
#include <sys/mman.h>
#include "syscall.h"

/* libhybrid/posix/src/number.rs has the same. */
#define SYS_hybrid_map_stack 4097

static void *map_stack(size_t bytes, size_t guard)
{
	return (void *)__syscall_ret(__syscall(SYS_hybrid_map_stack, bytes, guard));
}

/* Both places that map have the two sizes in variables of these names. */
#define __mmap(...) map_stack(size, guard)

#include "pthread_create.c.musl"
