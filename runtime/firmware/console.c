#include "console.h"

#include <string.h>

#include "vq/semihost.h"

static const char digits[] = "0123456789abcdef";

int32_t vq_console_out(void) { return vq_semihost_open(VQ_SEMIHOST_CONSOLE, VQ_SEMIHOST_WRITE); }

int32_t vq_console_error(void) { return vq_semihost_open(VQ_SEMIHOST_CONSOLE, VQ_SEMIHOST_APPEND); }

void vq_put_text(int32_t handle, const char *text) {
    vq_semihost_write(handle, text, (uint32_t)strlen(text));
}

void vq_put_decimal(int32_t handle, int32_t value) {
    char text[12]; /* of -2147483648 and its zero */
    char *first = &text[sizeof text - 1];
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    *first = '\0';
    do {
        *--first = digits[rest % 10u];
        rest /= 10u;
    } while (rest != 0);
    if (value < 0) {
        *--first = '-';
    }
    vq_put_text(handle, first);
}

void vq_put_word(int32_t handle, uint32_t value) {
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    vq_put_text(handle, "0x");
    vq_put_bytes(handle, bytes, sizeof bytes);
}

void vq_put_bytes(int32_t handle, const void *data, uint32_t bytes) {
    const uint8_t *byte = data;
    char text[32];
    uint32_t length = 0;
    for (uint32_t i = 0; i < bytes; ++i) {
        text[length++] = digits[byte[i] >> 4];
        text[length++] = digits[byte[i] & 15u];
        if (length == sizeof text || i + 1 == bytes) {
            vq_semihost_write(handle, text, length);
            length = 0;
        }
    }
}
