#include "device.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "../../../runtime/rpc/server.h"
#include "vq/board.h"
#include "vq/stack.h"

uint8_t device_output[DEVICE_OUTPUT_BYTES];
uint32_t device_output_length;
uint32_t device_restarts;
int device_overflows_stack;

static struct vq_server server;
static uint32_t cycles;
static jmp_buf restart;

static void start(const struct vq_app *app, struct vq_fault fault) {
    memset(&server, 0, sizeof server);
    server.app = app;
    server.clock_hz = 1000000;
    server.cycles_source = VQ_CYCLES_DWT;
    server.fault = fault;
}

void device_start(const struct vq_app *app) {
    cycles = 0;
    device_restarts = 0;
    device_output_length = 0;
    device_overflows_stack = 0;
    start(app, (struct vq_fault){VQ_FAULT_NONE, 0});
}

void device_take(const uint8_t *bytes, uint32_t length) {
    volatile uint32_t next = 0;
    (void)setjmp(restart); /* the program goes on here with the next byte */
    while (next < length) {
        vq_server_take(&server, bytes[next++]);
    }
}

const char vq_board_name[] = "test";

void vq_board_put(uint8_t byte) {
    if (device_output_length == sizeof device_output) {
        abort(); /* too much was said */
    }
    device_output[device_output_length++] = byte;
}

uint32_t vq_board_receiver_errors(void) { return 5; }

/* Each look takes a cycle. */
uint32_t vq_cycles(void) { return ++cycles; }

uint32_t vq_stack_peak(void) { return device_overflows_stack ? 100 : 40; }

uint32_t vq_stack_size(void) { return 100; }

void vq_restart(struct vq_fault fault) {
    ++device_restarts;
    device_overflows_stack = 0;
    start(server.app, fault);
    longjmp(restart, 1);
}
