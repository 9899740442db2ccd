// Where the program begins: a stack, then C. Nothing is shared with HybridOS's own start code.
    .section .text.start, "ax"
    .global _start
_start:
    adrp    x1, stack_end
    add     x1, x1, :lo12:stack_end
    mov     sp, x1
    mov     x29, xzr
    mov     x30, xzr
    b       begin

// worker(counter address, notification, core word): runs in address spaces that hold this page and the counter's page only.
    .section .text.worker, "ax"
    .balign 4096
    .global worker
worker:
0:  ldaxr   x9, [x0]
    add     x9, x9, #1
    stlxr   w10, x9, [x0]
    cbnz    w10, 0b
    mov     x0, x1
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    mov     x4, xzr
    mov     x5, xzr
    mov     x6, xzr
    mov     x7, #-5             // Send, which signals
    svc     #0
    brk     #1                  // stops the thread: nobody handles its faults
    .balign 4096

    .section .bss.stack, "aw", %nobits
    .balign 16
    .skip   65536
stack_end:
