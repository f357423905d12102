// Rows of x on their way into a product of few rows (linear_skinny.cuh): to shared memory, in one of two ways. As they lie, by
// asynchronous copies. Or turned into what the units take: a warp asks for all of a row at once, normalises it if the product does,
// with rmsnorm's order of squares, so the same bits, and rounds or splits it. Included by linear_skinny.cuh.
#ifndef RP_LINEAR_SKINNY_X_CUH
#define RP_LINEAR_SKINNY_X_CUH

#include "norm.cuh"

// Of Kind:
//   x, turned, parts       type in memory; which way; matrices that x becomes
//   bytes, pad             of a chunk of a row of a matrix; between rows, so that lanes read from different banks
//   pair, pair_of, keep    if turned: two neighbours as the matrices have them, and how they go there, `part` bytes apart
//   take, lane_bytes       a chunk's operand: lane l reads row l / 4, and the one `second` bytes on, from piece l % 4 of so many bytes on
template <class Kind> struct rp_skinny_x {
    static constexpr uint32_t HELD = RP_LINEAR_SKINNY_HELD, AT_ONCE = 4;     // chunks of a row that a warp holds, two neighbours of each a lane

    rp_inverse_root *roots;                  // [m]
    float *scale;                            // [chunks, 64] and a few more, zeros past k
    char *at;                                // [parts, m] rows of `pitch` bytes
    uint32_t pitch, part;

    __device__ inline char *begin(char *memory, const rp_linear_params &p, uint32_t chunks) {
        roots = reinterpret_cast<rp_inverse_root *>(memory);
        scale = reinterpret_cast<float *>(memory + RP_LINEAR_SKINNY_M * sizeof *roots);
        at = p.norm ? reinterpret_cast<char *>(scale + (chunks + AT_ONCE - 1) / AT_ONCE * AT_ONCE * SKINNY_CHUNK) : memory;
        return at + p.m * Kind::parts * Kind::pad;
    }
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

    // Chunks [begin, end) of all rows, 512 bytes of a row a warp. Zeros past k.
    __device__ inline void copy(const rp_linear_params &p, const void *x, uint32_t begin, uint32_t end, uint32_t warp, uint32_t lane) const {
        const uint32_t row_bytes = p.k * (uint32_t)sizeof(typename Kind::x), first = begin * Kind::bytes, bytes = (end - begin) * Kind::bytes;
        const uint32_t warps = blockDim.x / 32, next_piece = rp_few(warps, p.m), next_row = warps - next_piece * p.m;
        uint32_t piece = rp_few(warp, p.m), row = warp - piece * p.m, to = row * pitch + piece * 512 + lane * 16;
        const char *from = static_cast<const char *>(x) + (uint64_t)row * row_bytes + first;
        asm volatile("" : "+r"(piece), "+r"(row), "+r"(to), "+l"(from));     // worked out before the wait
        rp_wait();
#pragma unroll 1
        while (piece * 512 < bytes) {
            const uint32_t byte = piece * 512 + lane * 16;
            if (byte < bytes) {
                rp_copy16(reinterpret_cast<float *>(at + to), reinterpret_cast<const float *>(from + byte), first + byte < row_bytes ? 16 : 0);
            }
            piece += next_piece, row += next_row, to += next_piece * 512 + next_row * pitch, from += next_row * row_bytes;
            if (row >= p.m) { row -= p.m, piece++, to += 512 - p.m * pitch, from -= p.m * row_bytes; }
        }
        rp_copy_commit();
    }

    // ---- turned ----

    __device__ static inline void square(float2 &sum, const float2 &two) {
        sum = make_float2(__fmaf_rn(two.x, two.x, sum.x), __fmaf_rn(two.y, two.y, sum.y));
    }
    // Halving 64 -> .. -> 1: lane l holds sums 2 l and 2 l + 1.
    __device__ static inline rp_inverse_root root_of(const rp_linear_params &p, float2 sum) {
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2) {
            sum.x += __shfl_xor_sync(0xffffffffu, sum.x, distance);
            sum.y += __shfl_xor_sync(0xffffffffu, sum.y, distance);
        }
        return rp_inverse_root_of((sum.x + sum.y) / (float)p.k + p.eps);
    }
    __device__ inline float2 scale_of(uint32_t chunk, uint32_t lane) const {
        return *reinterpret_cast<const float2 *>(scale + chunk * SKINNY_CHUNK + lane * 2);
    }
    __device__ static inline float2 normalised(const float2 &two, const float2 &factor, const rp_inverse_root &root) {
        return make_float2(rp_normalised(two.x, factor.x, root), rp_normalised(two.y, factor.y, root));
    }

    // A row for each warp, held in registers.
    __device__ inline void hold(const rp_linear_params &p, const float *x, uint32_t chunks, uint32_t row, uint32_t lane) const {
        const float *from = x + (uint64_t)min(row, p.m - 1) * p.k + lane * 2;
        float2 own[HELD], sum = { 0, 0 };
        int mine = ((int)p.k - (int)lane * 2 + SKINNY_CHUNK - 1) / SKINNY_CHUNK;      // chunks
        asm volatile("" : "+l"(from), "+r"(mine));                                    // worked out before the wait
        __builtin_assume(__isGlobal(from));
        rp_wait();
#pragma unroll
        for (uint32_t e = 0; e < HELD; e++) {
            own[e] = (int)e < mine ? *reinterpret_cast<const float2 *>(from + e * SKINNY_CHUNK) : make_float2(0, 0);
        }
        if (p.norm) { __syncthreads(); }     // scale: brought by all, read by all
        if (row >= p.m) { return; }
        rp_inverse_root root = { 0, 0 };
        if (p.norm) {
#pragma unroll
            for (uint32_t e = 0; e < HELD; e++) { square(sum, own[e]); }      // a zero adds nothing
            root = root_of(p, sum);
        }
        char *to = at + row * pitch + lane * 4;
        if (!p.norm) {
#pragma unroll
            for (uint32_t e = 0; e < HELD; e++) {
                if (e < chunks) { Kind::keep(to + e * Kind::bytes, part, Kind::pair_of(own[e])); }
            }
            return;
        }
#pragma unroll
        for (uint32_t first = 0; first < HELD; first += AT_ONCE) {
            if (first >= chunks) { break; }
            float2 factor[AT_ONCE];
#pragma unroll
            for (uint32_t e = 0; e < AT_ONCE && first + e < HELD; e++) { factor[e] = scale_of(first + e, lane); }
#pragma unroll
            for (uint32_t e = 0; e < AT_ONCE && first + e < HELD; e++) {
                const typename Kind::pair pair = Kind::pair_of(normalised(own[first + e], factor[e], root));
                if (first + e < chunks) { Kind::keep(to + (first + e) * Kind::bytes, part, pair); }
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
                const rp_inverse_root root = root_of(p, sum);
                if (lane == 0) { roots[row] = root; }
                __syncwarp();                // root: of lane 0, read by all of this warp, now and later
            }
            const rp_inverse_root root = p.norm ? roots[row] : rp_inverse_root{ 0, 0 };
            char *to = at + row * pitch + lane * 4;
#pragma unroll 4
            for (uint32_t chunk = begin; chunk < end; chunk++) {
                const float2 own = p.norm ? normalised(two(chunk), scale_of(chunk, lane), root) : two(chunk);
                Kind::keep(to + (chunk - begin) * Kind::bytes, part, Kind::pair_of(own));
            }
        }
    }
};

#endif
