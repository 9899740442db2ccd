/* Rows of files, on a disk or in memory, as the path leads. */
#include "count.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { MUCH = 65536, LITTLE = 4096, PIECES = 8 };
static const char *path;
static char bytes[MUCH];
static int file;

static void write_some(int times, size_t length)
{
	while (times-- > 0)
		if (pwrite(file, bytes, length, 0) != (ssize_t)length)
			fail("a write to a file");
}

static void read_some(int times, size_t length)
{
	while (times-- > 0)
		if (pread(file, bytes, length, 0) != (ssize_t)length)
			fail("a read of a file");
}

static void write_byte(int times)
{
	write_some(times, 1);
}

static void read_byte(int times)
{
	read_some(times, 1);
}

static void write_much(int times)
{
	write_some(times, MUCH);
}

static void read_much(int times)
{
	read_some(times, MUCH);
}

static void open_file(int times)
{
	while (times-- > 0) {
		int again = open(path, O_RDWR);
		if (again < 0)
			fail("a file that is there");
		close(again);
	}
}

static void keep(void)
{
	if (fsync(file) != 0)
		fail("fsync");
}

static void write_and_keep(int times)
{
	while (times-- > 0) {
		write_some(1, LITTLE);
		keep();
	}
}

static void append_and_keep(int times)
{
	while (times-- > 0) {
		off_t end = lseek(file, 0, SEEK_END);
		if (end < 0 || pwrite(file, bytes, LITTLE, end) != LITTLE)
			fail("a write behind a file");
		keep();
	}
}

static void write_all_and_keep(int times)
{
	while (times-- > 0) {
		for (off_t piece = 0; piece < PIECES; piece++)
			if (pwrite(file, bytes, MUCH, piece * MUCH) != MUCH)
				fail("a write to a file");
		keep();
	}
}

/* Bytes that nothing makes smaller: one of the file systems packs what it writes. */
static void open_counted(const char *name, int flags)
{
	uint32_t state = 1;
	for (int i = 0; i < MUCH; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		bytes[i] = state;
	}
	path = name;
	file = open(path, O_RDWR | O_CREAT | flags, 0600);
	if (file < 0)
		fail("a file");
}

static void row_of(const char *where, const char *what, int times, void (*work)(int times))
{
	char name[32];
	snprintf(name, sizeof name, "%s-%s", where, what);
	row(name, times, work);
}

void rows_of_files(const char *where, const char *name)
{
	open_counted(name, O_TRUNC);
	/* The file server joins up to 64 writes to the disk: so many, or twice so many, that each batch has what they cost together. */
	row_of(where, "write-64k", 64, write_much);
	row_of(where, "read-64k", 20, read_much);
	row_of(where, "write-1", 128, write_byte);
	row_of(where, "read-1", 100, read_byte);
	row_of(where, "open", 100, open_file);
	keep();
	close(file);
}

void rows_of_kept_files(const char *name)
{
	open_counted(name, 0);
	/* In this order: the file is then as long for the second as for the first. With what the third adds it stays below its quota of 1 MiB. */
	row("file-keep-512k", 4, write_all_and_keep);
	row("file-keep-4k", 20, write_and_keep);
	row("file-append-4k", 8, append_and_keep);
	close(file);
}
