#include "frames.h"

#include <string.h>

#include "vq/board.h"

/* A block of the stuffing has at most this many bytes, none of them zero; a full one has no zero
 * behind it. */
enum { BLOCK_BYTES = 254 };

/* The CRC of Ethernet, bits from the lowest to the highest, four at a time: a table of 64 bytes. */
static uint32_t crc32(const uint8_t *bytes, uint32_t length) {
    static const uint32_t nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                         0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                         0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                         0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffffu;
    for (uint32_t i = 0; i < length; ++i) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ nibbles[crc & 15u];
        crc = crc >> 4 ^ nibbles[crc & 15u];
    }
    return ~crc;
}

static void append(struct vq_frame *frame, uint8_t byte) {
    if (frame->length == sizeof frame->bytes) {
        frame->is_damaged = 1;
    } else {
        frame->bytes[frame->length++] = byte;
    }
}

/* The line had a zero byte: judges what was before it, and starts anew. */
static enum vq_frame_state end(struct vq_frame *frame) {
    const uint8_t has_begun = frame->has_begun;
    const uint8_t is_damaged = frame->is_damaged || frame->block_left != 0;
    const uint32_t length = frame->length;
    frame->length = 0;
    frame->block_left = 0;
    frame->zero_follows = 0;
    frame->has_begun = 0;
    frame->is_damaged = 0;
    if (!has_begun) {
        return VQ_FRAME_UNFINISHED;
    }
    if (is_damaged || length < VQ_FRAME_HEADER_BYTES + VQ_FRAME_CRC_BYTES) {
        return VQ_FRAME_DAMAGED;
    }
    const uint32_t covered = length - VQ_FRAME_CRC_BYTES;
    const uint32_t expected = crc32(frame->bytes, covered);
    if (memcmp(&frame->bytes[covered], &expected, sizeof expected) != 0) {
        return VQ_FRAME_DAMAGED;
    }
    frame->length = covered;
    return VQ_FRAME_WHOLE;
}

enum vq_frame_state vq_frame_take(struct vq_frame *frame, uint8_t byte) {
    if (byte == 0) {
        return end(frame);
    }
    if (!frame->has_begun) {
        /* the last frame's answer may have been here */
        frame->length = 0;
        frame->has_begun = 1;
    }
    if (frame->block_left != 0) {
        --frame->block_left;
        append(frame, byte);
        return VQ_FRAME_UNFINISHED;
    }
    /* the head of a block: one more than the bytes that follow */
    if (frame->zero_follows) {
        append(frame, 0);
    }
    frame->block_left = (uint8_t)(byte - 1);
    frame->zero_follows = byte <= BLOCK_BYTES;
    return VQ_FRAME_UNFINISHED;
}

void vq_frame_send(struct vq_frame *frame) {
    const uint32_t crc = crc32(frame->bytes, frame->length);
    memcpy(&frame->bytes[frame->length], &crc, sizeof crc);
    const uint8_t *next = frame->bytes;
    const uint8_t *const last = &frame->bytes[frame->length + VQ_FRAME_CRC_BYTES];
    vq_board_put(0);
    for (;;) {
        uint32_t count = 0;
        while (count < BLOCK_BYTES && next + count < last && next[count] != 0) {
            ++count;
        }
        vq_board_put((uint8_t)(count + 1));
        for (uint32_t i = 0; i < count; ++i) {
            vq_board_put(next[i]);
        }
        next += count;
        if (next == last) {
            break;
        }
        if (count < BLOCK_BYTES) {
            ++next; /* the zero behind the block; if it is the last byte, an empty block follows */
        }
    }
    vq_board_put(0);
    frame->length = 0;
}
