/* A thread that writes to the byte below its stack, as pthread_getattr_np tells where that ends. The argument is the size of its guard. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *go_beyond(void *unused)
{
	pthread_attr_t attributes;
	void *stack;
	size_t bytes, guard;
	(void)unused;
	if (pthread_getattr_np(pthread_self(), &attributes) || pthread_attr_getstack(&attributes, &stack, &bytes) ||
	    pthread_attr_getguardsize(&attributes, &guard))
		exit(1);
	volatile char *lowest = stack;
	lowest[0] = 1;
	printf("the lowest byte of its stack is its own, below are %zu without access\n", guard);
	fflush(stdout);
	lowest[-1] = 1;
	printf("the byte below its stack is somebody else's, and overwritten\n");
	return 0;
}

int main(int count, char **arguments)
{
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	if (count > 1 && pthread_attr_setguardsize(&attributes, strtoul(arguments[1], 0, 10)))
		return 1;
	if (pthread_create(&thread, &attributes, go_beyond, 0))
		return 2;
	pthread_join(thread, 0);
	return 0;
}
