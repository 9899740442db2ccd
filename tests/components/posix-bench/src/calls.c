/* Rows of calls that one thread makes. */
#include "count.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 16384 };
static int ends[2], both[2], event, poller;
static char bytes[PIECE];

static void nothing(int times)
{
	for (volatile int i = 0; i < times; i++)
		;
}

static void process_number(int times)
{
	while (times-- > 0)
		getpid();
}

static void read_clock(int times)
{
	struct timespec now;
	while (times-- > 0)
		clock_gettime(CLOCK_MONOTONIC, &now);
}

static void pass(size_t length)
{
	if (write(ends[1], bytes, length) != (ssize_t)length || read(ends[0], bytes, length) != (ssize_t)length)
		fail("a pipe");
}

static void pipe_byte(int times)
{
	while (times-- > 0)
		pass(1);
}

/* A pipe of ours holds 16 KiB: so 64 KiB go by in four pieces, on Linux as well. */
static void pipe_much(int times)
{
	while (times-- > 0)
		for (int piece = 0; piece < 4; piece++)
			pass(PIECE);
}

static void pair(int times)
{
	while (times-- > 0)
		if (write(both[0], bytes, 64) != 64 || read(both[1], bytes, 64) != 64)
			fail("a pair of sockets");
}

static void count_events(int times)
{
	while (times-- > 0)
		if (eventfd_write(event, 1) != 0 || eventfd_read(event, &(eventfd_t){ 0 }) != 0)
			fail("an event counter");
}

static void open_null(int times)
{
	while (times-- > 0) {
		int fd = open("/dev/null", O_WRONLY);
		if (fd < 0)
			fail("/dev/null");
		close(fd);
	}
}

static void write_null(int times)
{
	while (times-- > 0)
		if (write(event, bytes, 1) != 1)
			fail("/dev/null");
}

static void allocate(int times)
{
	while (times-- > 0) {
		void *volatile block = malloc(100);
		free(block);
	}
}

static void map(int times)
{
	while (times-- > 0) {
		char *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			fail("mmap");
		page[0] = 1;
		munmap(page, 65536);
	}
}

static void wait_ready(int times)
{
	struct epoll_event ready[4];
	while (times-- > 0)
		if (epoll_wait(poller, ready, 4, -1) != 1)
			fail("epoll");
}

/* One of `count` descriptors can be read, always the same one. */
static void row_of_epoll(const char *name, int count)
{
	int fds[1024];
	poller = epoll_create1(0);
	for (int i = 0; i < count; i++) {
		struct epoll_event wanted = { .events = EPOLLIN, .data.fd = i };
		fds[i] = eventfd(i == count / 2, EFD_NONBLOCK);
		if (fds[i] < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &wanted) != 0)
			fail("descriptors for epoll");
	}
	row(name, 100, wait_ready);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	close(poller);
}

void rows_of_calls(void)
{
	if (pipe(ends) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, both) != 0)
		fail("no descriptors");
	row("nothing", 200, nothing);
	row("getpid", 200, process_number);
	row("clock", 200, read_clock);
	row("pipe-1", 200, pipe_byte);
	row("pipe-64k", 20, pipe_much);
	row("socketpair-64", 200, pair);
	event = eventfd(0, 0);
	row("eventfd", 200, count_events);
	close(event);
	row("open-close", 100, open_null);
	event = open("/dev/null", O_WRONLY);
	row("write-null", 200, write_null);
	close(event);
	row("malloc", 200, allocate);
	row("mmap-64k", 50, map);
	row_of_epoll("epoll-1", 1);
	row_of_epoll("epoll-100", 100);
	row_of_epoll("epoll-1000", 1000);
}
