/* A device on this computer whose link is memory: what the server needs of board and core. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

#include "vq/app.h"

enum { DEVICE_OUTPUT_BYTES = 1 << 16 };

/* What the device has said since it was emptied by setting the length to 0. */
extern uint8_t device_output[DEVICE_OUTPUT_BYTES];
extern uint32_t device_output_length;

/* How often it restarted. */
extern uint32_t device_restarts;

/* What the server hears of the stack after the next run. */
extern int device_overflows_stack;

/* Power on. */
void device_start(const struct vq_app *app);

void device_take(const uint8_t *bytes, uint32_t length);

#endif
