/* Rows of two threads: whatever one does, the other waits for. */
#include "count.h"
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux's numbers, private to a process. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int there[2], back[2], turn, words[2];

static void *end_at_once(void *argument)
{
	return argument;
}

static void create_and_join(int times)
{
	while (times-- > 0) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, end_at_once, NULL) != 0 || pthread_join(thread, NULL) != 0)
			fail("a thread");
	}
}

static void lock_alone(int times)
{
	while (times-- > 0) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

/* Holds the lock while the other wants it. */
static void *fight(void *argument)
{
	for (int times = (int)(intptr_t)argument; times > 0; times--) {
		pthread_mutex_lock(&mutex);
		sched_yield();
		pthread_mutex_unlock(&mutex);
		sched_yield();
	}
	return NULL;
}

static void *echo_pipe(void *argument)
{
	char byte;
	for (int times = (int)(intptr_t)argument; times > 0; times--)
		if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
			fail("a pipe");
	return NULL;
}

static void ask_pipe(int times)
{
	char byte = 0;
	while (times-- > 0)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			fail("a pipe");
}

/* Waits until the word is `mine`, and gives the other its turn. */
static void pass_word(int *word, int times, int mine)
{
	while (times-- > 0) {
		while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != mine)
			syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
		__atomic_store_n(word, !mine, __ATOMIC_RELEASE);
		syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

static void *pass_back(void *argument)
{
	pass_word(&words[0], (int)(intptr_t)argument, 1);
	return NULL;
}

static void pass_on(int times)
{
	pass_word(&words[0], times, 0);
}

static void take_turns(int times, int mine)
{
	pthread_mutex_lock(&mutex);
	while (times-- > 0) {
		while (turn != mine)
			pthread_cond_wait(&condition, &mutex);
		turn = !mine;
		pthread_cond_signal(&condition);
	}
	pthread_mutex_unlock(&mutex);
}

static void *other_turns(void *argument)
{
	take_turns((int)(intptr_t)argument, 1);
	return NULL;
}

static void own_turns(int times)
{
	take_turns(times, 0);
}

static void fight_back(int times)
{
	fight((void *)(intptr_t)times);
}

/* What two threads do together; the second one's start and end are in it, spread over many times. */
static void *(*other)(void *);
static void (*own)(int times);

static void together(int times)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, other, (void *)(intptr_t)times) != 0)
		fail("a thread");
	own(times);
	pthread_join(thread, NULL);
}

static void row_of_two(const char *name, void (*first)(int times), void *(*second)(void *))
{
	own = first;
	other = second;
	row(name, 300, together);
}

void rows_of_threads(void)
{
	if (pipe(there) != 0 || pipe(back) != 0)
		fail("no pipes");
	row("thread", 20, create_and_join);
	row("mutex-alone", 200, lock_alone);
	row_of_two("mutex-fight", fight_back, fight);
	row_of_two("pipe-ping-pong", ask_pipe, echo_pipe);
	row_of_two("futex-ping-pong", pass_on, pass_back);
	row_of_two("condition-ping-pong", own_turns, other_turns);
}
