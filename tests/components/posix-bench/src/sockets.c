/* Rows of TCP: somebody on the host sends a letter for what it wants, and then talks; what the driver and the host stack do counts too. */
#include "count.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 400, WARM = 50, MESSAGE = 64, BULK = 4 << 20 };
static char bytes[65536];

static int whole(int fd, size_t length)
{
	for (size_t at = 0; at < length;) {
		ssize_t count = read(fd, bytes + at, length - at);
		if (count <= 0)
			return 0;
		at += count;
	}
	return 1;
}

static void echo(int fd)
{
	uint32_t start = 0;
	for (int round = -WARM; round < ROUNDS; round++) {
		if (round == 0)
			start = count_now();
		if (!whole(fd, MESSAGE) || write(fd, bytes, MESSAGE) != MESSAGE)
			fail("an echo");
	}
	/* The next message comes after the last answer has gone. */
	if (!whole(fd, MESSAGE))
		fail("an echo");
	uint32_t cost = count_now() - start;
	printf("row tcp-echo-64 %.1f\n", (double)cost / ROUNDS);
}

/* Both ways the first mebibyte is not counted. */
static void take(int fd)
{
	uint32_t start = 0;
	size_t taken = 0, from = 0;
	ssize_t count;
	while ((count = read(fd, bytes, sizeof bytes)) > 0) {
		taken += count;
		if (from == 0 && taken >= 1 << 20) {
			from = taken;
			start = count_now();
		}
		if (taken >= BULK)
			break;
	}
	if (from == 0 || taken < BULK)
		fail("bulk in");
	printf("row tcp-in %.2f\n", (double)(count_now() - start) / (taken - from));
}

static void give(int fd)
{
	uint32_t start = 0;
	size_t given = 0, from = 0;
	while (given < BULK) {
		ssize_t count = write(fd, bytes, sizeof bytes);
		if (count <= 0)
			fail("bulk out");
		given += count;
		if (from == 0 && given >= 1 << 20) {
			from = given;
			start = count_now();
		}
	}
	/* Until the host has it all and says so. */
	if (read(fd, bytes, 1) != 1)
		fail("bulk out");
	printf("row tcp-out %.2f\n", (double)(count_now() - start) / (given - from));
}

void rows_of_sockets(int port)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, open = 1;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4) != 0)
		fail("no listener");
	printf("listens at port %d\n", port);
	fflush(stdout);
	while (open) {
		char letter = 0;
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			fail("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (read(fd, &letter, 1) != 1)
			letter = 0;
		switch (letter) {
		case 'e': echo(fd); break;
		case 'i': take(fd); break;
		case 'o': give(fd); break;
		case 'q': open = 0; break;
		}
		fflush(stdout);
		close(fd);
	}
	close(listener);
}
