/* This computer as a board: the link is standard input and output, and the process ends with them.
 * In place of what a core has there is an operating system. */
#define _POSIX_C_SOURCE 200809L
#include "vq/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../rpc/cycles.h"
#include "../../rpc/restart.h"
#include "vq/stack.h"

const char vq_board_name[] = "host";

uint32_t vq_board_open(void) { return 0; }

/* Waits, as there is nothing else to do. */
int32_t vq_board_get(void) {
    fflush(stdout);
    const int byte = getchar();
    if (byte == EOF) {
        exit(EXIT_SUCCESS);
    }
    return byte;
}

void vq_board_put(uint8_t byte) { putchar(byte); }

uint32_t vq_board_receiver_errors(void) { return 0; }

enum vq_cycles_source vq_cycles_open(void) { return VQ_CYCLES_NONE; }

uint32_t vq_cycles(void) { return 0; }

struct vq_fault vq_restart_fault(void) { return (struct vq_fault){VQ_FAULT_NONE, 0}; }

/* Input that had come already is lost, as it is on a board. */
void vq_restart(struct vq_fault fault) {
    (void)fault;
    char name[] = "firmware";
    char *arguments[] = {name, NULL};
    fflush(stdout);
    execv("/proc/self/exe", arguments);
    exit(EXIT_FAILURE);
}

/* How deep it has been is not known: the operating system ends a process that goes beyond. */
uint32_t vq_stack_peak(void) { return 0; }

uint32_t vq_stack_size(void) {
    struct rlimit limit;
    const int failed = getrlimit(RLIMIT_STACK, &limit);
    return failed || limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)limit.rlim_cur;
}
