@ Vectors, reset and the end by semihosting, for programs without anything else.
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .section .vectors, "a"
    .word stack_top
    .word reset
    .rept 14
    .word fault
    .endr

    .text
    .type reset, %function
reset:
    ldr r0, =0xe000ed88         @ CPACR: the FPU on
    ldr r1, [r0]
    orr r1, r1, #0xf00000
    str r1, [r0]
    dsb
    isb
    bl main
    movs r1, #0
    b exit

    .type fault, %function
fault:
    movs r1, #1

exit:                           @ SYS_EXIT_EXTENDED: reason ADP_Stopped_ApplicationExit, status
    ldr r0, =0x20026
    push {r0, r1}
    movs r0, #0x20
    mov r1, sp
    bkpt #0xab
    b .
    .ltorg

    .global vq_bench_begin, vq_bench_end
    .type vq_bench_begin, %function
vq_bench_begin:
    bx lr
    .size vq_bench_begin, . - vq_bench_begin
    .type vq_bench_end, %function
vq_bench_end:
    bx lr
    .size vq_bench_end, . - vq_bench_end

    .bss
    .balign 8
    .space 1024
stack_top:
