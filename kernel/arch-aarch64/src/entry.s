// The arm64 Image header and the way from firmware to Rust; runs once on each core.
//
// Entered as the Linux arm64 boot protocol says: MMU and data cache off, x0 = device tree, EL2 or EL1, anywhere in RAM
// (4 KiB alignment is enough for this code). Everything up to high_entry is position independent: adrp only.
//
// Kept in registers: x20 device tree (other cores: number of the stack) · x21 exception level entered at · x22 empty user table ·
// x23 physical image start · x24 where to go on at EL1.

// Turns the MMU on with the tables that are there and goes on at a link address. Leaves x1 = whether there is PAN, x22.
    .macro  enable_mmu target
    ic      iallu
    tlbi    vmalle1
    dsb     sy
    isb
    ldr     x0, =MAIR
    msr     mair_el1, x0
    ldr     x0, =TCR
    mrs     x1, id_aa64mmfr0_el1
    and     x2, x1, #0xf                // physical address size, at most 48 bits
    mov     x3, #5
    cmp     x2, x3
    csel    x2, x2, x3, lo
    bfi     x0, x2, #32, #3
    ubfx    x2, x1, #4, #4              // 16-bit ASIDs; their absence is reported by Rust
    lsr     x2, x2, #1
    bfi     x0, x2, #36, #1
    msr     tcr_el1, x0
    adrp    x0, __table_identity
    msr     ttbr0_el1, x0
    adrp    x0, __table_root
    msr     ttbr1_el1, x0
    adrp    x22, __table_empty
    ldr     x0, =SCTLR_ON
    mrs     x1, id_aa64mmfr1_el1        // PAN: taken automatically at each exception where it exists
    ubfx    x1, x1, #20, #4
    cbz     x1, 41f
    bic     x0, x0, #(1 << 23)
41: isb
    msr     sctlr_el1, x0
    isb
    ldr     x2, =\target
    br      x2
    .endm

// The rest of it, at the link address.
    .macro  leave_identity
    cbz     x1, 42f
    .inst   0xd500419f                  // msr pan, #1
42: msr     ttbr0_el1, x22              // no identity map any more
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    .endm

    .section .head.text, "ax"
    .global _start
_start:
    b       primary_entry
    .long   0
    .quad   0                           // text_offset
    .quad   __image_size                // memory the image needs, BSS included
    .quad   0xa                         // little endian, 4 KiB pages, any 2 MiB-aligned base
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

primary_entry:
    msr     daifset, #0xf
    mov     x20, x0
    adr     x24, at_el1
to_el1:
    mrs     x21, CurrentEL
    lsr     x21, x21, #2
    ldr     x19, =SCTLR_OFF
    cmp     x21, #2
    b.eq    leave_el2
    cmp     x21, #1
    b.ne    stop
    msr     sctlr_el1, x19
    isb
    br      x24
stop:
    wfe
    b       stop

leave_el2:
    mov     x0, #(1 << 31)              // HCR_EL2: RW (EL1 is AArch64), E2H off, nothing trapped …
    mrs     x1, id_aa64isar1_el1        // … pointer authentication neither, where there is any (APA, API, GPA, GPI, APA3, GPA3)
    ldr     x2, =0xff000ff0
    tst     x1, x2
    b.ne    0f
    mrs     x1, S3_0_C0_C6_2            // ID_AA64ISAR2_EL1
    tst     x1, #0xff00
    b.eq    1f
0:  orr     x0, x0, #(1 << 41)          // API
    orr     x0, x0, #(1 << 40)          // APK
1:  msr     hcr_el2, x0
    isb
    msr     sctlr_el1, x19
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    mov     x0, #3                      // CNTHCTL_EL2: EL1 may use the physical counter and timer
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff                 // CPTR_EL2: RES1 bits only, no FP trap
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x1, id_aa64dfr0_el1         // MDCR_EL2.HPMN: all event counters for EL1, if there is a PMU
    ubfx    x1, x1, #8, #4
    mov     x0, xzr
    cbz     x1, 1f
    cmp     x1, #0xf
    b.eq    1f
    mrs     x0, pmcr_el0
    ubfx    x0, x0, #11, #5
1:  msr     mdcr_el2, x0
    mrs     x0, id_aa64pfr0_el1         // GICv3 system registers, if there are any: let EL1 use them
    ubfx    x0, x0, #24, #4
    cbz     x0, 2f
    mrs     x0, S3_4_C12_C9_5           // ICC_SRE_EL2
    orr     x0, x0, #1                  // SRE
    orr     x0, x0, #8                  // Enable: EL1 may use them
    msr     S3_4_C12_C9_5, x0
    isb
    mrs     x0, S3_4_C12_C9_5
    tbz     x0, #0, 2f
    msr     S3_4_C12_C11_0, xzr         // ICH_HCR_EL2: no virtual interrupts
2:  adrp    x0, el2_vectors
    add     x0, x0, :lo12:el2_vectors
    msr     vbar_el2, x0
    mov     x0, #0x3c5                  // EL1h, DAIF masked
    msr     spsr_el2, x0
    msr     elr_el2, x24
    isb
    eret

at_el1:
    adrp    x23, _start
    // The tables are written with the data cache off: no stale line may cover them, before or after (ARM ARM D8.2, Linux booting.rst).
    adrp    x0, __tables_start
    adrp    x1, __tables_end
    bl      invalidate_to_memory
    adrp    x0, __tables_start
    adrp    x1, __tables_end
3:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    3b

    // Level 3: the image, page by page, each section with its own rights; the guard page below the stack stays unmapped.
    adrp    x0, __table_image
    mov     x1, x23
    adrp    x2, __text_end
    ldr     x3, =PAGE_TEXT
    bl      fill_pages
    adrp    x2, __rodata_end
    ldr     x3, =PAGE_RODATA
    bl      fill_pages
    adrp    x2, __stack_guard
    ldr     x3, =PAGE_DATA
    bl      fill_pages
    add     x0, x0, #8
    add     x1, x1, #4096
    adrp    x2, __image_end
    bl      fill_pages

    // Levels 0 to 2 above it. Indexes of the link address 0xffffffff80000000: 511, 510, 0.
    adrp    x0, __table_root
    adrp    x1, __table_level1
    orr     x2, x1, #3
    str     x2, [x0, #(511 * 8)]
    adrp    x0, __table_level2
    orr     x2, x0, #3
    str     x2, [x1, #(510 * 8)]
    adrp    x1, __table_image
    orr     x2, x1, #3
    str     x2, [x0]
    adrp    x1, __table_devices
    orr     x2, x1, #3
    str     x2, [x0, #8]

    // The identity map: one 2 MiB block around this code, so that the instruction after the MMU switch is mapped.
    adrp    x0, __table_identity
    add     x1, x0, #4096
    add     x2, x0, #8192
    ubfx    x3, x23, #39, #9
    orr     x4, x1, #3
    str     x4, [x0, x3, lsl #3]
    ubfx    x3, x23, #30, #9
    orr     x4, x2, #3
    str     x4, [x1, x3, lsl #3]
    ubfx    x3, x23, #21, #9
    and     x4, x23, #~0x1fffff
    ldr     x5, =BLOCK_TEXT
    orr     x4, x4, x5
    str     x4, [x2, x3, lsl #3]

    adrp    x0, __tables_start
    adrp    x1, __tables_end
    bl      invalidate_to_memory

    enable_mmu high_entry

// Invalidates [x0, x1) from all caches to the point of coherency. Changes x0, x2, x3.
invalidate_to_memory:
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x3, x3, x2
5:  dc      ivac, x0
    add     x0, x0, x3
    cmp     x0, x1
    b.lo    5b
    dsb     sy
    ret

// Writes page descriptors for [x1, x2) with attributes x3 to x0; leaves x0 and x1 behind the last one. Changes x4.
fill_pages:
    cmp     x1, x2
    b.hs    6f
    orr     x4, x1, x3
    str     x4, [x0], #8
    add     x1, x1, #4096
    b       fill_pages
6:  ret

high_entry:
    leave_identity
    adrp    x0, __bss_start
    adrp    x1, __bss_end
8:  cmp     x0, x1
    b.hs    9f
    stp     xzr, xzr, [x0], #16
    b       8b
9:  adrp    x0, exception_vectors
    add     x0, x0, :lo12:exception_vectors
    msr     vbar_el1, x0
    adrp    x0, __stack_top
    mov     sp, x0
    .if     SMP
    msr     tpidr_el1, x0               // core 0 (cores.rs)
    .endif
    isb
    mov     x0, x20
    mov     x1, x23
    mov     x2, x21
    mov     x3, x22
    mov     x29, xzr
    mov     x30, xzr
    b       kernel_start

    .if     SMP
// Where the other cores start, as firmware leaves them: MMU and data cache off, EL2 or EL1. One entry for each stack, since a spin
// table passes no argument. All that they read before the MMU is on is the code here.
    .macro  secondary number
    .global secondary_entry_\number
secondary_entry_\number:
    mov     x20, #\number
    b       secondary_entry
    .endm
    secondary 0
    secondary 1
    secondary 2
secondary_entry:
    msr     daifset, #0xf
    adr     x24, secondary_at_el1
    b       to_el1

secondary_at_el1:
    enable_mmu secondary_high_entry

secondary_high_entry:
    leave_identity
    adrp    x0, exception_vectors
    add     x0, x0, :lo12:exception_vectors
    msr     vbar_el1, x0
    adrp    x0, secondary_stacks
    mov     x1, #SECONDARY_STACK
    madd    x0, x20, x1, x0
    add     x0, x0, x1                  // each has its guard page below it
    mov     sp, x0
    isb
    mov     x1, x0
    mov     x0, x20
    mov     x29, xzr
    mov     x30, xzr
    b       secondary_start

    .endif

    .ltorg

    .if     SMP
    .section .stacks, "aw", @nobits
    .balign 4096
    .global secondary_stacks
secondary_stacks:
    .skip   3 * SECONDARY_STACK
    .endif

// What is left at EL2 when this kernel was entered there. A stray HVC gets an error back. Anything else that still traps to EL2 is
// handed to EL1 as an undefined instruction, with the registers as they were.
    .section .text.vectors, "ax"
    .balign 2048
el2_vectors:
    .rept   8
    .balign 128
    b       stop
    .endr
    .balign 128
    b       el2_synchronous
    .rept   7
    .balign 128
    b       stop
    .endr

el2_synchronous:
    msr     tpidr_el2, x0
    mrs     x0, esr_el2
    lsr     x0, x0, #26
    cmp     x0, #0x16                   // HVC from AArch64
    b.eq    1f
    mov     sp, x1                      // EL2 has no stack: its SP is as good a place as any
    mrs     x0, elr_el2
    msr     elr_el1, x0
    mrs     x0, spsr_el2
    msr     spsr_el1, x0
    mov     x1, #0x400                  // vector offset: from EL0, or from EL1 itself
    tst     x0, #0xc
    b.eq    0f
    mov     x1, #0x200
0:  mrs     x0, vbar_el1
    add     x0, x0, x1
    msr     elr_el2, x0
    mov     x0, #0x3c5                  // EL1h, DAIF masked, and PAN where it exists, as after a real exception
    mrs     x1, id_aa64mmfr1_el1
    tst     x1, #(0xf << 20)
    b.eq    0f
    orr     x0, x0, #(1 << 22)
0:  msr     spsr_el2, x0
    mov     x0, #0x02000000             // ESR: unknown reason, 32-bit instruction
    msr     esr_el1, x0
    mov     x1, sp
    mrs     x0, tpidr_el2
    eret
1:  mov     x0, #-1
    eret
