/* The counting is posix-bench's. */
#include "../../posix-bench/src/count.c"
