/* Says what a C program can do as a component; ends with status 0 if all was as it should be. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	signals += number == SIGUSR1;
}

/* Allocates, writes, grows and frees; what was written must still be there. */
static int memory_keeps(void)
{
	char *blocks[64];
	int wrong = 0;
	for (int i = 0; i < 64; i++) {
		size_t size = 64 << i % 11;
		blocks[i] = malloc(size);
		if (!blocks[i])
			return 0;
		memset(blocks[i], i, size);
		blocks[i] = realloc(blocks[i], 3 * size);
		if (!blocks[i])
			return 0;
	}
	for (int i = 0; i < 64; i++) {
		for (int at = 0; at < 64 << i % 11; at++)
			wrong += blocks[i][at] != i;
		free(blocks[i]);
	}
	return wrong == 0;
}

/* The errno of a call that must fail. */
static const char *refused(int is_failed)
{
	return is_failed ? strerror(errno) : "allowed";
}

static long long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	printf("hello from C, %s has %d arguments\n", argv[0], argc);
	printf("one third is %.6f, as a long double %.18Lf\n", 1.0 / 3, 1.0L / 3);
	int keeps = memory_keeps();
	printf("memory keeps what is written: %s\n", keeps ? "yes" : "no");

	long long before = milliseconds();
	usleep(20000);
	int slept = milliseconds() - before >= 20;
	printf("slept at least 20 ms: %s\n", slept ? "yes" : "no");

	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	printf("handled %d signal\n", (int)signals);

	void *code = mmap(0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("writable and executable memory: %s\n", refused(code == MAP_FAILED));
	printf("a file: %s\n", refused(open("/etc/shadow", O_RDONLY) < 0));
	char program[64] = "";
	struct servent *web = getservbyname("http", "tcp");
	struct passwd *user = getpwuid(getuid());
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
	printf("http is port %d, the user is %s, the program %s\n", web ? ntohs(web->s_port) : 0, user ? user->pw_name : "nobody", length > 0 ? program : "nowhere");
	printf("a copy: %s\n", refused(fork() < 0));
	printf("processor time: %s\n", refused(clock() == (clock_t)-1));
	char seed[16];
	printf("a seed: %s\n", refused(getrandom(seed, sizeof seed, 0) < 0));
	printf("a device of seeds: %s\n", refused(open("/dev/urandom", O_RDONLY) < 0));
	printf("a look into its parent: %s\n", refused(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0));
	printf("the interfaces: %s\n", refused(socket(AF_NETLINK, SOCK_RAW, 0) < 0));
	printf("every packet: %s\n", refused(socket(AF_PACKET, SOCK_RAW, 0) < 0));
	return !(keeps && slept && signals == 1 && code == MAP_FAILED);
}
