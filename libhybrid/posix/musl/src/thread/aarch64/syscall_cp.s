// A system call that is a cancellation point: looks whether it is to be cancelled, then calls the personality.
//
// Replaces musl's file of this name. Nothing interrupts a thread of a component (signals are cooperative), so a thread
// is cancelled before such a call or not at all, and the labels around the call are only there to be linked with.
//
// __syscall_cp_asm(&self->cancel, number, a, b, c, d, e, f): x0, x1, x2 ... x7
.global __cp_begin
.hidden __cp_begin
.global __cp_end
.hidden __cp_end
.global __cp_cancel
.hidden __cp_cancel
.hidden __cancel
.hidden hybrid_syscall
.global __syscall_cp_asm
.hidden __syscall_cp_asm
.type __syscall_cp_asm,%function
__syscall_cp_asm:
__cp_begin:
	ldr w8, [x0]
	cbnz w8, __cp_cancel
	mov x0, x1
	mov x1, x2
	mov x2, x3
	mov x3, x4
	mov x4, x5
	mov x5, x6
	mov x6, x7
	b hybrid_syscall
__cp_end:
__cp_cancel:
	b __cancel
