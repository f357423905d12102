// What attn_time, attn_step and attn_rope share: how paths are dealt to clusters, and queries to groups; attention of one query in the
// reference.
#ifndef RP_OPS_ATTEND_H
#define RP_OPS_ATTEND_H

#include "op.h"

// Paths of a cluster: few where sets (of paths that share keys) are few, so that three quarters of the processors have a group; on all of
// them, clusters would wait for places side by side.
static inline uint64_t paths_of_cluster(uint32_t processors, uint64_t sets, uint32_t paths, uint32_t most) {
    const uint64_t places = processors * 3 / 4 / (RP_ATTN_SPREAD * sets), least = ceil_div(paths, most);
    return ceil_div(paths, places < least ? least : places > paths ? paths : places);
}

// Shared memory that a group of a cluster can have.
static inline uint64_t room_of_cluster(const rp_launch *out) { return out->wgmma ? RP_ATTN_SPREAD_MOST_90 : RP_ATTN_SPREAD_MOST; }

// Short contexts: as many queries a group as a set has, or RP_ATTN_SHORT, or there is room for: `shared` keys of all and `own` ones of each,
// numbers of so many bytes.
static inline void launch_queries(rp_launch *out, const char *kernel, uint64_t sets, uint32_t rows, uint32_t shared, uint32_t own, uint32_t d,
                                  uint32_t bytes) {
    const uint32_t least = 32 / RP_ATTN_SHORT_LANES;                     // of a warp
    uint32_t queries = RP_ATTN_SHORT;
    while (queries > least &&
           (queries / 2 >= rows || RP_ATTN_SHORT_BYTES(queries, shared + queries * own, d, bytes) > RP_ATTN_SHORT_ROOM)) { queries /= 2; }
    rp_launch_rows(out, kernel, sets * ceil_div(rows, queries), queries * RP_ATTN_SHORT_LANES);
    out->shared_bytes = RP_ATTN_SHORT_BYTES(queries, shared + queries * own, d, bytes);
}

// n keys and values, D apart, from elements k_at and v_at on.
typedef struct ref_run { const void *k, *v; size_t k_at, v_at; uint32_t n; } ref_run;

static inline double ref_score(double scale, uint32_t d, const double *q, const void *k, size_t at, bool f16) {
    double dot = 0;
    for (uint32_t j = 0; j < d; j++) { dot += q[j] * ref_get(k, at + j, f16); }
    return dot * scale;
}

// One query over two runs of keys, the prefix and the suffix. Scores are computed twice rather than stored: the reference
// allocates nothing while it runs.
static inline void ref_attend(double scale, uint32_t d, size_t D, const double *q, const ref_run *runs, bool f16, void *y, size_t at, bool y_f16) {
    double top = -INFINITY, sum = 0, value[RP_ATTN_HEAD_MAX] = { 0 };
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < runs[r].n; i++) { top = fmax(top, ref_score(scale, d, q, runs[r].k, runs[r].k_at + i * D, f16)); }
    }
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < runs[r].n; i++) {
            const double weight = exp(ref_score(scale, d, q, runs[r].k, runs[r].k_at + i * D, f16) - top);
            sum += weight;
            for (uint32_t j = 0; j < d; j++) { value[j] += weight * ref_get(runs[r].v, runs[r].v_at + i * D + j, f16); }
        }
    }
    for (uint32_t j = 0; j < d; j++) { ref_put(y, at + j, value[j] / sum, y_f16); }
}

#endif
