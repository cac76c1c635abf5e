/* Floating-point instructions of FPv4-SP: those of coprocessors 10 and 11. */
#ifndef VQ_THUMB_FP_H
#define VQ_THUMB_FP_H

#include "thumb_decode.h"

bool thumb_is_fp(unsigned first, unsigned second);
struct thumb_instruction thumb_decode_fp(unsigned first, unsigned second);

#endif
