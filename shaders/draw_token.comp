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

#define FOUND (4 * RP_GROUP_DRAW)                        // in draw_other, behind what draw_scan takes: the token found

float value_at(uint i) { return uintBitsToFloat(draw_value[i]); }

// e in multiples of 2^-40, rounded down; and sums of such, low word first.
uvec2 weigh(float e) {
    precise float scaled = e * 256.0;
    uint high = uint(scaled);
    precise float rest = (scaled - float(high)) * 4294967296.0;
    return uvec2(uint(rest), high);
}

uvec2 add(uvec2 a, uvec2 b) {
    uint carry;
    uint low = uaddCarry(a.x, b.x, carry);
    return uvec2(low, a.y + b.y + carry);
}

bool above(uvec2 a, uvec2 b) { return a.y > b.y || (a.y == b.y && a.x > b.x); }

// a times (factor + halves / 2) / 2^32, rounded down, for a < 2^52 and halves 0 or 1. Of half of a the last bit may be left out: below it
// the product has none to carry with.
uvec2 part_of(uvec2 a, uint factor, uint halves) {
    uint low_high, low_low, high_high, high_low, carry;
    umulExtended(a.x, factor, low_high, low_low);
    umulExtended(a.y, factor, high_high, high_low);
    uvec2 half_a = halves * uvec2(a.x >> 1 | a.y << 31, a.y >> 1);
    uaddCarry(low_low, half_a.x, carry);
    return add(add(uvec2(high_low, high_high), uvec2(low_high, 0)), add(uvec2(half_a.y, 0), uvec2(carry, 0)));
}

// The inclusive scan of one sum of each invocation: the sum before this invocation's, and the whole. All invocations call; draw_other
// must be free.
uvec2 draw_scan(uvec2 x, out uvec2 before) {
    uint i = gl_LocalInvocationID.x, side = 0;
    for (uint stride = 1; stride < RP_GROUP_DRAW; stride *= 2) {
        draw_other[side + i] = x.x, draw_other[side + RP_GROUP_DRAW + i] = x.y;
        barrier();                                       // this round's numbers are there before any is read; the next
        if (i >= stride) {                               // round writes on the other side
            x = add(x, uvec2(draw_other[side + i - stride], draw_other[side + RP_GROUP_DRAW + i - stride]));
        }
        side = 2 * RP_GROUP_DRAW - side;
    }
    draw_other[side + i] = x.x, draw_other[side + RP_GROUP_DRAW + i] = x.y;
    barrier();                                           // as above
    before = i > 0 ? uvec2(draw_other[side + i - 1], draw_other[side + RP_GROUP_DRAW + i - 1]) : uvec2(0);
    uvec2 whole = uvec2(draw_other[side + RP_GROUP_DRAW - 1], draw_other[side + 2 * RP_GROUP_DRAW - 1]);
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
        uvec2 sum = uvec2(0), before;
        [[unroll]] for (uint c = 0; c < EACH; c++) { sum = add(sum, weigh(e[c])); }
        uvec2 limit = part_of(draw_scan(sum, before), uint(top_p * 4294967296.0), 0);
        [[unroll]] for (uint c = 0; c < EACH; c++) {
            uvec2 below = before;
            before = add(before, weigh(e[c]));
            if (above(below, limit)) { e[c] = 0.0; }
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
    InWords table = InWords(address[5]);                 // [n, D], bit for bit
    OutWords tokens = OutWords(address[6]);              // [B, S, tokens_cap, 2]
    OutWords y = OutWords(address[7]);                   // [B S, D]
    InFloats y_before = InFloats(address[7]);            // where the row is added

    uint row = group_index(), i = gl_LocalInvocationID.x, n = p.n;
    if (row >= p.batch * p.paths) { return; }            // the whole group, here and below
    uint b = row / p.paths, s = row % p.paths;
    rp_step step = block.v;
    step.step -= p.moved;
    bool slides = n_bars.v[b] + step.step > p.window;
    bool late = step.step >= p.tokens_cap;               // a replay too many
    if (late || (p.series == RP_DRAW_GROWING && slides) || (p.series == RP_DRAW_SLIDING && !slides)) {
        for (uint j = i; j < p.width; j += RP_GROUP_DRAW) { y.v[row * p.width + j] = 0; }
        return;
    }
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
    uvec2 sum = uvec2(0), before;
    for (uint j = i * q; j < end; j++) { sum = add(sum, weigh(value_at(j))); }
    rp_words words = rp_philox(step.seed_lo, step.seed_hi, series_ids.v[b], step.path0 + s, step.step, p.which);
    uvec2 limit = part_of(draw_scan(sum, before), words.w0, 1);
    if (i == 0) { draw_other[FOUND] = 0; }               // for logits that are no numbers
    barrier();                                           // an answer is there before one invocation puts its own
    bool mine = !above(before, limit) && above(add(before, sum), limit);
    for (uint j = i * q; j < end && mine; j++) {
        before = add(before, weigh(value_at(j)));
        if (above(before, limit)) {
            draw_other[FOUND] = j;
            break;
        }
    }
    barrier();                                           // the answer is there before it is read
    uint token = draw_other[FOUND];
    if (i == 0) { tokens.v[(row * p.tokens_cap + step.step) * 2 + p.which] = token; }
    for (uint j = i; j < p.width; j += RP_GROUP_DRAW) {
        uint at = row * p.width + j, word = table.v[token * p.width + j];
        y.v[at] = p.adds != 0 ? floatBitsToUint(y_before.v[at] + uintBitsToFloat(word)) : word;
    }
}
