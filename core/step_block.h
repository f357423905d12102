// Launches of a decode step that one CUDA kernel does together: a layer's "qkv, attention, attention out", and its "mlp in, mlp out", of few
// rows in precision mixed (kernels/step_block.cuh, step_wide.cuh), or in float32 with weights in pairs (step_pair.cuh). Read by C and CUDA alike.
//
// From one launch to the next takes a microsecond, from one group of a cluster to another a third of that. So a cluster of RP_STEP_RANKS groups
// takes some of a layer's heads, or of its hidden numbers, all the way to what they add to the residual stream; the clusters' parts of
// that are added by whoever reads it next, in their order. Memory of x itself is written then. In float32 parts are sums of one chunk of k each,
// so that whoever adds them has the bits of the launches.
#ifndef RP_STEP_BLOCK_H
#define RP_STEP_BLOCK_H

#include "op_params.h"

#define RP_STEP_RANKS 8            // groups of a cluster
#define RP_STEP_CLUSTERS 8         // at most
#define RP_STEP_SETS 4             // of heads, or hidden numbers, at most, where there are several rows: every group reads what each set made of
                                   // its rows; clusters beyond the sets share the rows
#define RP_STEP_ROWS 16            // rows of x, at most
#define RP_STEP_ROWS_OWN 8         // and of a cluster
#define RP_STEP_WIDTH 256          // columns of x, at most, where there are several rows and a warp takes one; of more, see below
#define RP_STEP_GROUP 256          // invocations of a group
#define RP_STEP_CHUNK 64           // of k: what a warp multiplies at once
#define RP_STEP_TURNS 2            // pairs of blocks of eight columns of a warp, at most
#define RP_STEP_LANES 8            // warps side by side along k, at most
#define RP_STEP_PAD 64             // bytes between rows in shared memory, beyond whole chunks
#define RP_STEP_BYTES 115712u      // of shared memory, at most, so that two groups have room on a multiprocessor: (228 - 2) / 2 KB
#define RP_STEP_ALONE 116736u      // and at least, so that two have none
#define RP_STEP_BYTES_PAIR 180224u // in float32 at most, of attention, whose tiles of keys take more
#define RP_STEP_PARTS_ONE 16       // in float32: parts at most, of one row, and of several
#define RP_STEP_PARTS_SOME 8
#define RP_STEP_PAIR_ROW(chunks) ((chunks) * 128 + 32)   // and in shared memory bytes from one row to the next, of x as one of a pair,
#define RP_STEP_PAIR_MID(chunks) ((chunks) * 256 + 64)   // of what the second product multiplies,
#define RP_STEP_PAIR_W(chunks) ((chunks) * 256 + 16)     // and of weights
#define RP_STEP_BEGIN 1024         // bytes of shared memory in front: barriers, and rows' sums of squares

// Wide blocks, of several rows of more columns, in mixed (kernels/step_wide.cuh): a group may take a multiprocessor's shared memory, and of such
// clusters a device of 132 has places for 15, which a layer's two blocks share. A cluster takes all rows; each of its groups sums up a slice of them.
#define RP_STEP_WIDE_PROCESSORS 120
#define RP_STEP_WIDE_GROUP 512     // invocations of a group
#define RP_STEP_WIDE_HALF 512      // columns up to which slices are of half the width
#define RP_STEP_WIDE_SETS 8        // of heads, at most
#define RP_STEP_WIDE_HIDDEN 7      // and of hidden numbers
#define RP_STEP_WIDE_ATTENTION 6   // blocks of eight columns of the first product of a group, at most
#define RP_STEP_WIDE_MLP 10
#define RP_STEP_TURN 64            // bytes by which the halves of 128 change places in every other row in shared memory
#define RP_STEP_WIDE_BEGIN 128     // bytes of shared memory in front: barriers
#define RP_STEP_SLICE_K(d) ((d) > RP_STEP_WIDE_HALF ? 4 : 2)                // of a slice: thirty-twos of k, where x is followed by zeros,
#define RP_STEP_SLICE_ROW(thirty_twos) ((thirty_twos) * 64)                 // bytes from one row to the next,
#define RP_STEP_HEADS(m) (((m) * 8 + 15) / 16 * 16)                         // two numbers of each row in front,
#define RP_STEP_SLICE(m, row) (RP_STEP_HEADS(m) + (m) * (row))              // and all of it

// A product of a group: weights [n, k] float16, or in pairs of it, of which it takes blocks of eight rows and so many chunks of k.
struct rp_step_product {
    RP_UINT n_chunks, pitch;       // of k; bytes from one row of weights, or of x, to the next in shared memory
    RP_UINT lanes_k, each;         // warps side by side along k, each with so many chunks
    RP_UINT lanes_n;               // and along blocks
    RP_UINT blocks;                // of eight columns, of the group that has most
    RP_UINT weights;               // where they lie in shared memory, in bytes
};

struct rp_step_block_args {
    uint64_t parts;                // [n_parts, m, d] float32, whose sum is x
    uint64_t x;                    // [m, d] float32, to be written; 0: it is `parts`
    uint64_t sums;                 // [n_sums, m, d] float32: parts of what comes out
    uint64_t scale;                // of the norm, [d] float32
    uint64_t w_in, bias_in, y_in;  // float16 [3 d, d], or gated [2 f, d]; float32, 0: none; float16 [m, 3 d], or [m, f]
    uint64_t w_out, bias_out;      // float16 [d, d], or [d, f]; float32 [d], 0: none
    // In float32: w_in's and w_out's row_scale; of the product that left the parts, and x before it, [m, d], 0: the one part is x itself; where x goes
    // for whoever adds this block's parts, behind them.
    uint64_t scale_in, part_scale, part_bias, residual, kept;
    uint64_t angles, prefix, own, n_tokens, step, y;   // of attention: bindings 1, 2, 6, 4, 5 and 7 of attn_step
    struct rp_attn_step_params attn;
    RP_UINT m, d, n_parts;         // n_parts: that x is the sum of
    RP_UINT n_sums, n_made;        // sets of heads, or of hidden numbers; parts that it makes: one of each, or, in float32, of each of its chunks
    RP_UINT rows_own;              // rows of a cluster, but for the last ones
    RP_UINT hidden;                // f; attention: 0
    RP_UINT bytes;                 // of shared memory
    float eps, inverse_d;
    struct rp_step_product in, out;
    // Where these lie in shared memory, in bytes: x as float16 [m], in.pitch apart; the group's own columns of it, float32 [m, d / 8]; what the
    // second product multiplies, float16 [m], out.pitch apart; biases of both products' columns; sums of products, or values of warps.
    RP_UINT rows, added, mid, bias, sums_at;
    // Attention, with h heads a cluster: q, k and v as they come, float16 [m, 3, h, width]; queries, float16 [h, 16, 72]; new keys and values,
    // float16 [m, h, 2, width]; maxima and sums [warps, RP_STEP_ROWS_OWN, 2]; what the group's paths are joined from; angles [width].
    RP_UINT sent, queries, fresh, tops, joined, angles_at;
    // Wide (step_wide.cuh): `rows` are slices, sums and values of warps have the place of the first product's weights, `tops` has 16 rows a warp, and
    // `tiles` are each warp's second unit of keys and values, float16 [warps, 2, 16, width]; 0: there is no room.
    // In float32 (step_pair.cuh): `rows` are [2, m], `added` is all of x; q, k and v, and queries, are float32, and there are tiles of keys and values
    // (attn_step_tiles.cuh): weights of tiles that are all prompt, so many places, and tiles of a path at most.
    RP_UINT shared, tiles, places, room;
};

// [parts, m, d] to x, one kernel's worth: what stands after the last block.
struct rp_step_sum_args {
    uint64_t parts, x;
    uint64_t scale, bias, residual;// in float32, as part_scale, part_bias and residual above; 0: none
    RP_UINT n_parts, count, d;     // count: m d
};

#ifndef __CUDACC__
#include "graph.h"

// What of a block a launch can be, as far as its own parameters say: qkv, attention, "attention out" or "mlp out", "mlp in".
typedef enum rp_step_part { RP_STEP_NONE, RP_STEP_PROJECT, RP_STEP_ATTEND, RP_STEP_ADD, RP_STEP_GATE } rp_step_part;

typedef struct rp_step_block {
    uint32_t n;                    // launches that it stands for: 3 or 2
    const char *kernel;
    rp_op op;                      // whose module has it
    uint32_t groups;               // in clusters of RP_STEP_RANKS
    uint32_t group;                // invocations of each
    bool pairs;                    // in float32
    struct rp_step_block_args args;// but for addresses, n_parts and x
} rp_step_block;

// Whether the first of n launches that follow each other are such a block. No address is looked at.
bool rp_step_block_lay(const rp_launch *launches, uint32_t n, rp_step_block *out);
#endif

#endif
