// Which launches of a decode step are a block, how it is dealt to clusters, and what a group of it has where in shared memory.
#include "step_block.h"

#include "ops/attend.h"

#define BEGUN 16                       // bytes that places begin at multiples of
#define QUERY RP_ATTN_FEW_QUERY(1)

static const struct rp_linear_params *product_of(const rp_launch *launch) { return (const void *)launch->params; }

static bool parts_are(const rp_launch *launches, uint32_t n, const rp_step_part *parts, uint32_t want) {
    if (n < want) { return false; }
    for (uint32_t i = 0; i < want; i++) {
        if (launches[i].step_part != parts[i]) { return false; }
    }
    return true;
}

// How things, so many, and rows are dealt to clusters: as many parts as there can be, evenly; then rows, to clusters that are left.
static void spread(rp_step_block *out, uint32_t things) {
    struct rp_step_block_args *a = &out->args;
    a->n_sums = a->m > 1 ? RP_STEP_SETS : RP_STEP_CLUSTERS;
    while (things % a->n_sums != 0) { a->n_sums--; }
    const uint32_t left = RP_STEP_CLUSTERS / a->n_sums, least = (uint32_t)ceil_div(a->m, RP_STEP_ROWS_OWN), most = left < a->m ? left : a->m;
    a->rows_own = (uint32_t)ceil_div(a->m, most > least ? most : least);
    out->groups = a->n_sums * (uint32_t)ceil_div(a->m, a->rows_own) * RP_STEP_RANKS, out->group = RP_STEP_GROUP;
}

// Deals a product to warps, chunks before blocks; false where one would have too many blocks.
static bool deal(struct rp_step_product *p, uint32_t k, uint32_t blocks) {
    const uint32_t turns = (uint32_t)ceil_div(blocks, 2), warps = RP_STEP_GROUP / 32;
    p->n_chunks = (uint32_t)ceil_div(k, RP_STEP_CHUNK), p->blocks = blocks;
    p->pitch = p->n_chunks * RP_STEP_CHUNK * 2 + RP_STEP_PAD;
    p->each = (uint32_t)ceil_div(p->n_chunks, RP_STEP_LANES);
    p->lanes_k = (uint32_t)ceil_div(p->n_chunks, p->each);
    p->lanes_n = warps / p->lanes_k < turns ? warps / p->lanes_k : turns;
    return ceil_div(turns, p->lanes_n) <= RP_STEP_TURNS;
}

// The same in float32: one chunk a warp.
static bool deal_pairs(struct rp_step_product *p, uint32_t k, uint32_t blocks, uint32_t most_turns) {
    if (k % RP_STEP_CHUNK != 0 || k / RP_STEP_CHUNK > RP_STEP_LANES || !deal(p, k, blocks)) { return false; }
    p->pitch = RP_STEP_PAIR_W(p->n_chunks);
    return ceil_div(ceil_div(blocks, 2), p->lanes_n) <= most_turns;
}

static void place(uint64_t *at, RP_UINT *to, uint64_t bytes) {
    *to = (RP_UINT)*at;
    *at += ceil_div(bytes, BEGUN) * BEGUN;
}

// In pairs, blocks go by twos.
static uint64_t sums_of(const struct rp_step_product *p, bool pairs) { return (pairs ? ceil_div(p->blocks, 2) * 2 : p->blocks) * p->lanes_k * 256; }

// Whether no two groups of this kind are to share a multiprocessor: of one row, "mlp in, mlp out", of several, attention. Then the next layer's,
// which comes early, is not in the way. On devices with the shared memory of compute capability 9.0.
static bool alone(const struct rp_step_block_args *a) { return (a->hidden > 0) == (a->m == 1); }

// What both kinds have in shared memory, of at most so many bytes; `more`: bytes of attention's that take the place of sums, or, in float32, of
// rows: paths' parts come when those are multiplied by all. Sums have the place of x there, as they are made when it is split.
static bool lay(rp_step_block *out, const rp_launch *first, uint64_t at, uint64_t more, uint64_t most) {
    struct rp_step_block_args *a = &out->args;
    const bool pairs = out->pairs;
    const uint64_t in = sums_of(&a->in, pairs), last = pairs ? 0 : sums_of(&a->out, pairs), sums = in > last ? in : last;
    place(&at, &a->in.weights, (uint64_t)a->in.blocks * 8 * a->in.pitch);
    place(&at, &a->out.weights, (uint64_t)a->out.blocks * 8 * a->out.pitch);
    const uint64_t rows = (uint64_t)a->rows_own * (pairs ? 2 * RP_STEP_PAIR_ROW(a->in.n_chunks) : a->in.pitch);
    if (pairs) { a->joined = (RP_UINT)at; }
    place(&at, &a->rows, pairs && more > rows ? more : rows);
    place(&at, &a->mid, (uint64_t)a->rows_own * (pairs ? RP_STEP_PAIR_MID(a->out.n_chunks) : a->out.pitch));
    if (pairs) {
        const uint64_t whole = (uint64_t)a->rows_own * a->d * 4;
        a->added = (RP_UINT)at;
        place(&at, &a->sums_at, sums > whole ? sums : whole);
    } else {
        place(&at, &a->added, (uint64_t)a->rows_own * a->d / RP_STEP_RANKS * 4);
        place(&at, &a->bias, ((uint64_t)a->in.blocks * 8 + a->d / RP_STEP_RANKS) * 4);
        place(&at, &a->sums_at, sums > more ? sums : more);
    }
    a->bytes = (RP_UINT)(first->wgmma > 0 && alone(a) && at < RP_STEP_ALONE ? RP_STEP_ALONE : at);
    a->n_made = a->n_sums * (pairs ? a->out.n_chunks : 1);
    if (pairs && a->n_made > (a->m > 1 ? RP_STEP_PARTS_SOME : RP_STEP_PARTS_ONE)) { return false; }
    return at <= most && at <= room_of_cluster(first);
}

// ---- wide ----

static bool is_wide(uint32_t m, uint32_t d) { return m > 1 && d > RP_STEP_WIDTH; }

// Deals a wide block's products to warps: the first one's k by slices, the second one's by chunks.
static bool deal_wide(struct rp_step_product *in, uint32_t d, uint32_t blocks, struct rp_step_product *out, uint32_t own) {
    const uint32_t chunks = (uint32_t)ceil_div(own, RP_STEP_CHUNK), warps = RP_STEP_WIDE_GROUP / 32;
    *in = (struct rp_step_product){ .n_chunks = d / RP_STEP_CHUNK, .pitch = d * 2, .blocks = blocks };
    *out = (struct rp_step_product){ .n_chunks = chunks, .pitch = chunks * RP_STEP_CHUNK * 2, .lanes_k = chunks, .lanes_n = warps / chunks, .blocks = d / 64 };
    return chunks <= warps;
}

// What both kinds have in shared memory; `more`: bytes of attention's that take the place of the first product's weights, as sums do.
static bool lay_wide(rp_step_block *out, const rp_launch *first, uint64_t at, uint64_t more) {
    struct rp_step_block_args *a = &out->args;
    const uint64_t sum = (uint64_t)a->m * 8 * 4;                     // of a block
    const uint64_t in_turn[] = { (uint64_t)a->in.blocks * 8 * a->in.pitch, a->in.blocks * RP_STEP_RANKS * sum, a->out.blocks * a->out.lanes_k * sum, more };
    uint64_t most = 0;
    for (uint32_t i = 0; i < 4; i++) { most = in_turn[i] > most ? in_turn[i] : most; }
    a->sums_at = (RP_UINT)at;
    place(&at, &a->in.weights, ceil_div(most, 128) * 128);
    place(&at, &a->out.weights, (uint64_t)a->out.blocks * 8 * a->out.pitch);
    place(&at, &a->rows, (uint64_t)RP_STEP_RANKS * RP_STEP_SLICE(a->m, RP_STEP_SLICE_ROW(RP_STEP_SLICE_K(a->d))));
    place(&at, &a->mid, (uint64_t)a->m * a->out.pitch);
    place(&at, &a->added, (uint64_t)a->m * a->d / RP_STEP_RANKS * 4);
    place(&at, &a->bias, ((uint64_t)a->in.blocks * 8 + a->d / RP_STEP_RANKS) * 4);
    const uint64_t units = (uint64_t)RP_STEP_WIDE_GROUP / 32 * 2 * 16 * 2 * a->attn.head_width;
    if (at + units <= room_of_cluster(first)) { place(&at, &a->tiles, units); }
    a->bytes = (RP_UINT)at, a->n_made = a->n_sums, a->rows_own = a->m;
    out->groups = a->n_sums * RP_STEP_RANKS, out->group = RP_STEP_WIDE_GROUP;
    return at <= room_of_cluster(first) && first->processors >= RP_STEP_WIDE_PROCESSORS;
}

static bool lay_wide_attention(const rp_launch *first, rp_step_block *out) {
    struct rp_step_block_args *a = &out->args;
    const struct rp_attn_step_params *p = &a->attn;
    a->n_sums = RP_STEP_WIDE_SETS;
    while (p->heads % a->n_sums != 0) { a->n_sums--; }
    const uint32_t width = p->head_width, heads = p->heads / a->n_sums, own = heads * width, warps = RP_STEP_WIDE_GROUP / 32, pieces = width / 4;
    const uint32_t blocks = (uint32_t)ceil_div(3 * own / 8, RP_STEP_RANKS), pairs = a->m * heads, per = (uint32_t)ceil_div(pairs, RP_STEP_RANKS);
    if (width > 64 || width % 4 != 0 || own % 8 != 0 || warps % heads != 0 || blocks > RP_STEP_WIDE_ATTENTION) { return false; }
    // As above, an invocation takes one result of the first product, one piece of a head, and one of those that are joined.
    if (blocks * 8 * a->m > RP_STEP_WIDE_GROUP || RP_STEP_RANKS * per * pieces > RP_STEP_WIDE_GROUP) { return false; }
    if (!deal_wide(&a->in, a->d, blocks, &a->out, own)) { return false; }
    uint64_t at = RP_STEP_WIDE_BEGIN;
    place(&at, &a->sent, (uint64_t)a->m * 3 * own * 2);
    place(&at, &a->queries, (uint64_t)heads * 16 * QUERY * 2);
    place(&at, &a->fresh, (uint64_t)pairs * 2 * width * 2);
    place(&at, &a->tops, (uint64_t)warps * RP_ATTN_FEW * 8);
    place(&at, &a->angles_at, (uint64_t)width * 4);
    place(&at, &a->joined, (uint64_t)RP_STEP_RANKS * per * (width + 4) * 4);
    return lay_wide(out, first, ceil_div(at, 128) * 128, (uint64_t)warps * a->m * RP_ATTN_FEW_PITCH * 4);
}

static bool lay_wide_mlp(const rp_launch *first, rp_step_block *out) {
    struct rp_step_block_args *a = &out->args;
    a->n_sums = RP_STEP_WIDE_HIDDEN;               // evenly but for one block of eight
    const uint32_t own = (uint32_t)ceil_div(a->hidden / 8, a->n_sums), blocks = 2 * (uint32_t)ceil_div(own, RP_STEP_RANKS);
    if (blocks > RP_STEP_WIDE_MLP || blocks * 4 * a->m > RP_STEP_WIDE_GROUP) { return false; }
    return deal_wide(&a->in, a->d, blocks, &a->out, own * 8) && lay_wide(out, first, RP_STEP_WIDE_BEGIN, 0);
}

// Rows of x that any kind can have: four columns an invocation; a group keeps an eighth of them, in whole blocks.
static bool rows_fit(const rp_launch *first, uint32_t m, uint32_t d) {
    return first->clusters && m > 0 && m <= RP_STEP_ROWS && d % 64 == 0 && d <= 4 * RP_STEP_GROUP;
}

static bool lay_mixed_attention(const rp_launch *first, rp_step_block *out) {
    struct rp_step_block_args *a = &out->args;
    const struct rp_attn_step_params *p = &a->attn;
    const uint32_t width = p->head_width, heads = p->heads / a->n_sums, own = heads * width, warps = RP_STEP_GROUP / 32;
    const uint64_t pairs = (uint64_t)a->rows_own * heads, per = ceil_div(pairs, RP_STEP_RANKS), pieces = width / 4;
    if (width > 64 || width % 4 != 0 || own % 8 != 0 || warps % heads != 0) { return false; }
    if (!deal(&a->in, a->d, (uint32_t)ceil_div(3 * own / 8, RP_STEP_RANKS)) || !deal(&a->out, own, a->d / 64)) { return false; }
    // An invocation takes one result of the first product, one piece of a head, and one of those that are joined.
    const uint64_t most = pairs > RP_STEP_RANKS * per ? pairs : RP_STEP_RANKS * per;
    if (a->in.blocks * 8 * a->rows_own > RP_STEP_GROUP || most * pieces > RP_STEP_GROUP) { return false; }
    uint64_t at = RP_STEP_BEGIN;
    place(&at, &a->sent, (uint64_t)a->rows_own * 3 * own * 2);
    place(&at, &a->queries, (uint64_t)heads * 16 * QUERY * 2);
    place(&at, &a->fresh, pairs * 2 * width * 2);
    place(&at, &a->tops, (uint64_t)warps * RP_STEP_ROWS_OWN * 8);
    place(&at, &a->angles_at, width * 4);
    place(&at, &a->joined, RP_STEP_RANKS * per * (width + 4) * 4);
    return lay(out, first, at, (uint64_t)warps * a->rows_own * RP_ATTN_FEW_PITCH * 4, RP_STEP_BYTES);
}

// A cluster takes one head, whose columns are one chunk. Tiles that are all prompt count once, others for each row; there are places for all.
static bool lay_pair_attention(const rp_launch *first, rp_step_block *out) {
    struct rp_step_block_args *a = &out->args;
    const struct rp_attn_step_params *p = &a->attn;
    const uint64_t cap = (uint64_t)p->prefix_cap + p->suffix_cap, d = p->head_width, tile = RP_ATTN_TILE, shared = a->rows_own > 1 ? p->prefix_cap / tile : 0;
    const uint64_t works = a->rows_own > 1 ? shared + a->rows_own * ceil_div(p->suffix_cap + tile - 1, tile) : ceil_div(cap, tile);
    if (d != RP_STEP_CHUNK || p->heads != a->n_sums || !deal_pairs(&a->in, a->d, 3, RP_STEP_TURNS) || !deal_pairs(&a->out, (uint32_t)d, a->d / 64, 1)) {
        return false;
    }
    a->places = (RP_UINT)ceil_div(works, RP_STEP_RANKS), a->room = (RP_UINT)ceil_div(cap, tile);
    uint64_t at = RP_STEP_BEGIN;
    place(&at, &a->sent, (uint64_t)a->rows_own * 3 * d * 4);
    place(&at, &a->queries, (uint64_t)a->rows_own * d * 4);
    place(&at, &a->shared, RP_ATTN_STEP_WEIGHTS((uint64_t)a->rows_own, p->prefix_cap) * 4);
    place(&at, &a->tiles, a->places * RP_ATTN_STEP_PLACE(d) * 4);
    return lay(out, first, at, RP_ATTN_SPREAD_JOINED((uint64_t)a->rows_own, a->room, d) * 4, RP_STEP_BYTES_PAIR);
}

static bool lay_attention(const rp_launch *launches, rp_step_block *out) {
    static const char *const kernels[2][2] = { { "step_attention_mixed_one", "step_attention_mixed" }, { "step_attention_pair_one", "step_attention_pair" } };
    const struct rp_linear_params *in = product_of(&launches[0]), *last = product_of(&launches[2]);
    const struct rp_attn_step_params *p = (const void *)launches[1].params;
    const uint32_t d = in->k, m = in->m;
    if (!rows_fit(&launches[0], m, d) || p->batch != 1 || p->paths != m || p->heads * p->head_width != d || in->n != 3 * d || last->m != m ||
        last->n != d || last->k != d || in->w_pairs != last->w_pairs || in->w_pairs == p->f16) {
        return false;
    }
    *out = (rp_step_block){ .n = 3, .kernel = kernels[in->w_pairs][m > 1], .op = RP_OP_ATTN_STEP, .pairs = in->w_pairs,
                            .args = { .attn = *p, .m = m, .d = d, .eps = in->eps, .inverse_d = 1 / (float)d } };
    if (is_wide(m, d)) {
        out->kernel = RP_STEP_SLICE_K(d) > 2 ? "step_attention_wide" : "step_attention_wide_half";
        return !out->pairs && lay_wide_attention(&launches[0], out);
    }
    spread(out, p->heads);
    return out->pairs ? lay_pair_attention(launches, out) : lay_mixed_attention(launches, out);
}

static bool lay_mlp(const rp_launch *launches, rp_step_block *out) {
    static const char *const kernels[2][2] = { { "step_mlp_mixed_one", "step_mlp_mixed" }, { "step_mlp_pair_one", "step_mlp_pair" } };
    const struct rp_linear_params *in = product_of(&launches[0]), *last = product_of(&launches[1]);
    const uint32_t d = in->k, m = in->m, hidden = in->n / 2;
    const bool pairs = in->w_pairs;
    if (!rows_fit(&launches[0], m, d) || last->m != m || last->n != d || last->k != hidden || hidden % 64 != 0 || last->w_pairs != in->w_pairs) {
        return false;
    }
    *out = (rp_step_block){ .n = 2, .kernel = kernels[pairs][m > 1], .op = RP_OP_LINEAR, .pairs = pairs,
                            .args = { .m = m, .d = d, .hidden = hidden, .eps = in->eps, .inverse_d = 1 / (float)d } };
    struct rp_step_block_args *a = &out->args;
    if (is_wide(m, d)) {
        out->kernel = RP_STEP_SLICE_K(d) > 2 ? "step_mlp_wide" : "step_mlp_wide_half";
        return !pairs && lay_wide_mlp(&launches[0], out);
    }
    spread(out, hidden / 64);
    const uint32_t own = hidden / a->n_sums, blocks = own / 64 * 2;
    if (pairs ? !deal_pairs(&a->in, d, blocks, RP_STEP_TURNS) || !deal_pairs(&a->out, own, d / 64, 1) : !deal(&a->in, d, blocks) || !deal(&a->out, own, d / 64)) {
        return false;
    }
    return a->in.blocks * 4 * a->rows_own <= RP_STEP_GROUP && lay(out, launches, RP_STEP_BEGIN, 0, RP_STEP_BYTES);
}

bool rp_step_block_lay(const rp_launch *launches, uint32_t n, rp_step_block *out) {
    static const rp_step_part attention[] = { RP_STEP_PROJECT, RP_STEP_ATTEND, RP_STEP_ADD }, mlp[] = { RP_STEP_GATE, RP_STEP_ADD };
    if (parts_are(launches, n, attention, 3)) { return lay_attention(launches, out); }
    return parts_are(launches, n, mlp, 2) && lay_mlp(launches, out);
}
