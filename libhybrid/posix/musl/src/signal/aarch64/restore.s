// Where a signal handler would return to. The personality calls handlers as functions, so nothing ever comes here.
//
// Replaces musl's file of this name; musl's sigaction passes the address on.
.global __restore
.hidden __restore
.type __restore,%function
__restore:
.global __restore_rt
.hidden __restore_rt
.type __restore_rt,%function
__restore_rt:
	brk #0x4879
