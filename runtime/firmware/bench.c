#include "vq/bench.h"

/* `noipa`, since GCC drops the calls of an empty function that is merely `noinline`. */
__attribute__((noipa)) void vq_bench_begin(void) {}

__attribute__((noipa)) void vq_bench_end(void) {}
