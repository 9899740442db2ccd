/* Says what files in memory cost, when posix-bench spawns it, whose own files are on the disk. */
#include "../../posix-bench/src/count.h"

int main(void)
{
	if (!count_start())
		fail("the counter");
	rows_of_files("memory", "/tmp/counted");
	return 0;
}
