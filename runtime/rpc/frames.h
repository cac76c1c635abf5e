/* Frames of the link (docs/protocol.md): consistent overhead byte stuffing and a CRC-32. */
#ifndef VQ_RPC_FRAMES_H
#define VQ_RPC_FRAMES_H

#include <stdint.h>

/* The largest payload; each board has its own. */
#ifndef VQ_RPC_PAYLOAD
#define VQ_RPC_PAYLOAD 1024
#endif

enum { VQ_FRAME_HEADER_BYTES = 6, VQ_FRAME_CRC_BYTES = 4 };

/* The one frame under way: a request as it comes in, then its answer in the same bytes. */
struct vq_frame {
    /*  0      1        2 3       4 5        6 ...
     * kind | status | session | sequence | payload, then the CRC-32 */
    uint8_t bytes[VQ_FRAME_HEADER_BYTES + VQ_RPC_PAYLOAD + VQ_FRAME_CRC_BYTES];
    uint32_t length;      /* bytes that are there */
    uint8_t block_left;   /* of a block of the stuffing: bytes still to come, ... */
    uint8_t zero_follows; /* ... and whether a zero follows it, unless the frame ends there */
    uint8_t has_begun;    /* since the last zero byte on the line */
    uint8_t is_damaged;   /* too long, or ended inside a block */
};

enum vq_frame_state {
    VQ_FRAME_UNFINISHED,
    VQ_FRAME_WHOLE,   /* `length` is without the CRC, and at least VQ_FRAME_HEADER_BYTES */
    VQ_FRAME_DAMAGED, /* and dropped */
};

/* Takes the next byte of the line. A frame starts out as all zeros. */
enum vq_frame_state vq_frame_take(struct vq_frame *frame, uint8_t byte);

/* Adds a CRC to the `length` bytes, header and payload, and sends all by vq_board_put(). */
void vq_frame_send(struct vq_frame *frame);

#endif
