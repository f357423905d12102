// Which of the tiled attention kernels takes queries that share keys; kernels/attn_tiled.cuh, kernels/attn_teams.cuh.
#ifndef RP_OPS_ATTN_TILED_H
#define RP_OPS_ATTN_TILED_H

#include "attend.h"

// Their names: blocks of 64, 32 and 16 queries with heads of at most 64, and those for wider heads.
typedef struct attn_tiled_kernels { const char *large, *middle, *small, *wide, *widest; } attn_tiled_kernels;

// The largest blocks of queries of which there are enough for all processors.
static inline bool attn_launch_tiled(rp_launch *out, const attn_tiled_kernels *kernels, uint64_t sets, uint32_t tokens, uint32_t keys, uint32_t d) {
    const char *kernel = kernels->large;
    uint32_t rows = 8, teams = 1;
    if (!out->fast || d % 4 != 0) { return false; }
    if (d > 128) {
        kernel = kernels->widest, rows = 2;
    } else if (d > 64) {
        kernel = kernels->wide, rows = 4;
    } else if (sets * ceil_div(tokens, 32) < out->processors || (keys > RP_ATTN_TILE && sets * ceil_div(tokens, 64) < 2 * out->processors)) {
        const uint64_t tiles = ceil_div(keys, RP_ATTN_TILE), room = room_of_cluster(out);
        kernel = kernels->small, rows = 2, teams = 2;        // two join what they make; four where not many more blocks than processors are
        if (tiles > 2 && RP_ATTN_TILED_BYTES(rows, 4, d) <= room && sets * ceil_div(tokens, 16) <= 2 * out->processors) { teams = 4; }
    } else if (sets * ceil_div(tokens, 64) < 2 * out->processors) {
        kernel = kernels->middle, rows = 4;
    }
    rp_launch_rows(out, kernel, sets * ceil_div(tokens, RP_ATTN_TILED_SETS * rows), 128 * teams);
    out->shared_bytes = RP_ATTN_TILED_BYTES(rows, teams, d);
    return true;
}

// Those on matrix units, heads of at most RP_ATTN_MIXED_HEAD; kernels[i] is that of 2^i teams: the smallest blocks of queries that are at
// work all at once, if there are tiles for their teams.
static inline bool attn_launch_teams(rp_launch *out, const char *const *kernels, uint64_t sets, uint32_t tokens, uint32_t keys) {
    const uint64_t tiles = ceil_div(keys, RP_ATTN_TILE), room = room_of_cluster(out);
    uint32_t i = 0, teams = 1;
    if (!out->fast) { return false; }
    while (2 * teams <= RP_ATTN_TEAMS_MOST && 2 * teams <= tiles && RP_ATTN_TEAMS_BYTES(2 * teams, RP_ATTN_MIXED_HEAD) <= room &&
           sets * ceil_div(tokens, RP_ATTN_TEAMS_BLOCK(2 * teams)) <= out->processors) { i++, teams *= 2; }
    rp_launch_rows(out, kernels[i], sets * ceil_div(tokens, RP_ATTN_TEAMS_BLOCK(teams)), 2 * teams * RP_ATTN_TEAMS_BLOCK(teams));
    out->shared_bytes = RP_ATTN_TEAMS_BYTES(teams, RP_ATTN_MIXED_HEAD);
    return true;
}

#endif
