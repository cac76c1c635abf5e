#include "fake_layers.h"

#define FAKE_WEIGHTS_BYTES 15

const int8_t fake_weights[FAKE_WEIGHTS_BYTES] = {1,  -2, 3,   -4,  5,    -6,  7,  -8,
                                                 16, 32, 100, 127, -128, -64, 111};
