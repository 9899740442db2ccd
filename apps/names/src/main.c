/* Looks up names with musl's resolver, and exchanges a datagram in pieces with the host that the first one names. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A name server that is not there yet, or does not know the name yet, is asked again this often, each second. */
enum { TRIES = 600, PATIENCE = 20, PORT = 9 };

static int look_up(const char *name, int family, struct addrinfo **found) {
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_DGRAM };
    return getaddrinfo(name, NULL, &hints, found);
}

/* All addresses in one line, in the order in which they came, or why there are none. Who does not answer in time is asked again, so many times in all. */
static void tell(const char *name, int tries) {
    struct addrinfo *found = NULL;
    int error;
    do error = look_up(name, AF_UNSPEC, &found);
    while (error == EAI_AGAIN && --tries > 0);
    if (error) {
        printf("%s: %s\n", name, gai_strerror(error));
        return;
    }
    char line[320] = "";
    int count = 0;
    for (struct addrinfo *at = found; at; at = at->ai_next, count++) {
        char address[INET6_ADDRSTRLEN];
        getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
        if (count < 4) {
            strncat(line, " ", sizeof line - strlen(line) - 1);
            strncat(line, address, sizeof line - strlen(line) - 1);
        }
    }
    freeaddrinfo(found);
    printf("%s:%s, %d in all\n", name, line, count);
}

/* Sends a message of two pieces to the host and takes the answer in two, the second too short for it. */
static void talk(const struct addrinfo *host) {
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = *(const struct sockaddr_in *)host->ai_addr, from = { 0 };
    to.sin_port = htons(PORT);
    struct iovec sent[2] = { { "hello, ", 7 }, { "other side", 10 } };
    struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = sent, .msg_iovlen = 2 };
    char first[7] = "", second[6] = "";
    struct iovec room[2] = { { first, 7 }, { second, 5 } };
    struct msghdr answer = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = room, .msg_iovlen = 2 };
    struct pollfd ready = { .fd = s, .events = POLLIN };
    for (int try = 0; try < TRIES; try++) {
        if (sendmsg(s, &message, 0) != 17) break;
        if (poll(&ready, 1, 1000) != 1) continue;
        ssize_t peeked = recv(s, NULL, 0, MSG_PEEK | MSG_TRUNC);
        ssize_t taken = recvmsg(s, &answer, MSG_DONTWAIT);
        int is_peer = !memcmp(&from, &to, sizeof from) && answer.msg_namelen == sizeof from;
        printf("answer of %zd bytes, %zd taken: %.7s%s, cut off: %s, from the peer: %s\n", peeked, taken, first, second,
               answer.msg_flags & MSG_TRUNC ? "yes" : "no", is_peer ? "yes" : "no");
        close(s);
        return;
    }
    printf("no answer: %s\n", strerror(errno));
    close(s);
}

int main(int count, char **names) {
    struct addrinfo *first = NULL;
    int error = EAI_NONAME;
    for (int try = 0; count > 1 && error && try < TRIES; try++) {
        if (try) sleep(1);
        error = look_up(names[1], AF_INET, &first);
    }
    if (error) {
        printf("%s: %s\n", count > 1 ? names[1] : "no name", gai_strerror(error));
        return 1;
    }
    talk(first);
    freeaddrinfo(first);
    /* Nobody need answer for the last one. */
    for (int at = 1; at < count; at++) tell(names[at], at + 1 < count ? PATIENCE : 1);
    return 0;
}
