// What the blocks of a decode step in float32 share (core/step_block.h): as step_block.cuh, with weights in pairs of float16 (pair.cuh). All sums are
// those of the launches that a block stands for, so the same bits: parts are sums of one chunk of k each, which who takes them adds up in
// order, scales by what w's rows have in common, and adds bias and x to, as linear does.
#ifndef RP_STEP_PAIR_CUH
#define RP_STEP_PAIR_CUH

#include "pair_matrix.cuh"
#include "step_block.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

template <bool ONE> struct rp_step_pair : rp_step_group<ONE> {
    using base = rp_step_group<ONE>;
    using units = rp_pair_units<1>;
    using base::a, base::memory, base::rank, base::set, base::row0, base::m, base::warp, base::lane, base::columns;
    static constexpr uint32_t MOST = RP_STEP_LANES, OF_ROW = ONE ? MOST : RP_STEP_WIDTH / RP_STEP_CHUNK, PLACE = base::PLACE, TURNS = base::TURNS;

    __device__ rp_step_pair(const rp_step_block_args &args, char *shared) : base(args, shared) {}

    __device__ float *whole() const { return reinterpret_cast<float *>(memory + a.added); }                 // [m, d]
    __device__ float *backs() const { return reinterpret_cast<float *>(memory + 128); }                     // [chunks, RP_STEP_ROWS_OWN]

    // ---- rows of x: summed up, normalised, split, in every group ----

    // Four columns of a row an invocation, and others a group further.
    static constexpr uint32_t FOURS = ONE ? 1 : 2, PARTS = ONE ? RP_STEP_PARTS_ONE : RP_STEP_PARTS_SOME;
    struct rows_of_x {                         // worked out before the wait
        uint64_t apart;                        // bytes from one part to the next
        const char *from[FOURS];               // of the first part; NULL: none
        const float *rest[FOURS];              // x before the product whose parts these are; NULL: they are x
        float *to[FOURS], *keep[FOURS], *kept[FOURS];      // in shared memory; in memory, NULL: nowhere
        float4 scale[FOURS], bias[FOURS];
        float2 factor[OF_ROW];                 // of the norm, for columns as a warp has them
        float inverse;
    };
    __device__ __forceinline__ rows_of_x find_rows() const {
        rows_of_x x;
        const uint32_t fours = a.d / 4;
        x.apart = (uint64_t)a.m * a.d * 4;
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) {
            const uint32_t at = threadIdx.x + i * RP_STEP_GROUP, row = ONE ? 0 : rp_quotient(at, fours), column = (at - row * fours) * 4;
            const bool live = ONE ? at < fours : row < m;
            const bool own = live && set == 0 && column >= rank * columns && column < (rank + 1) * columns;
            const uint64_t number = (uint64_t)(row0 + row) * a.d + column;
            x.from[i] = live ? reinterpret_cast<const char *>(a.parts) + number * 4 : nullptr;
            x.rest[i] = live && a.residual != 0 ? reinterpret_cast<const float *>(a.residual) + number : nullptr;
            x.to[i] = whole() + row * a.d + column;
            x.keep[i] = own && a.x != 0 ? reinterpret_cast<float *>(a.x) + number : nullptr;
            x.kept[i] = own ? reinterpret_cast<float *>(a.kept) + number : nullptr;
            x.scale[i] = x.rest[i] != nullptr ? *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(a.part_scale) + column) : make_float4(0, 0, 0, 0);
            x.bias[i] = x.rest[i] != nullptr && a.part_bias != 0
                ? *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(a.part_bias) + column) : make_float4(-0.0f, -0.0f, -0.0f, -0.0f);
            asm volatile("" : "+l"(x.from[i]), "+l"(x.rest[i]), "+l"(x.to[i]), "+l"(x.keep[i]), "+l"(x.kept[i]));
        }
#pragma unroll
        for (uint32_t e = 0; e < (ONE ? 1 : OF_ROW); e++) {
            const uint32_t chunk = ONE ? warp : e;
            x.factor[e] = chunk < a.in.n_chunks ? *reinterpret_cast<const float2 *>(reinterpret_cast<const float *>(a.scale) + chunk * RP_STEP_CHUNK + lane * 2)
                                                : make_float2(0, 0);
        }
        x.inverse = __frcp_rn((float)a.d);
        asm volatile("" : "+f"(x.inverse), "+l"(x.apart));
        return x;
    }
    // Parts in fours, so that none is asked for behind a branch of its own.
    __device__ __forceinline__ void sum_up(const rows_of_x &own) const {
        float4 part[FOURS][PARTS], rest[FOURS];
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) {
            if (own.from[i] == nullptr) { continue; }
#pragma unroll
            for (uint32_t first = 0; first < PARTS; first += 4) {
                if (first >= a.n_parts) { break; }
#pragma unroll
                for (uint32_t p = first; p < first + 4; p++) {
                    part[i][p] = rp_step_global(reinterpret_cast<const float *>(own.from[i] + min(p, a.n_parts - 1) * own.apart));
                }
            }
            if (own.rest[i] != nullptr) { rest[i] = rp_step_global(own.rest[i]); }
        }
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) {
            if (own.from[i] == nullptr) { continue; }
            float4 x = part[i][0];
#pragma unroll
            for (uint32_t p = 1; p < PARTS; p++) {
                if (p < a.n_parts) { x = rp_sum(x, part[i][p]); }
            }
            if (own.rest[i] != nullptr) {
                const float4 &scale = own.scale[i];
                x = make_float4(__fmul_rn(x.x, scale.x), __fmul_rn(x.y, scale.y), __fmul_rn(x.z, scale.z), __fmul_rn(x.w, scale.w));
                x = rp_sum(rp_sum(x, own.bias[i]), rest[i]);
            }
            *reinterpret_cast<float4 *>(own.to[i]) = x;
            if (own.keep[i] != nullptr) { *reinterpret_cast<float4 *>(own.keep[i]) = x; }
            if (own.kept[i] != nullptr) { *reinterpret_cast<float4 *>(own.kept[i]) = x; }
        }
    }
    __device__ __forceinline__ uint32_t x_pitch() const { return RP_STEP_PAIR_ROW(a.in.n_chunks); }
    // Several rows: a warp each; one: of every warp the root, and one chunk.
    __device__ __forceinline__ void take_rows(const rows_of_x &own) const {
        sum_up(own);
        __syncthreads();                       // whole: written by all, read by all
        const uint32_t row = ONE ? 0 : warp, part = a.rows_own * x_pitch();
        if (row < m) {
            const float *from = whole() + row * a.d + lane * 2;
            float2 two[OF_ROW], sum = { 0, 0 };
#pragma unroll
            for (uint32_t e = 0; e < OF_ROW; e++) {
                two[e] = e < a.in.n_chunks ? *reinterpret_cast<const float2 *>(from + e * RP_STEP_CHUNK) : make_float2(0, 0);
            }
#pragma unroll
            for (uint32_t e = 0; e < OF_ROW; e++) { sum = make_float2(__fmaf_rn(two[e].x, two[e].x, sum.x), __fmaf_rn(two[e].y, two[e].y, sum.y)); }
            const rp_inverse_root root = rp_row_root(sum, (float)a.d, own.inverse, a.eps);
            char *to = memory + a.rows + row * x_pitch() + lane * 4;
#pragma unroll
            for (uint32_t e = 0; e < (ONE ? 1 : OF_ROW); e++) {
                const uint32_t chunk = ONE ? warp : e;
                const float2 mine = !ONE ? two[e] : *reinterpret_cast<const float2 *>(from + min(chunk, a.in.n_chunks - 1) * RP_STEP_CHUNK);
                float back;
                const rp_pair_parts pair = rp_pair_parts_of(make_float2(rp_normalised(mine.x, own.factor[e].x, root), rp_normalised(mine.y, own.factor[e].y, root)), back);
                if (chunk >= a.in.n_chunks) { continue; }
                *reinterpret_cast<uint32_t *>(to + chunk * RP_STEP_CHUNK * 2) = pair.part[0];
                *reinterpret_cast<uint32_t *>(to + part + chunk * RP_STEP_CHUNK * 2) = pair.part[1];
                if (lane == 0) { backs()[chunk * RP_STEP_ROWS_OWN + row] = back; }
            }
        }
        __syncthreads();                       // rows: written by all, read by all
    }

    // ---- products ----

    // A warp's part of a product, worked out before the wait: one chunk, of pairs of blocks.
    struct part {
        uint32_t chunk, turns, first;          // turns 0: none; first pair of blocks
        uint32_t weights, apart;               // where this lane reads them; bytes to the next turn's
        int high[TURNS];                       // from the block whose rows this lane reads to where the second block's are read
    };
    __device__ __forceinline__ part part_of(const rp_step_product &p, uint32_t blocks) const {
        part own;
        const uint32_t along_n = warp / p.n_chunks, all = (blocks + 1) / 2;
        own.chunk = warp - along_n * p.n_chunks, own.first = along_n;
        own.turns = along_n < min(p.lanes_n, all) ? (all - along_n + p.lanes_n - 1) / p.lanes_n : 0;
        // Lane l has row l % 8 of the first block, or, l / 8 odd, of the second; its columns, or, l / 16, those eight further.
        own.weights = p.weights + (along_n * 16 + lane % 8) * p.pitch + own.chunk * RP_STEP_CHUNK * 4 + lane / 16 * 16;
        own.apart = p.lanes_n * 16 * p.pitch;
#pragma unroll
        for (uint32_t t = 0; t < TURNS; t++) {           // a block that is not there: the first once more
            const uint32_t second = 2 * (along_n + t * p.lanes_n) + 1;
            own.high[t] = lane / 8 % 2 != 0 && second < blocks ? 8 * (int)p.pitch : 0;
        }
        asm volatile("" : "+r"(own.weights), "+r"(own.apart), "+r"(own.turns));
        return own;
    }
    // A turn's.
    __device__ __forceinline__ void take(typename units::other &to, const part &own, uint32_t turn) const {
        if (turn >= own.turns) { return; }               // nobody looks at what comes of it
        const uint32_t at = own.weights + turn * own.apart + own.high[turn];
#pragma unroll
        for (uint32_t e = 0; e < 8; e++) { rp_load_blocks(to.part[e / 4][e % 4], reinterpret_cast<const __half *>(memory + at + e / 4 * RP_STEP_CHUNK * 2 + e % 4 * 32)); }
    }

    // Sums of blocks over each chunk: [blocks, chunks, PLACE], a place of eight rows by eight columns.
    __device__ __forceinline__ void multiply(const rp_step_product &p, const part &own) const {
        if (own.turns == 0) { return; }
        typename units::operand x;
        typename units::other w[TURNS];
        const uint32_t row = min(lane / 4, m - 1);
        units::take_parts(x, memory + a.rows + row * x_pitch() + own.chunk * RP_STEP_CHUNK * 2 + lane % 4 * 8, 0, a.rows_own * x_pitch(),
                          backs() + own.chunk * RP_STEP_ROWS_OWN + lane % 4 * 2);
        float acc[TURNS][4] = {};
#pragma unroll
        for (uint32_t t = 0; t < TURNS; t++) { take(w[t], own, t); }
#pragma unroll
        for (uint32_t t = 0; t < TURNS; t++) { units::multiply(acc[t], x, w[t]); }
        float *to = this->sums() + (own.first * 2 * p.n_chunks + own.chunk) * PLACE + lane % 4 * 16 + lane / 4;
#pragma unroll
        for (uint32_t t = 0; t < TURNS; t++, to += p.lanes_n * 2 * p.n_chunks * PLACE) {
            if (t >= own.turns) { break; }
            float *second = to + p.n_chunks * PLACE;     // of a block that is not there: nobody reads it
            to[0] = acc[t][0], to[8] = acc[t][1], second[0] = acc[t][2], second[8] = acc[t][3];
        }
    }
    // Number (row, column) of a block: sums of chunks, ascending; then as linear ends.
    __device__ __forceinline__ float result(const rp_step_product &p, uint32_t block, uint32_t row, uint32_t column, float scale, float bias) const {
        const float *from = this->sums() + block * p.n_chunks * PLACE + row * 8 + column;
        float part[MOST];
#pragma unroll
        for (uint32_t i = 0; i < MOST; i++) { part[i] = i < p.n_chunks ? from[i * PLACE] : -0.0f; }
        float total = part[0];
#pragma unroll
        for (uint32_t i = 1; i < MOST; i++) { total = __fadd_rn(total, part[i]); }
        return __fadd_rn(__fmul_rn(total, scale), bias);
    }
    // What w's row of a column has in common, and the column's bias.
    __device__ __forceinline__ float2 ends_of(uint32_t column) const {
        const float *bias = reinterpret_cast<const float *>(a.bias_in);
        return make_float2(reinterpret_cast<const float *>(a.scale_in)[column], bias != nullptr ? bias[column] : -0.0f);
    }
    // Eight neighbours' numbers, one a lane, to shared memory of the group that is the lane's number, and from the first to memory.
    __device__ __forceinline__ void send_eight(bool live, float x, char *to, uint32_t number, float *y) const {
        float eight[8];
#pragma unroll
        for (int i = 0; i < 8; i++) { eight[i] = __shfl_sync(0xffffffffu, x, i, 8); }
        if (!live) { return; }
        const uint4 low = make_uint4(__float_as_uint(eight[0]), __float_as_uint(eight[1]), __float_as_uint(eight[2]), __float_as_uint(eight[3]));
        const uint4 high = make_uint4(__float_as_uint(eight[4]), __float_as_uint(eight[5]), __float_as_uint(eight[6]), __float_as_uint(eight[7]));
        rp_cluster_send(to, number, this->ready(RP_STEP_MID), low), rp_cluster_send(to + 16, number, this->ready(RP_STEP_MID), high);
        if (number == 0) { reinterpret_cast<uint4 *>(y)[0] = low, reinterpret_cast<uint4 *>(y)[1] = high; }
    }

    __device__ __forceinline__ uint32_t mid_pitch() const { return RP_STEP_PAIR_MID(a.out.n_chunks); }
    // The second product, of what lies at `mid`: a sum for each chunk, to this set's parts.
    __device__ __forceinline__ void finish(const part &own) const {
        if (own.turns == 0) { return; }
        typename units::operand x;
        typename units::other w;
        take(w, own, 0);
        units::take_whole(x, memory + a.mid + min(lane / 4, m - 1) * mid_pitch() + own.chunk * RP_STEP_CHUNK * 4 + lane % 4 * 16, 0);
        float acc[4] = {};
        units::multiply(acc, x, w);
        const uint32_t column = rank * columns + own.first * 16 + lane / 4, row = lane % 4 * 2;
        float *to = reinterpret_cast<float *>(a.sums) + ((uint64_t)(set * a.out.n_chunks + own.chunk) * a.m + row0 + row) * a.d + column;
        const bool second = own.first * 16 + 8 < columns;
        if (row < m) {
            to[0] = acc[0];
            if (second) { to[8] = acc[2]; }
        }
        if (row + 1 < m) {
            to[a.d] = acc[1];
            if (second) { to[a.d + 8] = acc[3]; }
        }
    }
};

#endif
#endif
