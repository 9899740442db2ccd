/* Connects to a Unix socket of another component without waiting, by epoll, and tries what is refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What getsockopt tells; musl has it for programs that ask for everything. */
struct credentials {
	int process;
	unsigned user, group;
};

static struct sockaddr_un at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	return address;
}

static int try_to(int kind, const char *path)
{
	struct sockaddr_un address = at(path);
	int socket_of_it = socket(AF_UNIX, kind, 0);
	int result = connect(socket_of_it, (struct sockaddr *)&address, sizeof address);
	int error = result ? errno : 0;
	close(socket_of_it);
	return error;
}

/* Waits for one of these; what came of them. */
static unsigned wait_for(int epoll, int fd, unsigned events)
{
	struct epoll_event event = {.events = events}, found = {0};
	epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
	return epoll_wait(epoll, &found, 1, 10000) == 1 ? found.events : 0;
}

/* A connection that is begun without waiting; -1 if nobody listens yet. */
static int begin(const char *path, int epoll)
{
	struct sockaddr_un address = at(path);
	struct epoll_event event = {0};
	int error = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t length = sizeof error;
	int result = connect(fd, (struct sockaddr *)&address, sizeof address), begun = errno;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	if (result && begun == EINPROGRESS && wait_for(epoll, fd, EPOLLOUT) & EPOLLOUT &&
	    !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) && !error) {
		printf("begun: %s\n", strerror(begun));
		return fd;
	}
	close(fd);
	return -1;
}

/* Sends its own descriptor along. */
static int pass(int fd)
{
	char space[CMSG_SPACE(sizeof fd)] = {0}, byte = 'x';
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(control), &fd, sizeof fd);
	return sendmsg(fd, &message, 0) < 0 ? errno : 0;
}

int main(int count, char **arguments)
{
	const char *path = count > 1 ? arguments[1] : "/run/keep", *other = count > 2 ? arguments[2] : "/run/other";
	int epoll = epoll_create1(0), fd;
	while ((fd = begin(path, epoll)) < 0)
		usleep(50000);
	char answer[64] = {0};
	send(fd, "from C", 6, 0);
	wait_for(epoll, fd, EPOLLIN);
	printf("answered: %zd %s\n", recv(fd, answer, sizeof answer, 0), answer);
	struct credentials peer = {-1, 0, 0};
	socklen_t length = sizeof peer;
	getsockopt(fd, SOL_SOCKET, 17 /* SO_PEERCRED */, &peer, &length);
	printf("its peer: process %d, user %u\n", peer.process, peer.user);
	printf("a descriptor: %s\n", strerror(pass(fd)));
	printf("a datagram: %s\n", strerror(try_to(SOCK_DGRAM, path)));
	printf("without a route: %s\n", strerror(try_to(SOCK_STREAM, other)));
	shutdown(fd, SHUT_WR);
	wait_for(epoll, fd, EPOLLIN);
	printf("at the end: %zd\n", recv(fd, answer, sizeof answer, 0));
	return 0;
}
