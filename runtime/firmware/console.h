/* Text to a semihosting handle, without printf. */
#ifndef VQ_CONSOLE_H
#define VQ_CONSOLE_H

#include <stdint.h>

/* Standard output: results. */
int32_t vq_console_out(void);

/* Standard error: one line that says what went wrong. */
int32_t vq_console_error(void);

void vq_put_text(int32_t handle, const char *text);
void vq_put_decimal(int32_t handle, int32_t value);

/* As 0x and eight digits. */
void vq_put_word(int32_t handle, uint32_t value);

/* Two lower-case digits a byte, in the order of memory. */
void vq_put_bytes(int32_t handle, const void *data, uint32_t bytes);

#endif
