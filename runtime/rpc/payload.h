/* Numbers and texts of a frame's payload, which are aligned to nothing. */
#ifndef VQ_RPC_PAYLOAD_H
#define VQ_RPC_PAYLOAD_H

#include <string.h>

#include "frames.h"
#include "vq/app.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers go onto the line as they are");

static inline uint16_t vq_get_u16(const uint8_t *bytes) {
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t vq_get_u32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* All that is put comes behind what is there. Only hello could exceed the payload: vq_app.c is not
 * compiled where it does. */
static inline void vq_put(struct vq_frame *frame, const void *data, uint32_t bytes) {
    memcpy(&frame->bytes[frame->length], data, bytes);
    frame->length += bytes;
}

static inline void vq_put_u16(struct vq_frame *frame, uint32_t value) { vq_put(frame, &value, 2); }

static inline void vq_put_u32(struct vq_frame *frame, uint32_t value) { vq_put(frame, &value, 4); }

static inline void vq_put_sizes(struct vq_frame *frame, const struct vq_tensor *tensors,
                                uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        vq_put_u32(frame, tensors[i].bytes);
    }
}

static inline void vq_put_text(struct vq_frame *frame, const char *text) {
    do {
        vq_put(frame, text, 1);
    } while (*text++ != '\0');
}

#endif
