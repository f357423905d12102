// Attention of one query in the reference, what attn_time and attn_step share.
#ifndef RP_OPS_ATTEND_H
#define RP_OPS_ATTEND_H

#include "op.h"

// Keys and values [n, D], at one head's columns.
typedef struct ref_run { const double *k, *v; uint32_t n; } ref_run;

static inline double ref_score(double scale, uint32_t d, const double *q, const double *k) {
    double dot = 0;
    for (uint32_t j = 0; j < d; j++) { dot += q[j] * k[j]; }
    return dot * scale;
}

// One query over two runs of keys, the prefix and the suffix. Scores are computed twice rather than stored: the reference
// allocates nothing while it runs.
static inline void ref_attend(double scale, uint32_t d, size_t D, const double *q, const ref_run *runs, void *y, size_t at, bool f16) {
    double top = -INFINITY, sum = 0, value[RP_ATTN_HEAD_MAX] = { 0 };
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < runs[r].n; i++) { top = fmax(top, ref_score(scale, d, q, runs[r].k + i * D)); }
    }
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < runs[r].n; i++) {
            const double weight = exp(ref_score(scale, d, q, runs[r].k + i * D) - top);
            sum += weight;
            for (uint32_t j = 0; j < d; j++) { value[j] += weight * runs[r].v[i * D + j]; }
        }
    }
    for (uint32_t j = 0; j < d; j++) { ref_put(y, at + j, value[j] / sum, f16); }
}

#endif
