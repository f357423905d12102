// Rows of x on their way into a product of few rows (linear_skinny.cuh): to shared memory, in one of two ways. As they lie, by
// asynchronous copies. Or turned into what the units take: a warp asks for all of a row at once, normalises it if the product does, and
// splits it, with rmsnorm's order of squares and its roundings, so the same bits; or rounds it to float16, by the shortest way.
// Included by linear_skinny.cuh.
#ifndef RP_LINEAR_SKINNY_X_CUH
#define RP_LINEAR_SKINNY_X_CUH

#include "norm.cuh"

// Of Kind:
//   x, turned, parts       type in memory; which way; matrices that x becomes
//   bytes, pad             of a chunk of a row of a matrix; between rows, so that lanes read from different banks
//   pair, pair_of, keep    if turned: two neighbours as the matrices have them, and how they go there, `part` bytes apart
//   take, lane_bytes       a chunk's operand: lane l reads row l / 4, and the one `second` bytes on, from piece l % 4 of so many bytes on
//   paired                 if turned, sums of a row's chunk are to be multiplied by a number that pair_of gives
template <class Kind> struct rp_skinny_x {
    static constexpr uint32_t HELD = RP_LINEAR_SKINNY_HELD, AT_ONCE = 4;     // chunks of a row that a warp holds, two neighbours of each a lane

    rp_inverse_root *roots;                  // [m]
    float *scale;                            // [chunks, 64] and a few more, zeros past k
    float *backs;                            // of pairs, [chunks, RP_LINEAR_SKINNY_M]: what sums are to be multiplied by
    char *at;                                // [parts, m] rows of `pitch` bytes
    uint32_t pitch, part;

    __device__ inline char *begin(char *memory, const rp_linear_params &p, uint32_t chunks) {
        roots = reinterpret_cast<rp_inverse_root *>(memory);
        scale = reinterpret_cast<float *>(memory + RP_LINEAR_SKINNY_M * sizeof *roots);
        backs = scale + (chunks + AT_ONCE - 1) / AT_ONCE * AT_ONCE * SKINNY_CHUNK;
        at = p.norm ? reinterpret_cast<char *>(backs + (Kind::paired ? chunks * RP_LINEAR_SKINNY_M : 0)) : memory;
        return at + p.m * Kind::parts * Kind::pad;
    }
    // In bytes from `memory` on.
    __device__ inline uint32_t backs_at(const char *memory) const { return (uint32_t)(reinterpret_cast<const char *>(backs) - memory); }
    // Room for `span` chunks, too.
    __device__ inline char *room(char *memory, const rp_linear_params &p, uint32_t span) {
        pitch = span * Kind::bytes + Kind::pad;
        part = p.m * pitch;
        return memory + p.m * Kind::parts * span * Kind::bytes;
    }

    __device__ inline void scales(const rp_linear_params &p, const float *from) const {
        const uint32_t padded = (p.k + SKINNY_CHUNK - 1) / SKINNY_CHUNK * SKINNY_CHUNK;
        for (uint32_t i = threadIdx.x * 4; p.norm && i < padded; i += blockDim.x * 4) {
            *reinterpret_cast<float4 *>(scale + i) = i < p.k ? *reinterpret_cast<const float4 *>(from + i) : make_float4(0, 0, 0, 0);
        }
    }

    // ---- as they lie ----

    // Chunks [begin, end) of all rows, 512 bytes of a row a warp. Zeros past k. Where the first FOUND pieces of each warp go is worked out before
    // the wait.
    __device__ inline void copy(const rp_linear_params &p, const void *x, uint32_t begin, uint32_t end, uint32_t warp, uint32_t lane) const {
        constexpr uint32_t FOUND = 5, NONE = 0xffffffffu;
        const uint32_t row_bytes = p.k * (uint32_t)sizeof(typename Kind::x), first = begin * Kind::bytes, bytes = (end - begin) * Kind::bytes;
        const uint32_t warps = blockDim.x / 32, next_piece = rp_few(warps, p.m), next_row = warps - next_piece * p.m;
        uint32_t piece = rp_few(warp, p.m), row = warp - piece * p.m, to = row * pitch + piece * 512 + lane * 16;
        uint32_t from = row * row_bytes + first + piece * 512 + lane * 16, found_to[FOUND], found_from[FOUND];
        const char *base = static_cast<const char *>(x);
        const auto next = [&]() {
            piece += next_piece, row += next_row, to += next_piece * 512 + next_row * pitch, from += next_piece * 512 + next_row * row_bytes;
            if (row >= p.m) { row -= p.m, piece++, to += 512 - p.m * pitch, from += 512 - p.m * row_bytes; }
        };
        const auto bring = [&](uint32_t to, uint32_t from, bool inside) {
            rp_copy16(reinterpret_cast<float *>(at + to), reinterpret_cast<const float *>(base + from), inside ? 16 : 0);
        };
        const bool whole = end * Kind::bytes <= row_bytes;
#pragma unroll
        for (uint32_t e = 0; e < FOUND; e++) {
            found_to[e] = whole && piece * 512 + lane * 16 < bytes ? to : NONE, found_from[e] = from;
            if (whole) { next(); }
            asm volatile("" : "+r"(found_to[e]), "+r"(found_from[e]));
        }
        asm volatile("" : "+r"(piece), "+r"(row), "+r"(to), "+r"(from), "+l"(base));
        rp_wait();
#pragma unroll
        for (uint32_t e = 0; e < FOUND; e++) {
            if (found_to[e] != NONE) { bring(found_to[e], found_from[e], true); }
        }
#pragma unroll 1
        for (; piece * 512 < bytes; next()) {
            const uint32_t byte = piece * 512 + lane * 16;
            if (byte < bytes) { bring(to, from, first + byte < row_bytes); }
        }
        rp_copy_commit();
    }

    // ---- turned ----

    __device__ static inline void square(float2 &sum, const float2 &two) {
        sum = make_float2(__fmaf_rn(two.x, two.x, sum.x), __fmaf_rn(two.y, two.y, sum.y));
    }
    __device__ inline float2 scale_of(uint32_t chunk, uint32_t lane) const {
        return *reinterpret_cast<const float2 *>(scale + chunk * SKINNY_CHUNK + lane * 2);
    }
    __device__ static inline float2 normalised(const float2 &two, const float2 &factor, const rp_inverse_root &root) {
        return make_float2(rp_normalised(two.x, factor.x, root), rp_normalised(two.y, factor.y, root));
    }

    // Waits, and asks for this lane's two neighbours of each of `mine` chunks of a row; zeros past them.
    __device__ static inline void ask(float2 (&own)[HELD], const float *from, int mine) {
        __builtin_assume(__isGlobal(from));
        rp_wait();
#pragma unroll
        for (uint32_t e = 0; e < HELD; e++) {
            own[e] = (int)e < mine ? *reinterpret_cast<const float2 *>(from + e * SKINNY_CHUNK) : make_float2(0, 0);
        }
    }

    // A row for each warp, held in registers, to float16: the root as the unit gives it, times numbers that were scaled meanwhile. What does
    // not hang on x is worked out before the wait.
    __device__ inline void round(const rp_linear_params &p, const float *x, uint32_t chunks, uint32_t row, uint32_t lane) const {
        const float *from = x + (uint64_t)min(row, p.m - 1) * p.k + lane * 2;
        const char *factors = reinterpret_cast<const char *>(scale + lane * 2);
        char *to = at + row * pitch + lane * 4;
        float2 own[HELD];
        float inverse_k = 1.0f / (float)p.k;
        int mine = ((int)p.k - (int)lane * 2 + SKINNY_CHUNK - 1) / SKINNY_CHUNK;      // chunks
        uint32_t there = (1u << chunks) - 1;
        asm volatile("" : "+l"(from), "+l"(factors), "+l"(to), "+f"(inverse_k), "+r"(mine), "+r"(there));
        __builtin_assume(__isShared(factors)), __builtin_assume(__isShared(to));
        ask(own, from, mine);
        if (p.norm) { __syncthreads(); }     // scale: brought by all, read by all
        if (row >= p.m) { return; }
        float root = 1;
        if (p.norm) {
            float2 sum = { 0, 0 };
#pragma unroll
            for (uint32_t first = 0; first < HELD; first += AT_ONCE) {
                if ((there >> first & 1) == 0) { break; }
                float2 factor[AT_ONCE];
#pragma unroll
                for (uint32_t e = 0; e < AT_ONCE && first + e < HELD; e++) {
                    factor[e] = *reinterpret_cast<const float2 *>(factors + (first + e) * SKINNY_CHUNK * 4);
                }
#pragma unroll
                for (uint32_t e = 0; e < AT_ONCE && first + e < HELD; e++) {
                    float2 &two = own[first + e];
                    square(sum, two);        // a zero adds nothing
                    two = make_float2(two.x * factor[e].x, two.y * factor[e].y);
                }
            }
            root = rsqrtf(__fmaf_rn(rp_halve32(sum.x + sum.y), inverse_k, p.eps));
        }
#pragma unroll
        for (uint32_t e = 0; e < HELD; e++) {
            if (there >> e & 1) { Kind::keep(to + e * Kind::bytes, 0, Kind::pair_of(make_float2(own[e].x * root, own[e].y * root))); }
        }
    }

    // The same for pairs, every number to nearest.
    __device__ inline void hold(const rp_linear_params &p, const float *x, uint32_t chunks, uint32_t row, uint32_t lane) const {
        const float *from = x + (uint64_t)min(row, p.m - 1) * p.k + lane * 2;
        const char *factors = reinterpret_cast<const char *>(scale + lane * 2);
        char *to = at + row * pitch + lane * 4;
        float *backs_to = backs + row;
        float2 own[HELD];
        float width = (float)p.k, inverse_k = __frcp_rn(width);
        int mine = ((int)p.k - (int)lane * 2 + SKINNY_CHUNK - 1) / SKINNY_CHUNK;      // chunks
        uint32_t there = (1u << chunks) - 1;
        asm volatile("" : "+l"(from), "+l"(factors), "+l"(to), "+l"(backs_to), "+f"(width), "+f"(inverse_k), "+r"(mine), "+r"(there));
        __builtin_assume(__isShared(factors)), __builtin_assume(__isShared(to)), __builtin_assume(__isShared(backs_to));
        ask(own, from, mine);
        __syncthreads();                     // scale: brought by all, read by all
        if (row >= p.m) { return; }
        float2 sum = { 0, 0 };
#pragma unroll
        for (uint32_t e = 0; e < HELD; e++) { square(sum, own[e]); }          // a zero adds nothing
        const rp_inverse_root root = rp_row_root(sum, width, inverse_k, p.eps);
#pragma unroll
        for (uint32_t first = 0; first < HELD; first += AT_ONCE) {
            if ((there >> first & 1) == 0) { break; }
            float2 factor[AT_ONCE];
#pragma unroll
            for (uint32_t e = 0; e < AT_ONCE && first + e < HELD; e++) {
                factor[e] = *reinterpret_cast<const float2 *>(factors + (first + e) * SKINNY_CHUNK * 4);
            }
#pragma unroll
            for (uint32_t e = 0; e < AT_ONCE && first + e < HELD; e++) {
                float back;
                const typename Kind::pair pair = Kind::pair_of(normalised(own[first + e], factor[e], root), back);
                if (there >> (first + e) & 1) {
                    Kind::keep(to + (first + e) * Kind::bytes, part, pair);
                    if (lane == 0) { backs_to[(first + e) * RP_LINEAR_SKINNY_M] = back; }
                }
            }
        }
    }

    // Any number of rows and chunks: chunks [begin, end) of all rows.
    __device__ inline void turn(const rp_linear_params &p, const float *x, uint32_t begin, uint32_t end, uint32_t chunks, uint32_t warp,
                                uint32_t lane) const {
        rp_wait();
        if (p.norm) { __syncthreads(); }     // scale: brought by all, read by all
#pragma unroll 1
        for (uint32_t row = warp; row < p.m; row += blockDim.x / 32) {
            const float *from = x + (uint64_t)row * p.k + lane * 2;
            const auto two = [&](uint32_t chunk) {
                const bool inside = chunk * SKINNY_CHUNK + lane * 2 < p.k;
                return inside ? *reinterpret_cast<const float2 *>(from + chunk * SKINNY_CHUNK) : make_float2(0, 0);
            };
            if (p.norm && begin == 0) {
                float2 sum = { 0, 0 };
#pragma unroll 4
                for (uint32_t chunk = 0; chunk < chunks; chunk++) { square(sum, two(chunk)); }
                const rp_inverse_root root = rp_row_root(sum, (float)p.k, __frcp_rn((float)p.k), p.eps);
                if (lane == 0) { roots[row] = root; }
                __syncwarp();                // root: of lane 0, read by all of this warp, now and later
            }
            const rp_inverse_root root = p.norm ? roots[row] : rp_inverse_root{ 0, 0 };
            char *to = at + row * pitch + lane * 4;
#pragma unroll 4
            for (uint32_t chunk = begin; chunk < end; chunk++) {
                const float2 own = p.norm ? normalised(two(chunk), scale_of(chunk, lane), root) : two(chunk);
                if constexpr (Kind::paired) {
                    float back;
                    Kind::keep(to + (chunk - begin) * Kind::bytes, part, Kind::pair_of(own, back));
                    if (lane == 0) { backs[(chunk - begin) * RP_LINEAR_SKINNY_M + row] = back; }
                } else {
                    Kind::keep(to + (chunk - begin) * Kind::bytes, part, Kind::pair_of(own));
                }
            }
        }
    }
};

#endif
