/* What the link's firmware needs of a board: its clocks, and a UART at VQ_BAUD, 8 data bits, no
 * parity, 1 stop bit. A port is runtime/boards/<board>/board.c. Nothing here waits for good. */
#ifndef VQ_BOARD_H
#define VQ_BOARD_H

#include <stdint.h>

/* As the command line calls it. */
extern const char vq_board_name[];

/* Sets up clocks, pins and UART after reset. Returns the core's clock in Hz: the one that it really
 * has, where a crystal or PLL did not start. */
uint32_t vq_board_open(void);

/* The next byte that was received, or -1 where there is none now. */
int32_t vq_board_get(void);

/* Sends a byte as soon as there is room; drops it where there is none for too long. */
void vq_board_put(uint8_t byte);

/* Bytes that the UART lost or damaged since it was opened, as far as it tells: overruns, framing,
 * noise. */
uint32_t vq_board_receiver_errors(void);

#endif
