/* Packs and unpacks with zlib's minigzip: gives its `main` pipes for standard input and output, and compares. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* minigzip.c's own is called `minigzip`. */
#undef main
int minigzip(int count, char **arguments);

enum { TEXT = 200000 };
static unsigned char text[TEXT], packed[TEXT], unpacked[TEXT];
static int log_fd;

struct end {
	int fd;
	unsigned char *bytes;
	size_t length;
};

/* Writes all, and then nobody writes: the reader sees the end. */
static void *feed(void *argument)
{
	struct end *from = argument;
	for (size_t at = 0; at < from->length;) {
		ssize_t count = write(from->fd, from->bytes + at, from->length - at);
		if (count <= 0)
			break;
		at += count;
	}
	close(from->fd);
	return NULL;
}

static void *collect(void *argument)
{
	struct end *to = argument;
	size_t room = to->length;
	ssize_t count;
	to->length = 0;
	while (to->length < room && (count = read(to->fd, to->bytes + to->length, room - to->length)) > 0)
		to->length += count;
	close(to->fd);
	return NULL;
}

/* Runs minigzip with this argument on `length` bytes; how many came out. */
static size_t run(char *argument, unsigned char *from, size_t length, unsigned char *to)
{
	int in[2], out[2];
	char name[] = "minigzip";
	char *arguments[] = { name, argument, NULL };
	pthread_t feeder, collector;
	/* minigzip closes both; they must not become other ends of the pipes. */
	if (dup2(log_fd, 0) < 0 || dup2(log_fd, 1) < 0 || pipe(in) != 0 || pipe(out) != 0 || dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0) {
		dprintf(log_fd, "no pipes\n");
		exit(EXIT_FAILURE);
	}
	close(in[0]);
	close(out[1]);
	struct end feeding = { in[1], from, length }, collecting = { out[0], to, TEXT };
	if (pthread_create(&feeder, NULL, feed, &feeding) != 0 || pthread_create(&collector, NULL, collect, &collecting) != 0) {
		dprintf(log_fd, "no threads\n");
		exit(EXIT_FAILURE);
	}
	minigzip(argument != NULL ? 2 : 1, arguments);
	close(1);
	close(0);
	pthread_join(feeder, NULL);
	pthread_join(collector, NULL);
	return collecting.length;
}

int main(void)
{
	/* Standard output is the log before minigzip has it. */
	log_fd = dup(1);
	char unpack[] = "-d";
	for (size_t at = 0, line = 0; at < TEXT; line++) {
		char words[64];
		int length = snprintf(words, sizeof words, "line %zu of a text that repeats itself, as texts do\n", line * line);
		for (int i = 0; i < length && at < TEXT; i++)
			text[at++] = words[i];
	}
	size_t less = run(NULL, text, TEXT, packed);
	size_t again = run(unpack, packed, less, unpacked);
	int is_gzip = less > 2 && packed[0] == 0x1f && packed[1] == 0x8b;
	int is_same = again == TEXT && memcmp(text, unpacked, TEXT) == 0;
	dprintf(log_fd, "packed %d bytes into %zu, gzip: %s, the same again: %s\n", TEXT, less, is_gzip ? "yes" : "no",
		is_same ? "yes" : "no");
	return is_gzip && is_same ? EXIT_SUCCESS : EXIT_FAILURE;
}
