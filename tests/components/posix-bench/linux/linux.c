/* For Linux only: what makes the program the first process of a machine with a network card and a disk, and ends it. */
#include "../src/count.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Of the kernel, which xtask puts beside the program. */
static const char *const modules[] = { MODULES };

static void set(int fd, struct ifreq *card, int what, const char *address)
{
	struct sockaddr_in *place = (struct sockaddr_in *)&card->ifr_addr;
	memset(place, 0, sizeof *place);
	place->sin_family = AF_INET;
	place->sin_addr.s_addr = inet_addr(address);
	if (ioctl(fd, what, card) != 0)
		fail(address);
}

static void load_modules(void)
{
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
		int file = open(modules[i], O_RDONLY);
		if (file < 0 || syscall(SYS_finit_module, file, "", 0) != 0)
			fail(modules[i]);
		close(file);
	}
}

/* The kernel's own list of devices is beside /dev, so that /dev/null stays on the first file system. */
static void mount_disk(void)
{
	static const char disk[] = "/devices/" PARTITION;
	mkdir("/devices", 0755);
	mkdir("/data", 0755);
	if (mount("devices", "/devices", "devtmpfs", 0, NULL) != 0)
		fail("no list of devices");
	for (int tries = 0; access(disk, F_OK) != 0; tries++) {
		if (tries == 100)
			fail("no disk");
		usleep(100000);
	}
	if (mount(disk, "/data", "ext4", 0, NULL) != 0)
		fail("ext4");
}

static void start_network(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq card = { .ifr_name = "eth0" };
	for (int tries = 0; ioctl(fd, SIOCGIFINDEX, &card) != 0; tries++) {
		if (tries == 100)
			fail("no network card");
		usleep(100000);
	}
	set(fd, &card, SIOCSIFADDR, "10.0.2.15");
	set(fd, &card, SIOCSIFNETMASK, "255.255.255.0");
	if (ioctl(fd, SIOCGIFFLAGS, &card) != 0)
		fail("flags");
	card.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &card) != 0)
		fail("no link");
	close(fd);
}

void linux_prepare(void)
{
	load_modules();
	mkdir("/dev", 0755);
	mkdir("/tmp", 0755);
	mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
	mount_disk();
	start_network();
}

void linux_end(void)
{
	reboot(RB_POWER_OFF);
}
