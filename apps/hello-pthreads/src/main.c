/* Lets C threads fight, wait and end in every way; ends with status 0 if all was as it should be. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS 4
#define ROUNDS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_key_t key;
static sem_t done;
static long total, turn, destroyed;
static _Thread_local long own;

static void destroy(void *value)
{
	pthread_mutex_lock(&lock);
	destroyed += (intptr_t)value;
	pthread_mutex_unlock(&lock);
}

/* Each thread waits for its turn, by a condition that all share, ROUNDS times. */
static void *take_turns(void *argument)
{
	intptr_t number = (intptr_t)argument;
	pthread_setspecific(key, (void *)1);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_mutex_lock(&lock);
		while (turn % THREADS != number)
			pthread_cond_wait(&changed, &lock);
		turn++;
		total++;
		own++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return (void *)own;
}

static void *detached(void *argument)
{
	(void)argument;
	sem_post(&done);
	return 0;
}

/* Waits without a place where a thread may be cancelled. */
static void *until_told(void *argument)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, 0);
	while (sem_wait(&done))
		;
	return argument;
}

int main(void)
{
	pthread_t threads[THREADS];
	long sum = 0, started = 0;
	pthread_key_create(&key, destroy);
	for (intptr_t number = 0; number < THREADS; number++)
		started += !pthread_create(&threads[number], 0, take_turns, (void *)number);
	pthread_t one_more;
	int refused = pthread_create(&one_more, 0, take_turns, 0);
	printf("a sixth thread: %s\n", strerror(refused));
	for (int number = 0; number < THREADS; number++) {
		void *result;
		pthread_join(threads[number], &result);
		sum += (intptr_t)result;
	}
	printf("turns: %ld of %ld, counted apart %ld, keys destroyed %ld\n", total, turn, sum, destroyed);

	sem_init(&done, 0, 0);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	int ended = 0;
	for (int number = 0; number < 200; number++) {
		/* The one before may not have left its place yet. */
		while (pthread_create(&one_more, &attributes, detached, 0) == EAGAIN)
			;
		ended += !sem_wait(&done);
	}
	printf("detached threads: %d\n", ended);

	void *told = 0;
	pthread_create(&one_more, 0, until_told, &told);
	int cancelled = pthread_cancel(one_more);
	printf("to cancel a thread: %s\n", strerror(cancelled));
	sem_post(&done);
	pthread_join(one_more, &told);

	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	int late = sem_timedwait(&done, &until) && errno == ETIMEDOUT;
	printf("a time-out: %s\n", late ? "yes" : "no");
	return !(started == THREADS && refused == EAGAIN && total == THREADS * ROUNDS && sum == total && destroyed == THREADS && ended == 200 && cancelled == ENOSYS && told == &told && late);
}
