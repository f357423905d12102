// The parts that Kronos' graphs are made of; see kronos_blocks.c.
#ifndef RP_KRONOS_BLOCKS_H
#define RP_KRONOS_BLOCKS_H

#include "kronos.h"

#define KRONOS_EPSILON 1e-5f   // of every norm

// The rows that a pass works on: [B, S, n], and which bars they are.
typedef struct kronos_rows {
    uint32_t B, S, n;
    uint32_t kind;                      // RP_ROWS_*
    const kronos_window *window;
    uint32_t prefix;                    // N, capacity of the shared part; STEP and OWN
    uint32_t cap;                       // slots of the keys that this pass writes
} kronos_rows;

// Two passes whose rows lie one behind the other, [B N + B S n, D]: of what all paths of a series share, PROMPT, and of their own, OWN, which
// attend to the first's keys as well.
typedef struct kronos_both { kronos_rows shared, own; } kronos_both;

typedef struct kronos_builder {
    kronos_forecaster *f;
    const kronos_model *m;
    rp_graph *g;
} kronos_builder;

static inline uint32_t kronos_count(const kronos_rows *r) { return r->B * r->S * r->n; }

static inline uint32_t kronos_count_both(const kronos_both *r) { return kronos_count(&r->shared) + kronos_count(&r->own); }

rp_tensor *kronos_made(kronos_builder *b, rp_tensor *view);   // a view that the graph is to have; NULL fails the graph
rp_tensor *kronos_linear(kronos_builder *b, const char *label, rp_tensor *x, rp_tensor *w, rp_tensor *bias, rp_tensor *residual,
                         uint32_t m, uint32_t n, uint32_t k, rp_tensor *y);
// The model's last norm. f16: y is float16, for products alone to read.
rp_tensor *kronos_norm(kronos_builder *b, const char *label, rp_tensor *x, uint32_t rows, bool f16, rp_tensor *y);
void kronos_advance(kronos_builder *b, uint32_t what, uint32_t chunk_paths);
void kronos_slide(kronos_builder *b, const char *label, bool at_end, kronos_window *w);   // NULLs in w become activations

// A block of x [B, S, n, D]; its keys and values go to `own` (NULLs in it become activations), those of the shared part are in `shared`
// (PROMPT: not used).
rp_tensor *kronos_block(kronos_builder *b, const char *name, const kronos_rows *r, const kronos_part *c, const kronos_layer *w,
                        rp_tensor *rope, rp_tensor *x, kronos_keys *own, const kronos_keys *shared);
// The same for two passes, as a product each for all rows; keys and values live no longer than the block.
rp_tensor *kronos_block_both(kronos_builder *b, const char *name, const kronos_both *r, const kronos_part *c, const kronos_layer *w, rp_tensor *rope,
                             rp_tensor *x);
rp_tensor *kronos_rows_of(kronos_builder *b, const kronos_both *r, bool own, rp_tensor *x);   // one pass's rows of x
rp_dtype kronos_keys_dtype(const kronos_part *c, const kronos_layer *w);   // of `own` and `shared`
rp_dtype kronos_cross_dtype(const kronos_model *m);                        // likewise, of the cross-attention
// Only the keys and values, for what a last block's result is of no use.
void kronos_block_keys(kronos_builder *b, const char *name, const kronos_rows *r, const kronos_part *c, const kronos_layer *w,
                       rp_tensor *rope, rp_tensor *x, kronos_keys *own);

// Two tokens of each row, or the first alone, and its time -> x [B, S, n, D]; y, or where that is NULL a new activation.
rp_tensor *kronos_embed(kronos_builder *b, const kronos_rows *r, rp_tensor *tokens, bool s1_alone, rp_tensor *y);
// Two tokens of each row -> what the tokenizer's decoder blocks take.
rp_tensor *kronos_unpack(kronos_builder *b, const kronos_rows *r, rp_tensor *tokens);

// Draws both tokens of a bar for each path from c_last [B, S, D], the last bar's row, and s1_logits ([B, 2^s1_bits] where
// `one_row`). Keys of the cross-attention: `shared` [B, N, D], `own` [B, S, cap, D], to which keys and values of this step's bar, kv
// [B, S, 2, D], go first, or NULL. Moves the step on, unless `series` is RP_DRAW_SLIDING, and leaves the bar's row in d->drawn.
void kronos_draw_bar(kronos_builder *b, const kronos_rows *r, const kronos_decode *d, uint32_t series, rp_tensor *c_last,
                     rp_tensor *s1_logits, bool one_row, rp_tensor *kv, const kronos_keys *shared, const kronos_keys *own, kronos_taps *taps);

#endif
