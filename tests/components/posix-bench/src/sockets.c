/* Rows of TCP and UDP: somebody on the host sends a letter for what it wants, and then talks; what the driver and the host stack do counts too. */
#include "count.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 400, WARM = 50, BATCH = 50, MESSAGE = 64, BULK = 4 << 20, PART = 256 << 10 };
static char bytes[65536];
static uint32_t costs[BULK / PART + ROUNDS / BATCH];

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

/* Who sent the last datagram. */
static struct sockaddr_in peer;

static int take_message(int fd, int is_datagram)
{
	socklen_t size = sizeof peer;
	if (!is_datagram)
		return whole(fd, MESSAGE);
	return recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &size) == MESSAGE;
}

static int give_message(int fd, int is_datagram)
{
	if (!is_datagram)
		return write(fd, bytes, MESSAGE) == MESSAGE;
	return sendto(fd, bytes, MESSAGE, 0, (struct sockaddr *)&peer, sizeof peer) == MESSAGE;
}

static void echo(const char *name, int fd, int is_datagram)
{
	uint32_t before = 0;
	int count = 0;
	for (int round = -WARM; round <= ROUNDS; round++) {
		/* The next message comes after the last answer has gone. */
		if (!take_message(fd, is_datagram))
			fail("an echo");
		if (round >= 0 && round % BATCH == 0) {
			uint32_t now = count_now();
			if (round > 0)
				costs[count++] = now - before;
			before = now;
		}
		if (round < ROUNDS && !give_message(fd, is_datagram))
			fail("an echo");
	}
	/* While the host is slow to answer, timers go by, and each costs something: so the batch that waited least. */
	uint32_t least = UINT32_MAX;
	for (int i = 0; i < count; i++)
		least = costs[i] < least ? costs[i] : least;
	print_row(name, &least, 1, BATCH);
}

/* Of datagrams, at a port that there is only meanwhile; who asked is told when it is there. */
static void echo_datagrams(int asked, const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 || write(asked, ".", 1) != 1)
		fail("no port for datagrams");
	echo("udp-echo-64", fd, 1);
	close(fd);
}

/* Moves all bytes by `read` or `write`. A cost is that of one part; those of the first mebibyte are not counted. */
static int move_all(int fd, int is_out)
{
	uint32_t before = count_now();
	size_t moved = 0, part = 0;
	int parts = 0;
	while (moved < BULK) {
		ssize_t count = is_out ? write(fd, bytes, sizeof bytes) : read(fd, bytes, sizeof bytes);
		if (count <= 0)
			fail(is_out ? "bulk out" : "bulk in");
		moved += count;
		part += count;
		if (part >= PART) {
			uint32_t now = count_now();
			if (moved > 1 << 20)
				costs[parts++] = (double)(now - before) * PART / part;
			before = now;
			part = 0;
		}
	}
	return parts;
}

static void take(int fd)
{
	int parts = move_all(fd, 0);
	print_row("tcp-in", costs, parts, PART);
}

static void give(int fd)
{
	int parts = move_all(fd, 1);
	/* Until the host has it all and says so. */
	if (read(fd, bytes, 1) != 1)
		fail("bulk out");
	print_row("tcp-out", costs, parts, PART);
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
		case 'e': echo("tcp-echo-64", fd, 0); break;
		case 'u': echo_datagrams(fd, &address); break;
		case 'i': take(fd); break;
		case 'o': give(fd); break;
		case 'q': open = 0; break;
		}
		fflush(stdout);
		close(fd);
	}
	close(listener);
}
