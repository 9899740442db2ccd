// Start of the suite: keeps the first registers, sets the stack.

    .section .text.start, "ax"
    .global _start
_start:
    // Everything but x0 should be 0: keep it all for the test `start_registers_are_zero`.
    msr     tpidr_el0, x28              // the only place to keep x28; TPIDR_EL0 itself is checked in other threads
    adrp    x28, START_REGISTERS
    add     x28, x28, :lo12:START_REGISTERS
    stp     x0, x1, [x28, #0]
    stp     x2, x3, [x28, #16]
    stp     x4, x5, [x28, #32]
    stp     x6, x7, [x28, #48]
    stp     x8, x9, [x28, #64]
    stp     x10, x11, [x28, #80]
    stp     x12, x13, [x28, #96]
    stp     x14, x15, [x28, #112]
    stp     x16, x17, [x28, #128]
    stp     x18, x19, [x28, #144]
    stp     x20, x21, [x28, #160]
    stp     x22, x23, [x28, #176]
    stp     x24, x25, [x28, #192]
    stp     x26, x27, [x28, #208]
    mrs     x1, tpidr_el0
    stp     x1, x29, [x28, #224]
    mov     x1, sp
    stp     x30, x1, [x28, #240]
    mrs     x1, nzcv
    mrs     x2, tpidrro_el0
    stp     x1, x2, [x28, #256]
    msr     tpidr_el0, xzr
    adrp    x1, __suite_stack_top
    add     x1, x1, :lo12:__suite_stack_top
    mov     sp, x1
    mov     x29, xzr
    mov     x30, xzr
    bl      suite_main
    brk     #0

    .section .bss.suite_stack, "aw", @nobits
    .balign 16
    .skip   65536
__suite_stack_top:
