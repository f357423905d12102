// kernel draw_token_f32
// draw_token: one of n tokens by its logit, by temperature, top-k and top-p, a workgroup for each path; core/ops/draw_token.c is
// its definition.
#version 460
#define PARAMS rp_draw_token_params
#include "common.glsl"
#include "op_math.h"

layout(local_size_x = RP_GROUP_DRAW) in;

#define EACH (RP_DRAW_MAX / RP_GROUP_DRAW)               // elements that one invocation holds, at most

// 16 KiB, all that every Vulkan device offers; so each serves in turn. Floats are kept by their bits.
shared uint draw_value[RP_DRAW_MAX];                     // z in the order of `draw_token`; then e by number of token
shared uint draw_other[RP_DRAW_MAX];                     // numbers of tokens; then sums and maxima, and the answer

#define FOUND (2 * RP_GROUP_DRAW)                        // in draw_other, behind what draw_scan takes: the token found,
#define LAST (2 * RP_GROUP_DRAW + 1)                     // and the last that is kept

float value_at(uint i) { return uintBitsToFloat(draw_value[i]); }

// The inclusive scan by doubling of one number of each invocation, as core/op_params.h lays down: the sum before this
// invocation's, and the whole. All invocations call; draw_other must be free.
float draw_scan(float value, out float before) {
    uint i = gl_LocalInvocationID.x, side = 0;
    precise float x = value;
    for (uint stride = 1; stride < RP_GROUP_DRAW; stride *= 2) {
        draw_other[side + i] = floatBitsToUint(x);
        barrier();                                       // this round's numbers are there before any is read; the next
        if (i >= stride) { x = uintBitsToFloat(draw_other[side + i - stride]) + x; }   // round writes on the other side
        side = RP_GROUP_DRAW - side;
    }
    draw_other[side + i] = floatBitsToUint(x);
    barrier();                                           // as above
    before = i > 0 ? uintBitsToFloat(draw_other[side + i - 1]) : 0.0;
    float whole = uintBitsToFloat(draw_other[side + RP_GROUP_DRAW - 1]);
    barrier();                                           // draw_other is read before it serves the next
    return whole;
}

// The largest of one number of each invocation. All call; draw_other must be free.
float draw_max(float value) {
    uint i = gl_LocalInvocationID.x;
    draw_other[i] = floatBitsToUint(value);
    barrier();                                           // all numbers are there before the halving reads them
    for (uint half_n = RP_GROUP_DRAW / 2; half_n > 0; half_n /= 2) {
        if (i < half_n) {
            draw_other[i] = floatBitsToUint(max(uintBitsToFloat(draw_other[i]), uintBitsToFloat(draw_other[i + half_n])));
        }
        barrier();                                       // this half is there before half of it goes on
    }
    float top = uintBitsToFloat(draw_other[0]);
    barrier();                                           // as in draw_scan
    return top;
}

// Puts draw_value[0 .. size) in falling order with the numbers of tokens beside it, the lower number first among equals; size
// is a power of two. Bitonic sorting network (Batcher 1968, "Sorting networks and their applications").
void draw_sort(uint size) {
    for (uint run = 2; run <= size; run *= 2) {
        for (uint apart = run / 2; apart > 0; apart /= 2) {
            for (uint pair = gl_LocalInvocationID.x; pair < size / 2; pair += RP_GROUP_DRAW) {
                uint i = 2 * pair - (pair & (apart - 1)), j = i + apart;
                uint z_i = draw_value[i], z_j = draw_value[j], token_i = draw_other[i], token_j = draw_other[j];
                float a = uintBitsToFloat(z_i), b = uintBitsToFloat(z_j);
                bool i_first = a > b || (a == b && token_i < token_j);
                if (i_first != ((i & run) == 0)) {
                    draw_value[i] = z_j, draw_value[j] = z_i;
                    draw_other[i] = token_j, draw_other[j] = token_i;
                }
            }
            barrier();                                   // these exchanges are done before the next read what they left
        }
    }
}

// Sets draw_value to e of the kept tokens, by number, and 0 for the others. In it stand z by number.
void draw_keep(uint n, float top, uint top_k, float top_p) {
    uint i = gl_LocalInvocationID.x, q = (n + RP_GROUP_DRAW - 1) / RP_GROUP_DRAW, size = 2;
    while (size < n) { size *= 2; }
    for (uint j = i; j < size; j += RP_GROUP_DRAW) {
        draw_other[j] = j;
        if (j >= n) { draw_value[j] = floatBitsToUint(NEG_INFINITY); }   // behind all tokens
    }
    barrier();                                           // all is in place before it is sorted
    draw_sort(size);
    float least = value_at(max(top_k, 1u) - 1);          // for top-k alone, whose k is below n
    float e[EACH];
    uint token[EACH];
    [[unroll]] for (uint c = 0; c < EACH; c++) {
        uint at = i * q + c;
        bool there = c < q && at < n;
        float z = there ? value_at(at) : NEG_INFINITY;
        token[c] = there ? draw_other[at] : n;
        e[c] = there && (top_k == 0 || z >= least) ? rp_exp(z - top) : 0.0;
    }
    barrier();                                           // everyone holds its own before both arrays serve the next
    if (top_k == 0) {
        precise float sum = 0.0;
        [[unroll]] for (uint c = 0; c < EACH; c++) { sum = sum + e[c]; }
        float before;
        precise float limit = top_p * draw_scan(sum, before);
        sum = 0.0;
        [[unroll]] for (uint c = 0; c < EACH; c++) {
            precise float below = before + sum;
            sum = sum + e[c];
            if (i * q + c > 0 && !(below <= limit)) { e[c] = 0.0; }
        }
    }
    [[unroll]] for (uint c = 0; c < EACH; c++) {
        if (token[c] < n) { draw_value[token[c]] = floatBitsToUint(e[c]); }
    }
    barrier();                                           // every e is there before it is summed by number
}

void main() {
    InFloats logits = InFloats(address[0]);              // [B, S or 1, n]
    InWords settings = InWords(address[1]);              // [3]: bits of temperature, top_k, bits of top_p
    InWords n_bars = InWords(address[2]);                // [B]
    InWords series_ids = InWords(address[3]);            // [B]
    InStep block = InStep(address[4]);
    OutWords tokens = OutWords(address[5]);              // [B, S, tokens_cap, 2]

    uint row = group_index(), i = gl_LocalInvocationID.x, n = p.n;
    if (row >= p.batch * p.paths) { return; }            // the whole group, here and below
    uint b = row / p.paths, s = row % p.paths;
    rp_step step = block.v;
    bool slides = n_bars.v[b] + step.step > p.window;
    if (step.step >= p.tokens_cap) { return; }           // a replay too many
    if ((p.series == RP_DRAW_GROWING && slides) || (p.series == RP_DRAW_SLIDING && !slides)) { return; }
    float temperature = uintBitsToFloat(settings.v[0]), top_p = uintBitsToFloat(settings.v[2]);
    uint top_k = settings.v[1], from = (p.one_row != 0 ? b : row) * n;

    float top = NEG_INFINITY;
    for (uint j = i; j < n; j += RP_GROUP_DRAW) {
        float z = rp_div_rn(logits.v[from + j], temperature);
        draw_value[j] = floatBitsToUint(z);
        top = max(top, z);
    }
    top = draw_max(top);                                 // and behind its barriers draw_value is there
    if ((top_k > 1 && top_k < n) || (top_k == 0 && top_p < 1.0)) {
        draw_keep(n, top, top_k, top_p);
    } else {                                             // all of them, or the largest: no need to sort
        for (uint j = i; j < n; j += RP_GROUP_DRAW) {
            float z = value_at(j);
            draw_value[j] = floatBitsToUint(top_k != 1 || z == top ? rp_exp(z - top) : 0.0);
        }
        barrier();                                       // every e is there before it is summed by number
    }

    uint q = (n + RP_GROUP_DRAW - 1) / RP_GROUP_DRAW, end = min(i * q + q, n);
    precise float sum = 0.0;
    for (uint j = i * q; j < end; j++) { sum = sum + value_at(j); }
    float before;
    rp_words words = rp_philox(step.seed_lo, step.seed_hi, series_ids.v[b], step.path0 + s, step.step, p.which);
    precise float limit = rp_unit(words.w0) * draw_scan(sum, before);
    if (i == 0) {
        draw_other[FOUND] = n;
        draw_other[LAST] = 0;
    }
    barrier();                                           // the answer is empty before anyone adds to it
    uint found = n, last = 0;
    sum = 0.0;
    for (uint j = i * q; j < end; j++) {
        float e = value_at(j);
        sum = sum + e;
        precise float below = before + sum;
        if (!(e > 0.0)) { continue; }                    // not kept: rounding may lift the sum from one invocation to the next
        last = j;
        if (found == n && below > limit) { found = j; }
    }
    atomicMin(draw_other[FOUND], found);
    atomicMax(draw_other[LAST], last);
    barrier();                                           // everyone has had its say before the answer is read
    if (i == 0) {
        uint token = draw_other[FOUND];
        tokens.v[(row * p.tokens_cap + step.step) * 2 + p.which] = token < n ? token : draw_other[LAST];
    }
}
