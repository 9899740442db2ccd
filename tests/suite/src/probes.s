// Code that needs exact registers or exact instructions; each piece says what it takes and gives.

    .arch_extension fp
    .arch_extension simd

// x0 = syscall number, x1 = capability for x0, x2 = capability for x6 and x8, x3 = message info.
// Returns in x0 the number of registers that the call changed although it must not (x6 to x30, SP, NZCV, TPIDR, V, FPCR, FPSR).
    .text
    .global probe_preserved
probe_preserved:
    stp     x19, x20, [sp, #-96]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    mov     x7, x0
    mov     x0, x1
    mov     x6, x2
    mov     x8, x2
    mov     x1, x3
    mrs     x9, tpidr_el0
    stp     x9, x7, [sp, #-32]!
    mov     x9, sp
    stp     x9, x6, [sp, #16]
    ldr     x9, =0x5eed00000000beef
    msr     tpidr_el0, x9
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    mov     x9, #(0x2000 + \n)
    movk    x9, #0xfedc, lsl #32
    fmov    d\n, x9
    ins     v\n\().d[1], x9
    .endr
    mov     x9, #0x03000000
    msr     fpcr, x9
    mov     x9, #0x15
    msr     fpsr, x9
    .irp    n, 9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    mov     x\n, #(0x1000 + \n)
    movk    x\n, #0xabcd, lsl #48
    .endr
    mov     x2, #11
    mov     x3, #22
    mov     x4, #33
    mov     x5, #44
    cmp     xzr, x2                     // NZCV = 1000
    svc     #0x1234
    mrs     x1, nzcv
    mov     x0, xzr
    .irp    n, 9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    mov     x2, #(0x1000 + \n)
    movk    x2, #0xabcd, lsl #48
    cmp     x\n, x2
    cinc    x0, x0, ne
    .endr
    lsr     x1, x1, #28
    cmp     x1, #8
    cinc    x0, x0, ne
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    mov     x9, #(0x2000 + \n)
    movk    x9, #0xfedc, lsl #32
    fmov    x10, d\n
    cmp     x9, x10
    cinc    x0, x0, ne
    fmov    x10, v\n\().d[1]
    cmp     x9, x10
    cinc    x0, x0, ne
    .endr
    mrs     x9, fpcr
    mov     x10, #0x03000000
    cmp     x9, x10
    cinc    x0, x0, ne
    mrs     x9, fpsr
    cmp     x9, #0x15
    cinc    x0, x0, ne
    msr     fpcr, xzr
    msr     fpsr, xzr
    ldp     x3, x4, [sp, #16]
    mov     x2, sp
    cmp     x2, x3
    cinc    x0, x0, ne
    cmp     x6, x4
    cinc    x0, x0, ne
    cmp     x8, x4
    cinc    x0, x0, ne
    ldp     x3, x4, [sp], #32
    cmp     x7, x4
    cinc    x0, x0, ne
    mrs     x2, tpidr_el0
    ldr     x4, =0x5eed00000000beef
    cmp     x2, x4
    cinc    x0, x0, ne
    msr     tpidr_el0, x3
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #96
    ret

// x0 = place of nine words: they become x0 to x8 of a system call, and what those are afterwards is stored there.
    .global probe_call
probe_call:
    str     x19, [sp, #-16]!
    mov     x19, x0
    ldp     x2, x3, [x19, #16]
    ldp     x4, x5, [x19, #32]
    ldp     x6, x7, [x19, #48]
    ldr     x8, [x19, #64]
    ldp     x0, x1, [x19]
    .global probe_call_svc
probe_call_svc:
    svc     #0
    stp     x0, x1, [x19]
    stp     x2, x3, [x19, #16]
    stp     x4, x5, [x19, #32]
    stp     x6, x7, [x19, #48]
    str     x8, [x19, #64]
    ldr     x19, [sp], #16
    ret

// A thread that stores all its registers to the 35 words at x0's place (x28 must be that address), then stops by a fault.
    .global probe_all_registers
probe_all_registers:
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
    stp     x28, x29, [x28, #224]
    mov     x0, sp
    stp     x30, x0, [x28, #240]
    mrs     x0, nzcv
    mrs     x1, tpidr_el0
    stp     x0, x1, [x28, #256]
    mrs     x0, tpidrro_el0
    str     x0, [x28, #272]
    brk     #7

// x0 = address, x1 = notification capability: reserves the word, signals, and tries to store. Returns the STXR status.
    .global probe_exclusive
probe_exclusive:
    mov     x9, x0
    mov     x0, x1
    mov     x1, #0
    mov     x7, #-5
    ldxr    x10, [x9]
    svc     #0
    stxr    w11, x10, [x9]
    mov     w0, w11
    ret

// Executes exactly one unusual instruction each; the label after it is where a handler may continue.
    .global probe_pointer_authentication, probe_undefined, probe_break, probe_svc_undefined, probe_float, probe_physical_counter, probe_hvc, probe_read, probe_write
probe_undefined:
    .inst   0x00000000
    ret
probe_break:
    brk     #3
    ret
probe_hvc:
    hvc     #0
    ret
probe_pointer_authentication:
    .inst   0x9ac03020                  // pacga x0, x1, x0
    ret
probe_physical_counter:
    mrs     x0, cntpct_el0
    ret
probe_svc_undefined:                    // x0 to x6 as given, x7 = 0xc1
    mov     x7, #0xc1
    svc     #9
    ret
probe_float:
    fmov    d0, xzr
    ret
probe_read:
    ldr     x0, [x0]
    ret
probe_write:
    str     xzr, [x0]
    ret

// x0 = seed, x1 = rounds, x2 = place of a word to count in: fills V0 to V31 with values from the seed, spins, compares.
// Returns the number of registers that differ.
    .global probe_float_state
probe_float_state:
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x3, x0, #\n
    fmov    d\n, x3
    .endr
    mov     x4, x1
1:  subs    x4, x4, #1
    str     x4, [x2]
    b.ne    1b
    mov     x5, xzr
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x3, x0, #\n
    fmov    x4, d\n
    cmp     x3, x4
    cinc    x5, x5, ne
    .endr
    mov     x0, x5
    ret

// Returns the number of V registers that are not 0.
    .global probe_float_zero
probe_float_zero:
    mov     x0, xzr
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmov    x1, d\n
    cmp     x1, #0
    cinc    x0, x0, ne
    fmov    x1, v\n\().d[1]
    cmp     x1, #0
    cinc    x0, x0, ne
    .endr
    ret

// What EL0 may and may not execute (kernel ABI §6.8): four instructions each, in the order of the test's list.
    .macro  trial instruction:vararg
    \instruction
    ret
    nop
    nop
    .endm

    .macro  trial_at_sp instruction:vararg
    mov     x0, sp
    \instruction
    ret
    nop
    .endm

    .balign 16
    .global probe_trials
probe_trials:
    trial   mrs x0, ctr_el0             // allowed from here …
    trial   mrs x0, dczid_el0
    trial   mrs x0, cntvct_el0
    trial   mrs x0, cntfrq_el0
    trial   mrs x0, tpidrro_el0
    trial_at_sp dc cvac, x0
    trial_at_sp dc cvau, x0
    trial_at_sp dc civac, x0
    trial_at_sp ic ivau, x0
    trial_at_sp ldur x1, [x0, #-17]     // not aligned
    trial   clrex
    trial   dsb sy
    trial   sevl
    trial   wfe
    sub     sp, sp, #8                  // SP not aligned
    ldr     x1, [sp]
    add     sp, sp, #8
    ret
    trial_at_sp dc ivac, x0             // … to here; these fault
    trial   ic iallu
    trial   dc zva, x0
    trial   mrs x0, daif
    trial   msr daifset, #2
    trial   mrs x0, midr_el1
    trial   mrs x0, currentel
    trial   mrs x0, pmccntr_el0
    trial   mrs x0, cntpct_el0
    trial   mrs x0, cntv_ctl_el0
    trial   mrs x0, cntp_ctl_el0
    trial   msr tpidrro_el0, x0
    trial   eret
    trial   smc #0
