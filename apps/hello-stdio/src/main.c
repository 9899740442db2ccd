/* Says what a C program can do with files as a component; ends with status 0 if all was as it should be. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int wrong;

static void check(const char *what, int is_well)
{
	if (!is_well) {
		printf("WENT WRONG: %s: %s\n", what, strerror(errno));
		wrong = 1;
	}
}

static const char *refusal(int result)
{
	return result < 0 ? strerror(errno) : "WENT WRONG: it was done";
}

/* Lines by stdio: written, sought, read. */
static void lines(void)
{
	char line[64];
	FILE *file = fopen("numbers", "w+");
	check("fopen", file != NULL);
	if (!file)
		return;
	for (int number = 0; number < 5000; number++)
		fprintf(file, "%05d\n", number);
	check("fseek", fseek(file, 6 * 1234, SEEK_SET) == 0);
	check("fgets", fgets(line, sizeof line, file) != NULL);
	line[strcspn(line, "\n")] = 0;
	long at = ftell(file);
	fseek(file, 0, SEEK_END);
	printf("line 1234 is %s, then at %ld of %ld\n", line, at, ftell(file));
	rewind(file);
	int count = 0;
	while (fgets(line, sizeof line, file))
		count += atoi(line) == count;
	fclose(file);
	file = fopen("numbers", "a");
	check("append", file && fputs("the end\n", file) >= 0 && fclose(file) == 0);
	struct stat status;
	check("stat", stat("numbers", &status) == 0);
	printf("%d lines in order, %lld bytes, a file: %d\n", count, (long long)status.st_size, S_ISREG(status.st_mode));
}

static int listed(const char *path, char *names, size_t size)
{
	int count = 0;
	DIR *directory = opendir(path);
	check("opendir", directory != NULL);
	if (!directory)
		return -1;
	names[0] = 0;
	for (struct dirent *entry; (entry = readdir(directory)); count++) {
		strncat(names, entry->d_name, size - strlen(names) - 1);
		strncat(names, entry->d_type == DT_DIR ? "/ " : " ", size - strlen(names) - 1);
	}
	rewinddir(directory);
	for (; readdir(directory); count--)
		;
	closedir(directory);
	return count;
}

static void names(void)
{
	char text[256];
	check("mkdir", mkdir("folder", 0755) == 0);
	check("rename", rename("numbers", "folder/moved") == 0);
	int more = listed("folder", text, sizeof text);
	printf("in the folder: %s, the same twice: %s\n", text, more == 0 ? "yes" : "no");
	printf("to remove it: %s\n", refusal(rmdir("folder")));
	printf("there is no %s: %s\n", "numbers", refusal(access("numbers", F_OK)));
	char *real = realpath("folder/../folder/moved", NULL);
	printf("it is %s\n", real ? real : strerror(errno));
	free(real);
	check("truncate", truncate("folder/moved", 12) == 0);
}

static void mapped(void)
{
	int file = open("folder/moved", O_RDWR);
	check("open", file >= 0);
	char *memory = mmap(NULL, 12, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	check("mmap", memory != MAP_FAILED);
	if (memory == MAP_FAILED)
		return;
	memory[0] = 'x';
	char first = 0;
	check("pread", pread(file, &first, 1, 0) == 1);
	printf("mapped: %.5s, the file begins with %c, beyond its end %d\n", memory, first, memory[12]);
	munmap(memory, 12);
	void *shared = mmap(NULL, 12, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	printf("to share memory: %s\n", shared == MAP_FAILED ? strerror(errno) : "WENT WRONG: it was done");
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 5 };
	check("lock", fcntl(file, F_SETLK, &lock) == 0);
	check("lock twice", fcntl(file, F_SETLK, &lock) == 0);
	int other = open("folder/moved", O_RDWR);
	printf("flock of what is locked: %s\n", refusal(flock(other, LOCK_EX | LOCK_NB)));
	close(other);
	check("fsync", fsync(file) == 0);
	close(file);
}

static void rest(void)
{
	char text[16] = "";
	FILE *file = tmpfile();
	check("tmpfile", file && fputs("temporary", file) >= 0);
	if (file) {
		rewind(file);
		check("fgets", fgets(text, sizeof text, file) != NULL);
		fclose(file);
	}
	struct statvfs space;
	check("statvfs", statvfs(".", &space) == 0);
	printf("%s; a quota of %llu KiB\n", text, (unsigned long long)(space.f_blocks * space.f_frsize / 1024));
	printf("beside what was granted: %s\n", refusal(open("/etc/shadow", O_RDWR | O_CREAT, 0600)));
	printf("another owner: %s\n", refusal(chown("folder/moved", 1, 1)));
	check("chmod", chmod("folder/moved", 0600) == 0);
	check("remove", remove("folder/moved") == 0 && remove("folder") == 0);
}

int main(int count, char **arguments)
{
	char where[64];
	check("chdir", count == 2 && chdir(arguments[1]) == 0);
	printf("in %s\n", getcwd(where, sizeof where) ? where : strerror(errno));
	remove("folder/moved");
	remove("folder");
	lines();
	names();
	mapped();
	rest();
	return wrong;
}
