/* Empty functions around each inference: break points for any outside counter. */
#ifndef VQ_BENCH_H
#define VQ_BENCH_H

void vq_bench_begin(void);
void vq_bench_end(void);

#endif
