// Moves the FP registers to and from the FP area of a TCB: V0 to V31, FPSR, FPCR.
    .arch_extension fp

    // Changes area, x3, x4.
    .macro  save_fp area
    stp     q0, q1, [\area, #0]
    stp     q2, q3, [\area, #32]
    stp     q4, q5, [\area, #64]
    stp     q6, q7, [\area, #96]
    stp     q8, q9, [\area, #128]
    stp     q10, q11, [\area, #160]
    stp     q12, q13, [\area, #192]
    stp     q14, q15, [\area, #224]
    stp     q16, q17, [\area, #256]
    stp     q18, q19, [\area, #288]
    stp     q20, q21, [\area, #320]
    stp     q22, q23, [\area, #352]
    stp     q24, q25, [\area, #384]
    stp     q26, q27, [\area, #416]
    stp     q28, q29, [\area, #448]
    stp     q30, q31, [\area, #480]
    mrs     x3, fpsr
    mrs     x4, fpcr
    add     \area, \area, #512
    stp     x3, x4, [\area]
    .endm

    // The same.
    .macro  load_fp area
    ldp     q0, q1, [\area, #0]
    ldp     q2, q3, [\area, #32]
    ldp     q4, q5, [\area, #64]
    ldp     q6, q7, [\area, #96]
    ldp     q8, q9, [\area, #128]
    ldp     q10, q11, [\area, #160]
    ldp     q12, q13, [\area, #192]
    ldp     q14, q15, [\area, #224]
    ldp     q16, q17, [\area, #256]
    ldp     q18, q19, [\area, #288]
    ldp     q20, q21, [\area, #320]
    ldp     q22, q23, [\area, #352]
    ldp     q24, q25, [\area, #384]
    ldp     q26, q27, [\area, #416]
    ldp     q28, q29, [\area, #448]
    ldp     q30, q31, [\area, #480]
    add     \area, \area, #512
    ldp     x3, x4, [\area]
    msr     fpsr, x3
    msr     fpcr, x4
    .endm

    .section .text.fp, "ax"
    // x0 = area.
    .global fp_save
fp_save:
    save_fp x0
    ret

    // x0 = area of the last thread, or 0; x1 = area of the next one; returns x2.
    .global fp_switch
fp_switch:
    cbz     x0, 1f
    save_fp x0
1:  load_fp x1
    mov     x0, x2
    ret
