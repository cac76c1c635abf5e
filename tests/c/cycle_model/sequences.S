@ Sequences whose cycles are summed by hand, from the table of instruction timings of the Cortex-M4
@ Technical Reference Manual; P, the refill of a taken branch, is 2 and a division takes 7.
@
@ Each sequence is a layer function. Its record ends where the next layer begins, so that besides
@ the sequence it holds the return (BX LR: 1 + P) and what CALL does: four instructions of one cycle
@ and a call (BL: 1 + P). These 6 instructions and 10 cycles are not in the numbers here.
@
@ On entry r0 and r8 hold the address of a buffer (a multiple of 16), r1 is 1, r4 is 4, the flags
@ are those of 1 - 1. A sequence may change r0 to r7, r12, the flags and all S registers.
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro CALL function
    .pushsection .text.main, "ax"
    mov r0, r8
    movs r1, #1
    movs r4, #4
    cmp r1, #1
    bl \function
    .popsection
    .endm

    @ QEMU translates 1 KB pages one by one: no sequence lies on two of them but those that begin
    @ `before_page` bytes before the next one.
    .macro SEQUENCE name, instructions, cycles, before_page=0
    .if \before_page
    .balign 1024
    .space 1024 - \before_page
    .else
    .balign 64
    .endif
    .type \name, %function
\name:
    CALL \name
    .endm

    .macro END name
    bx lr
    .size \name, . - \name
    .endm

    .section .text.main, "ax"
    .global main
    .type main, %function
main:
    push {r4-r8, lr}
    ldr r8, =buffer
    bl vq_bench_begin

    .text

@ --- one cycle each -------------------------------------------------------------------------------

SEQUENCE empty, instructions=0, cycles=0
END empty

SEQUENCE alu, instructions=6, cycles=6                  @ 6 x 1
    adds r2, r1, #3
    eor.w r3, r2, r1, lsl #3
    movw r5, #0x1234
    clz r6, r5
    bfi r6, r5, #4, #8
    nop
END alu

SEQUENCE multiply, instructions=5, cycles=5             @ 5 x 1
    muls r2, r1, r2
    mla r3, r1, r2, r5
    smull r2, r3, r1, r5
    umlal r2, r3, r1, r5
    smmulr r5, r2, r3
END multiply

SEQUENCE dsp, instructions=5, cycles=5                  @ 5 x 1
    sxtb16 r2, r1
    sxtb16 r3, r1, ror #8
    smlad r5, r2, r3, r5
    ssat r6, #8, r5, asr #2
    usada8 r7, r2, r3, r6
END dsp

SEQUENCE division, instructions=2, cycles=14            @ 7 + 7
    udiv r2, r4, r1
    sdiv r3, r2, r1
END division

SEQUENCE status_registers, instructions=3, cycles=5     @ MRS 2, MSR 2, DSB 1
    mrs r2, primask
    msr primask, r2
    dsb
END status_registers

@ --- loads and stores of one register -------------------------------------------------------------

SEQUENCE load_alone, instructions=2, cycles=3           @ 2, 1
    ldr r2, [r0]
    adds r1, r1, #1
END load_alone

SEQUENCE loads_pipelined, instructions=4, cycles=5      @ 2, then 1 each
    ldr r2, [r0]
    ldrb r3, [r0, #5]
    ldrsh.w r5, [r0, #6]
    ldr r6, [r0, r4]
END loads_pipelined

SEQUENCE loads_interrupted, instructions=3, cycles=5    @ 2, 1, 2: an addition lies between
    ldr r2, [r0]
    adds r1, r1, #1
    ldr r3, [r0, #4]
END loads_interrupted

SEQUENCE load_of_address, instructions=4, cycles=6      @ 1, 1, 2, 2: the first load's result
    str r0, [r0]
    nop
    ldr r2, [r0]
    ldr r3, [r2]
END load_of_address

SEQUENCE load_updates_base, instructions=3, cycles=4    @ 2, 1, 1: an updated base is no result
    ldr r2, [r0], #4
    ldr r3, [r0], #4
    ldr r5, [r0, #4]!
END load_updates_base

SEQUENCE literal_load, instructions=2, cycles=3         @ 2, 1
    ldr r2, 1f
    ldr r3, [r0]
END literal_load
    .balign 4
1:  .word 0

SEQUENCE loads_on_two_pages, instructions=3, cycles=4, before_page=4    @ 1, 2, 1
    nop
    ldr r2, [r0]
    ldr r3, [r0, #4]
END loads_on_two_pages

SEQUENCE stores, instructions=4, cycles=5               @ 1, 1, 1, register offset 2
    str r1, [r0]
    strb r1, [r0, #3]
    strh r1, [r0], #4
    str r1, [r0, r4]
END stores

SEQUENCE store_after_load, instructions=4, cycles=6     @ 2, 1; 2, register offset 1 after a load
    ldr r2, [r0]
    str r2, [r0, #4]
    ldr r3, [r0]
    str r3, [r0, r4]
END store_after_load

SEQUENCE load_after_store, instructions=2, cycles=3     @ 1, 2
    str r1, [r0]
    ldr r2, [r0]
END load_after_store

SEQUENCE preload, instructions=2, cycles=3              @ PLD 1, then a load that follows no load: 2
    pld [r0]
    ldr r2, [r0]
END preload

@ --- address generation ---------------------------------------------------------------------------

SEQUENCE address_from_addition, instructions=2, cycles=4        @ 1, 2 + 1
    adds r2, r0, #4
    ldr r3, [r2]
END address_from_addition

SEQUENCE address_from_multiplication, instructions=4, cycles=8  @ 1, 2 + 1, twice: an index counts
    mul r2, r1, r4
    ldr r3, [r0, r2]
    mul r5, r1, r4
    ldr.w r3, [r0, r5, lsl #1]
END address_from_multiplication

SEQUENCE address_one_earlier, instructions=3, cycles=4          @ 1, 1, 2
    adds r2, r0, #4
    nop
    ldr r3, [r2]
END address_one_earlier

SEQUENCE address_from_immediate, instructions=2, cycles=4       @ 1, 2 + 1
    movs r2, #12
    ldr r3, [r0, r2]
END address_from_immediate

SEQUENCE address_from_pc, instructions=2, cycles=4              @ 1, 2 + 1
    adr r2, 1f
    ldr r3, [r2]
END address_from_pc
    .balign 4
1:  .word 0

SEQUENCE address_compared, instructions=2, cycles=3             @ 1, 2: a comparison writes nothing
    cmp r0, #8
    ldr r3, [r0]
END address_compared

SEQUENCE store_to_new_address, instructions=2, cycles=3         @ 1, 1 + 1
    adds r2, r0, #4
    str r1, [r2]
END store_to_new_address

SEQUENCE narrow_stores_to_new_address, instructions=4, cycles=6 @ 1, 1 + 1, 1, 1 + 1
    adds r2, r0, #4
    strb r1, [r2, #1]
    adds r3, r0, #4
    strh r1, [r3, #2]
END narrow_stores_to_new_address

SEQUENCE stack_slots, instructions=5, cycles=7                  @ 1, 1 + 1, 2, 1, 1
    sub sp, sp, #8
    str r1, [sp, #4]
    ldr r2, [sp, #4]
    ldr r3, [sp]
    add sp, sp, #8
END stack_slots

SEQUENCE store_of_new_value, instructions=2, cycles=2           @ 1, 1: data is no address
    adds r2, r1, #4
    str r2, [r0]
END store_of_new_value

SEQUENCE push_after_stack_adjustment, instructions=3, cycles=6  @ 1, 1 + 2 + 1, 1
    sub sp, sp, #8
    push {r1, r2}
    add sp, sp, #16
END push_after_stack_adjustment

@ --- more than one register -----------------------------------------------------------------------

SEQUENCE load_multiple, instructions=3, cycles=9        @ 1 + 3, 1 + 2, then 2: not pipelined
    ldm r0!, {r2, r3, r5}
    ldm.w r8, {r2, r3}
    ldr r6, [r8]
END load_multiple

SEQUENCE store_multiple, instructions=2, cycles=8       @ 1 + 2, 1 + 4
    stm r0!, {r1, r2}
    stm.w r8, {r1, r2, r3, r5}
END store_multiple

SEQUENCE load_double, instructions=3, cycles=8          @ 2, 1 + 2, 1 + 2
    ldr r5, [r0]
    ldrd r2, r3, [r0]
    strd r2, r3, [r0, #8]
END load_double

SEQUENCE push_pop, instructions=2, cycles=10            @ 1 + 4, 1 + 4
    push {r4, r5, r6, r7}
    pop {r4, r5, r6, r7}
END push_pop

SEQUENCE return_by_pop, instructions=3, cycles=11       @ 1 + 2; 1 + P, 1 + P; 1 + 2 + P, but END's
    push {r4, lr}                                       @ return, 1 + P, is not reached
    bl nothing
    pop {r4, pc}
END return_by_pop

@ --- unaligned loads ------------------------------------------------------------------------------

SEQUENCE unaligned_halfword, instructions=1, cycles=3   @ 2 + 1
    ldrh r2, [r0, #1]
END unaligned_halfword

SEQUENCE aligned_halfword, instructions=2, cycles=3      @ 2, 1
    ldrh r2, [r0, #2]
    ldrh r3, [r0, #4]
END aligned_halfword

SEQUENCE unaligned_word, instructions=3, cycles=7       @ 2 + 1 at 2, 1 + 2 at 1, 1 at 4
    ldr r2, [r0, #2]
    ldr r3, [r0, #1]
    ldr r5, [r0, #4]
END unaligned_word

SEQUENCE unaligned_store, instructions=1, cycles=1      @ the write buffer hides it
    str r1, [r0, #1]
END unaligned_store

@ --- branches -------------------------------------------------------------------------------------

SEQUENCE branch_not_taken, instructions=2, cycles=2     @ 1, 1
    bne 1f
    nop
1:
END branch_not_taken

SEQUENCE branches_on_greater, instructions=2, cycles=4   @ not taken 1, taken 1 + P
    bgt 1f
    ble 1f
    nop
1:
END branches_on_greater

SEQUENCE branch_taken, instructions=1, cycles=3         @ 1 + P
    beq 1f
    nop
1:
END branch_taken

SEQUENCE branch_to_next, instructions=1, cycles=3       @ 1 + P: taken, if only to where it ends
    b.n 1f
1:
END branch_to_next

SEQUENCE compare_and_branch, instructions=3, cycles=5   @ 1, not taken 1, taken 1 + P
    movs r2, #0
    cbnz r2, 1f
    cbz r2, 1f
    nop
1:
END compare_and_branch

SEQUENCE loop, instructions=13, cycles=19               @ 1; 4 x (1 + 1); 3 x (1 + P), 1
    movs r2, #4
1:  adds r3, r3, #1
    subs r2, r2, #1
    bne 1b
END loop

SEQUENCE table_branch, instructions=3, cycles=7         @ 1, NOP 1, 3 + P
    movs r2, #0
    nop
    tbb [pc, r2]
    .byte 1, 1
END table_branch

SEQUENCE load_after_branch, instructions=3, cycles=7    @ 2, 1 + P, 2: nothing is pipelined across
    ldr r2, [r0]
    b 1f
    nop
1:  ldr r3, [r0]
END load_after_branch

@ --- IT blocks ------------------------------------------------------------------------------------

SEQUENCE it_of_alu, instructions=3, cycles=3            @ 1, executed 1, skipped 1
    ite eq
    addeq r2, r1, #1
    addne r2, r1, #2
END it_of_alu

SEQUENCE it_of_load, instructions=3, cycles=4           @ 1, 2, skipped 1
    ite eq
    ldreq r2, [r0]
    ldrne r3, [r0]
END it_of_load

SEQUENCE it_of_loads, instructions=4, cycles=5          @ 1, 2, pipelined 1, skipped 1
    itte eq
    ldreq r2, [r0]
    ldreq r3, [r0]
    ldrne r5, [r0]
END it_of_loads

SEQUENCE it_skips_loads, instructions=4, cycles=5       @ 1, 1, 1, then 2: follows no load
    itt ne
    ldrne r2, [r0]
    ldrne r3, [r0]
    ldr r5, [r0]
END it_skips_loads

SEQUENCE it_of_last_load, instructions=3, cycles=4      @ 1, 2, pipelined 1
    it eq
    ldreq r2, [r0]
    ldr r5, [r0]
END it_of_last_load

SEQUENCE it_of_multiple, instructions=3, cycles=6       @ 1, 1 + 3, skipped 1
    ite eq
    ldmeq r0, {r2, r3, r5}
    ldmne r0, {r2, r3, r5}
END it_of_multiple

SEQUENCE it_of_store, instructions=3, cycles=4          @ 1, skipped 1, register offset 2
    ite ne
    strne r1, [r0, r4]
    streq r1, [r0, r4]
END it_of_store

SEQUENCE it_of_branch, instructions=3, cycles=5         @ NOP 1, 1, 1 + P
    nop
    it eq
    beq 1f
    nop
1:
END it_of_branch

SEQUENCE it_of_return, instructions=3, cycles=3         @ 1, skipped 1, NOP 1
    it ne
    bxne lr
    nop
END it_of_return

SEQUENCE it_on_two_pages, instructions=4, cycles=5, before_page=6       @ 1, 2, skipped 1 and 1
    itee eq
    ldreq r2, [r0]
    movne r3, r1
    ldrne r5, [r0]
END it_on_two_pages

@ --- floating point -------------------------------------------------------------------------------

SEQUENCE fp_arithmetic, instructions=4, cycles=4        @ 4 x 1: each independent of the one before
    vadd.f32 s3, s1, s2
    vmul.f32 s4, s1, s2
    vcvt.s32.f32 s5, s1
    vsub.f32 s6, s1, s2
END fp_arithmetic

SEQUENCE fp_dependent, instructions=3, cycles=5         @ 1, 1 + 1, 1 + 1
    vadd.f32 s3, s1, s2
    vmul.f32 s4, s3, s2
    vcvt.s32.f32 s5, s4
END fp_dependent

SEQUENCE fp_multiply_add, instructions=2, cycles=6      @ 3, 3
    vmla.f32 s3, s1, s2
    vfma.f32 s4, s1, s2
END fp_multiply_add

SEQUENCE fp_division, instructions=2, cycles=28         @ 14, 14
    vdiv.f32 s3, s1, s2
    vsqrt.f32 s4, s1
END fp_division

SEQUENCE fp_moves, instructions=4, cycles=5             @ 1, 1, two registers 2, 1
    vmov s3, r1
    vmov.f32 s4, s3
    vmov s5, s6, r1, r2
    vmov r2, s1
END fp_moves

SEQUENCE fp_compare, instructions=2, cycles=2           @ 1, 1
    vcmp.f32 s1, s2
    vmrs apsr_nzcv, fpscr
END fp_compare

SEQUENCE fp_memory, instructions=4, cycles=13           @ 2, 1 + 4, 2, 1 + 3
    vldr s3, [r0]
    vldm r0, {s4-s7}
    vstr s3, [r0]
    vstm r0, {s4-s6}
END fp_memory

    .type nothing, %function
nothing:
    bx lr
    .size nothing, . - nothing

    .section .text.main, "ax"
    CALL vq_bench_end
    pop {r4-r8, pc}
    .ltorg

    .bss
    .balign 16
buffer:
    .space 64
