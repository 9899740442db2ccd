/* Waits for signals in each of the ways that there are; then for the one that asks it to end, as its argument says. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
	handled = signal;
}

/* Signals that the program sends to itself and blocks. */
static void waits(void)
{
	sigset_t set, pending, none;
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, 0);
	struct timespec moment = { .tv_nsec = 20000000 };
	int found = sigtimedwait(&set, 0, &moment);
	printf("in 20 ms: %s\n", found < 0 ? strerror(errno) : "a signal");
	kill(getpid(), SIGUSR2);
	raise(SIGUSR1);
	sigpending(&pending);
	printf("pending: %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2), sigismember(&pending, SIGTERM));
	sigwait(&set, &found);
	printf("sigwait: %s\n", found == SIGUSR1 ? "the first" : "another");
	struct signalfd_siginfo information;
	int descriptor = signalfd(-1, &set, SFD_NONBLOCK);
	struct pollfd entry = { .fd = descriptor, .events = POLLIN };
	int ready = poll(&entry, 1, 0);
	ssize_t length = read(descriptor, &information, sizeof information);
	printf("signalfd: %d, %s\n", ready, length == sizeof information && information.ssi_signo == SIGUSR2 ? "the second" : "another");
	length = read(descriptor, &information, sizeof information);
	printf("and then: %s\n", length < 0 ? strerror(errno) : "one more");
	close(descriptor);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	int before = handled, result = sigsuspend(&none);
	printf("sigsuspend: %s, handled %s\n", result < 0 ? strerror(errno) : "nothing", !before && handled == SIGUSR1 ? "then" : "not");
	struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
	signal(SIGALRM, on_signal);
	setitimer(ITIMER_REAL, &soon, 0);
	result = pause();
	alarm(100);
	printf("alarm: %s, handled %s; of the next %u s are left\n", result < 0 ? strerror(errno) : "nothing", handled == SIGALRM ? "then" : "not", alarm(0));
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "";
	sigset_t set;
	setvbuf(stdout, 0, _IOLBF, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (!strcmp(what, "deaf"))
		signal(SIGTERM, SIG_IGN);
	if (!strcmp(what, "tidy")) {
		int found = 0;
		sigprocmask(SIG_BLOCK, &set, 0);
		waits();
		printf("ready\n");
		sigwait(&set, &found);
		printf("asked to end: %s\n", strsignal(found));
		return 0;
	}
	printf("ready\n");
	for (;;)
		pause();
}
