/* Says hello. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	printf("hello from first-c\n");
	usleep(10000);
	return 0;
}
