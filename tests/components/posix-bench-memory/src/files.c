/* The rows of files are posix-bench's. */
#include "../../posix-bench/src/files.c"
