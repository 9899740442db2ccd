/* Rows of files, on a disk or in memory, as the path leads. */
#include "count.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { MUCH = 65536 };
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

static void row_of(const char *where, const char *what, int times, void (*work)(int times))
{
	char name[32];
	snprintf(name, sizeof name, "%s-%s", where, what);
	row(name, times, work);
}

void rows_of_files(const char *where, const char *name)
{
	path = name;
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		fail("a file");
	/* The file server joins up to 64 writes to the disk: so many, or twice so many, that each batch has what they cost together. */
	row_of(where, "write-64k", 64, write_much);
	row_of(where, "read-64k", 20, read_much);
	row_of(where, "write-1", 128, write_byte);
	row_of(where, "read-1", 100, read_byte);
	row_of(where, "open", 100, open_file);
	if (fsync(file) != 0)
		fail("fsync");
	close(file);
}
