// Exception vectors: from user registers to Rust and back.
//
// While user code runs, SP_EL1 is the address of the current thread's register context (the first bytes of its TCB in the direct
// map); while the kernel runs, it is the kernel stack. Word numbers are those of hybrid_kernel_core::object::context.
// ERET clears the local exclusive monitor (ARM ARM, AArch64.ExceptionReturn), so no reservation crosses a thread boundary.

    .macro  vector target
    .balign 128
    b       \target
    .endm

    .macro  unexpected kind
    .balign 128
    mov     x17, sp                     // x16 and x17 of the kernel are lost; a panic does not need them
    adrp    x16, __emergency_stack_top
    add     x16, x16, :lo12:__emergency_stack_top
    mov     sp, x16
    mov     x16, #\kind
    b       kernel_exception
    .endm

    .section .text.vectors, "ax"
    .balign 2048
exception_vectors:
    unexpected 0
    unexpected 1
    unexpected 2
    unexpected 3
    unexpected 4
    unexpected 5
    unexpected 6
    unexpected 7
    vector  user_synchronous
    vector  user_irq
    unexpected 10
    unexpected 11
    unexpected 12
    unexpected 13
    unexpected 14
    unexpected 15

    // Saves all user registers but the restart address. Leaves x0 to x7 as they are, x10 = ELR_EL1, SP = context.
    .section .text.entry, "ax"

    .macro  save_user
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x9, sp_el0
    stp     x30, x9, [sp, #240]
    mrs     x10, elr_el1
    mrs     x11, spsr_el1
    stp     x10, x11, [sp, #256]
    mrs     x12, tpidr_el0
    .endm

    // Leaves the thread's context for the kernel's stack; changes x13.
    .macro  kernel_stack
    .if     SMP
    mrs     x13, tpidr_el1              // the end of this core's stack, and its number in the low bits
    and     sp, x13, #~0xf
    .else
    adrp    x13, __stack_top
    mov     sp, x13
    .endif
    .endm

// Every handler returns into enter_user or enter_user_or_stay. Those of system calls get what x0 to x7 held; x7 is the number.
user_synchronous:
    save_user
    mrs     x9, esr_el1
    lsr     x11, x9, #26
    cmp     x11, #0x15                  // SVC from AArch64
    b.ne    1f
    sub     x10, x10, #4
    stp     x10, x12, [sp, #272]        // restart address: the SVC itself
    kernel_stack
    adr     x30, enter_user
    cmn     x7, #1
    b.eq    handle_call
    cmn     x7, #2
    b.eq    handle_reply_recv
    adr     x30, enter_user_or_stay
    add     x9, x7, #6                  // Send: -5, NBSend: -6
    cmp     x9, #1
    b.ls    handle_send
    b       handle_other_call
1:  stp     x10, x12, [sp, #272]        // restart address: the instruction
    kernel_stack
    mov     x0, x9
    mrs     x1, far_el1
    adr     x30, enter_user
    b       handle_user_fault

user_irq:
    save_user
    stp     x10, x12, [sp, #272]
    kernel_stack
    bl      handle_interrupt

// x0 = register context of the thread to run. Bit 0: that thread made the call, and x19 to x29 and its system registers still are what
// they were when it did.
enter_user_or_stay:
    tbz     w0, #0, enter_user
    and     sp, x0, #~1
    ldr     x30, [sp, #240]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldr     x18, [sp, #144]
    ldp     x0, x1, [sp, #0]
    eret
    dsb     nsh                         // no speculation past ERET
    isb

// x0 = register context of the thread to run.
    .global enter_user
enter_user:
    mov     sp, x0
    ldp     x1, x2, [sp, #256]
    msr     elr_el1, x1
    msr     spsr_el1, x2
    ldp     x3, x4, [sp, #280]
    msr     tpidr_el0, x3
    msr     tpidrro_el0, x4
    ldp     x30, x0, [sp, #240]
    msr     sp_el0, x0
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp, #0]
    eret
    dsb     nsh                         // no speculation past ERET
    isb

// x16 = vector number, x17 = SP when the kernel itself took an exception. Never returns.
kernel_exception:
    stp     x29, x30, [sp, #-16]!
    mov     x0, x16
    mov     x1, x17
    mrs     x2, esr_el1
    mrs     x3, elr_el1
    mrs     x4, far_el1
    mrs     x5, spsr_el1
    mov     x6, x30
    mov     x29, xzr
    b       report_kernel_exception

    .section .bss.emergency_stack, "aw", @nobits
    .balign 16
    .skip   8192
__emergency_stack_top:
