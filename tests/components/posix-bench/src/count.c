/* Counts retired instructions; compiled for Linux as well, where the program is the first process. */
#include "count.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCHES = 9, WARM_UP = 2, INST_RETIRED = 8 };

#ifdef ON_LINUX
#include <linux/perf_event.h>
#include <sys/syscall.h>

void linux_prepare(void);
void linux_end(void);
static int counter;

int count_start(void)
{
	struct perf_event_attr what = {
		.type = PERF_TYPE_RAW, .size = sizeof what, .config = INST_RETIRED, .pinned = 1,
	};
	linux_prepare();
	/* All of processor 0, whoever runs and at whichever level. */
	counter = syscall(SYS_perf_event_open, &what, -1, 0, -1, 0);
	return counter >= 0;
}

uint32_t count_now(void)
{
	uint64_t count = 0;
	if (read(counter, &count, sizeof count) != sizeof count)
		fail("the counter");
	return count;
}
#else
/* The kernel's feature `export-pmu` lets user code do this. Source: Arm ARM D13.10, counter 0 at EL0 and EL1. */
int count_start(void)
{
	uint64_t control;
	__asm__ volatile("mrs %0, pmcr_el0" : "=r"(control));
	__asm__ volatile("msr pmevtyper0_el0, %0" ::"r"((uint64_t)INST_RETIRED));
	__asm__ volatile("msr pmcntenset_el0, %0" ::"r"((uint64_t)1));
	__asm__ volatile("msr pmcr_el0, %0\n isb" ::"r"(control | 1));
	return 1;
}

uint32_t count_now(void)
{
	uint64_t count;
	__asm__ volatile("isb\n mrs %0, pmevcntr0_el0" : "=r"(count)::"memory");
	return count;
}
#endif

void fail(const char *what)
{
	printf("cannot measure: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(EXIT_FAILURE);
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return (a > b) - (a < b);
}

static uint32_t reading(void)
{
	uint32_t least = UINT32_MAX;
	for (int i = 0; i < 32; i++) {
		uint32_t before = count_now(), cost = count_now() - before;
		least = cost < least ? cost : least;
	}
	return least;
}

void print_row(const char *name, uint32_t *costs, int count, double divisor)
{
	qsort(costs, count, sizeof costs[0], compare);
	printf("row %s %.2f %.2f %.2f\n", name, costs[count / 2] / divisor, costs[0] / divisor,
	       costs[count - 1] / divisor);
	fflush(stdout);
}

void row(const char *name, int times, void (*work)(int times))
{
	uint32_t costs[BATCHES], own = reading();
	for (int i = -WARM_UP; i < BATCHES; i++) {
		uint32_t before = count_now();
		work(times);
		uint32_t cost = count_now() - before - own;
		if (i >= 0)
			costs[i] = cost;
	}
	print_row(name, costs, BATCHES, times);
}
