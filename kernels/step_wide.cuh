// What the wide blocks of a decode step share (core/step_block.h): several rows, of more columns than a warp takes. Each group of a cluster sums up
// its slice of all rows, an eighth of their columns, and sends it to all groups; of the first product two warps take one slice of k, as soon as that is
// there. Rows of a slice are scaled by powers of two, and sums by the root once all slices' squares are known. For compute capability 9.0 and later.
#ifndef RP_STEP_WIDE_CUH
#define RP_STEP_WIDE_CUH

#include "step_block.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

// Rows are the units' operand of sixteen, a block of weights is that of eight. In shared memory rows of float16 have no pads: of two that are read
// at once, the odd one's halves of each 128 bytes have changed places. What is read of k goes by thirty-twos, SLICE_K of a slice; no load stands
// behind a branch, so that all are asked for together.
template <uint32_t SLICE_K> struct rp_step_wide : rp_step_group<false, RP_STEP_WIDE_GROUP> {
    using base = rp_step_group<false, RP_STEP_WIDE_GROUP>;
    using typename base::result_at;
    using base::WARPS, base::RANKS, base::a, base::memory, base::rank, base::set, base::m, base::warp, base::lane, base::columns;
    using base::ready, base::expect, base::wait, base::added, base::bias, base::sums, base::square_of;
    static constexpr uint32_t SLICES = RP_STEP_BARRIERS;                         // barrier of the first slice
    static_assert(WARPS == RP_STEP_ROWS && WARPS == 2 * RANKS, "a warp takes a row, and half of the blocks of a slice");

    struct head {                              // of a row of a slice
        float square, back;                    // sum of its squares; what undoes its scale
    };

    __device__ rp_step_wide(const rp_step_block_args &args, char *shared) : base(args, shared) {}

    static constexpr uint32_t SLICE_ROW = RP_STEP_SLICE_ROW(SLICE_K);
    __device__ __forceinline__ uint32_t slice_bytes() const { return RP_STEP_SLICE(a.m, SLICE_ROW); }
    __device__ __forceinline__ char *slice(uint32_t i) const { return memory + a.rows + i * slice_bytes(); }
    __device__ __forceinline__ head *heads_of(uint32_t i) const { return reinterpret_cast<head *>(slice(i)); }
    __device__ static __forceinline__ uint32_t turn_of(uint32_t row) { return row % 2 * RP_STEP_TURN; }

    __device__ __forceinline__ void begin(uint32_t mid, uint32_t parts, uint32_t attended) const {
        const bool own = lane < SLICES + RANKS;
        if (warp == 0) {
            if (own) {
                asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;\n\tfence.mbarrier_init.release.cluster;" ::"r"(rp_shared_address(ready(lane))) : "memory");
            }
            __syncwarp();
            if (own) { expect(lane, lane == RP_STEP_MID ? mid : lane == RP_STEP_PARTS ? parts : lane == RP_STEP_ATTENDED ? attended : slice_bytes()); }
        }
        __syncthreads();                       // barriers: made by some, used by all
        asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
    }
    // Before the wait: weights are there, and other groups have begun and made their barriers.
    __device__ __forceinline__ void begun() const {
        rp_copy_wait<0>();
        __syncthreads();                       // what was copied, or cleared: by all, read by all
        rp_cluster_wait_begun();
    }

    // Float32 numbers by fours, asked for by one warp, from where from(i) says; zeros where that is NULL.
    template <class From> __device__ __forceinline__ void fetch_fours(uint32_t by, float *to, uint32_t fours, const void *any, const From &from) const {
        if (warp != by) { return; }
#pragma unroll 1
        for (uint32_t i = lane; i < fours; i += 32) {
            const float *at = from(i);
            rp_copy16(to + i * 4, at != nullptr ? at : any, at != nullptr ? 16 : 0);
        }
        rp_copy_commit();
    }
    // Biases of the first product's columns, column_of(block) and seven more, and of the second's, which one cluster adds.
    template <class ColumnOf> __device__ __forceinline__ void fetch_biases(uint32_t blocks, const ColumnOf &column_of) const {
        const float *in = reinterpret_cast<const float *>(a.bias_in), *out = reinterpret_cast<const float *>(a.bias_out);
        const void *any = reinterpret_cast<const void *>(a.scale);
        fetch_fours(WARPS - 1, bias(), blocks * 2, any, [&](uint32_t i) { return in != nullptr ? in + column_of(i / 2) + i % 2 * 4 : nullptr; });
        fetch_fours(WARPS - 2, bias() + a.in.blocks * 8, columns / 4, any, [&](uint32_t i) { return out != nullptr ? out + rank * columns + i * 4 : nullptr; });
    }
    // Behind so many rows of the first product's weights, what the last slice's last thirty-two of k reaches: numbers, as x is none there. Where
    // nothing lies between, the second product's.
    __device__ __forceinline__ void clear_behind(uint32_t rows) const {
        const uint32_t at = a.in.weights + rows * a.in.pitch;
        if (threadIdx.x < RP_STEP_TURN / 8 && at < a.out.weights) { *reinterpret_cast<uint4 *>(memory + at + threadIdx.x * 16) = make_uint4(0, 0, 0, 0); }
    }

    // ---- rows of x ----

    // A warp takes a row of the group's slice, a lane four columns.
    struct wide_rows {
        uint32_t apart, n_parts;               // bytes from one part to the next; 0 parts where there is no row, or no column
        const char *from;                      // of the first part
        uint32_t to, added;                    // in the slice, and where x itself goes: in shared memory, in bytes; 0: nowhere
        float *keep;                           // and in memory; NULL: nowhere
        float4 factor;
    };
    __device__ __forceinline__ wide_rows find_slice() const {
        wide_rows x;
        const uint32_t column = min(lane * 4, columns - 4), row = min(warp, m - 1), at = row * a.d + rank * columns + column;
        const bool live = warp < m && lane * 4 < columns, own = live && set == 0;
        x.apart = a.m * a.d * 4, x.n_parts = live ? a.n_parts : 0;
        x.factor = *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(a.scale) + rank * columns + column);
        x.from = reinterpret_cast<const char *>(a.parts) + (uint64_t)at * 4;
        x.to = a.rows + rank * slice_bytes() + RP_STEP_HEADS(a.m) + row * SLICE_ROW + (lane * 8 ^ turn_of(row));
        if (warp >= m || lane * 8 >= SLICE_ROW) { x.to = 0; }
        x.added = own ? a.added + (row * columns + column) * 4 : 0;
        x.keep = own && a.x != 0 ? reinterpret_cast<float *>(a.x) + at : nullptr;
        asm volatile("" : "+l"(x.from), "+r"(x.to), "+r"(x.added), "+l"(x.keep), "+r"(x.apart), "+r"(x.n_parts));
        return x;
    }
    // Sums up, scales and sends the group's slice.
    __device__ __forceinline__ void take_slice(const wide_rows &own) const {
        float4 part[RP_STEP_CLUSTERS], x;
#pragma unroll
        for (uint32_t p = 0; p < RP_STEP_CLUSTERS; p++) {
            part[p] = p < own.n_parts ? rp_step_global(reinterpret_cast<const float *>(own.from + p * own.apart)) : make_float4(0, 0, 0, 0);
        }
        x = part[0];
#pragma unroll
        for (uint32_t p = 1; p < RP_STEP_CLUSTERS; p++) { x.x += part[p].x, x.y += part[p].y, x.z += part[p].z, x.w += part[p].w; }
        const float4 y = make_float4(x.x * own.factor.x, x.y * own.factor.y, x.z * own.factor.z, x.w * own.factor.w);
        float most = fmaxf(fmaxf(fabsf(y.x), fabsf(y.y)), fmaxf(fabsf(y.z), fabsf(y.w))), square = square_of(x);
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2) {
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
            square += __shfl_xor_sync(0xffffffffu, square, distance);
        }
        // The largest number to [1, 2): a power of two between 2^-100 and 2^100.
        const uint32_t power = min(max(__float_as_uint(most) & 0x7f800000u, 27u << 23), 227u << 23);
        const float scale = __uint_as_float((254u << 23) - power);
        if (own.to != 0) {
            *reinterpret_cast<uint2 *>(memory + own.to) = make_uint2(rp_pair(y.x * scale, y.y * scale), rp_pair(y.z * scale, y.w * scale));
            if (lane == 0) { heads_of(rank)[warp] = { square, __uint_as_float(power) }; }
        }
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        __syncthreads();                       // the slice: written by all, sent by one of each warp
        if (lane == 0 && warp < RANKS && warp != rank) {
            asm volatile("{\n\t.reg .b32 there, barrier;\n\tmapa.shared::cluster.u32 there, %0, %3;\n\tmapa.shared::cluster.u32 barrier, %1, %3;\n\t"
                         "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [there], [%0], %2, [barrier];\n\t}"
                         ::"r"(rp_shared_address(slice(rank))), "r"(rp_shared_address(ready(SLICES + rank))), "r"(slice_bytes()), "r"(warp) : "memory");
        }
        if (own.added != 0) { *reinterpret_cast<float4 *>(memory + own.added) = x; }
        if (own.keep != nullptr) { *reinterpret_cast<float4 *>(own.keep) = x; }
    }
    // Of a row, once all slices are there: what its sums are multiplied by.
    __device__ __forceinline__ float root_of(uint32_t row) const {
        float square[RANKS], total = 0;
#pragma unroll
        for (uint32_t i = 0; i < RANKS; i++) { square[i] = heads_of(i)[row].square; }
#pragma unroll
        for (uint32_t i = 0; i < RANKS; i++) { total += square[i]; }
        return rp_inverse_root_of(__fmaf_rn(total, a.inverse_d, a.eps)).high;
    }

    // ---- products ----

    // Of bytes of a row of float16 in shared memory: this lane's sixteen from `k` on.
    __device__ __forceinline__ uint32_t in_row(uint32_t row, uint32_t k) const { return (k + lane % 4 * 16) ^ turn_of(row); }
    __device__ static __forceinline__ void multiply32(float (&sum)[4], const uint4 (&x)[2], const uint4 &w) {
        const uint32_t one[4] = { x[0].x, x[1].x, x[0].y, x[1].y }, two[4] = { x[0].z, x[1].z, x[0].w, x[1].w };
        rp_mma(sum, one, w.x, w.y), rp_mma(sum, two, w.z, w.w);
    }
    // Sums lie as [blocks, lanes along k, m, 8].
    __device__ __forceinline__ float *place_of(uint32_t block, uint32_t lanes_k, uint32_t along_k) const { return sums() + (block * lanes_k + along_k) * m * 8; }
    __device__ __forceinline__ void put(const float (&sum)[4], uint32_t block, uint32_t lanes_k, uint32_t along_k, const float (&back)[2]) const {
        float2 *to = reinterpret_cast<float2 *>(place_of(block, lanes_k, along_k)) + lane;
        if (lane / 4 < m) { to[0] = make_float2(sum[0] * back[0], sum[1] * back[0]); }
        if (lane / 4 + 8 < m) { to[32] = make_float2(sum[2] * back[1], sum[3] * back[1]); }
    }

    // The first product: of a slice's two warps each takes every other block; one that is not there is another's, and goes nowhere.
    // Weights of the first thirty-two of k come before the wait, of others while those in front are multiplied.
    template <uint32_t BLOCKS> struct of_slice {
        uint32_t blocks, w[BLOCKS];            // of the group; where row lane / 4 of this warp's lies, in bytes
        uint4 first[BLOCKS];
        uint32_t x[2];                         // this lane's first piece of rows lane / 4 and that + 8; 0: there is none
    };
    __device__ __forceinline__ uint32_t which() const { return warp % RANKS; }
    template <uint32_t BLOCKS> __device__ __forceinline__ void take_weights(uint4 (&to)[BLOCKS], const of_slice<BLOCKS> &own, uint32_t i) const {
        const uint32_t at = in_row(lane / 4, which() * columns * 2 + i * 64);
#pragma unroll
        for (uint32_t b = 0; b < BLOCKS; b++) { to[b] = rp_step_four(memory + own.w[b] + at); }
    }
    template <uint32_t BLOCKS> __device__ __forceinline__ of_slice<BLOCKS> find_product(uint32_t blocks) const {
        of_slice<BLOCKS> own;
        const uint32_t rows = a.rows + which() * slice_bytes() + RP_STEP_HEADS(m), own_first = warp / RANKS;
        own.blocks = blocks;
#pragma unroll
        for (uint32_t b = 0; b < BLOCKS; b++) {
            const uint32_t block = own_first + 2 * b < blocks ? own_first + 2 * b : own_first;
            own.w[b] = a.in.weights + (block * 8 + lane / 4) * a.in.pitch;
            asm volatile("" : "+r"(own.w[b]));
        }
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t row = lane / 4 + 8 * i;
            own.x[i] = row < m ? rows + row * SLICE_ROW + lane % 4 * 16 : 0;
            asm volatile("" : "+r"(own.x[i]));
        }
        take_weights(own.first, own, 0);
        return own;
    }
    template <uint32_t BLOCKS> __device__ __forceinline__ void multiply_slice(const of_slice<BLOCKS> &own) const {
        float sum[BLOCKS][4] = {};
        uint4 w[2][BLOCKS], x[SLICE_K][2] = {};
#pragma unroll
        for (uint32_t b = 0; b < BLOCKS; b++) { w[0][b] = own.first[b]; }
        if (which() != rank) { wait(SLICES + which()); }
#pragma unroll
        for (uint32_t i = 0; i < SLICE_K; i++) {
#pragma unroll
            for (uint32_t h = 0; h < 2; h++) {
                if (own.x[h] != 0) { x[i][h] = rp_step_four(memory + own.x[h] + (i * 64 ^ turn_of(lane / 4))); }
            }
        }
        const float back[2] = { heads_of(which())[min(lane / 4, m - 1)].back, heads_of(which())[min(lane / 4 + 8, m - 1)].back };
#pragma unroll
        for (uint32_t i = 0; i < SLICE_K; i++) {
            if (i + 1 < SLICE_K) { take_weights(w[(i + 1) % 2], own, i + 1); }
#pragma unroll
            for (uint32_t b = 0; b < BLOCKS; b++) { multiply32(sum[b], x[i], w[i % 2][b]); }
        }
        __syncthreads();                       // weights: read by all before sums are written there; slices: waited for by two warps each
#pragma unroll
        for (uint32_t b = 0; b < BLOCKS; b++) {
            const uint32_t block = warp / RANKS + 2 * b;
            if (block < own.blocks) { put(sum[b], block, RANKS, which(), back); }
        }
    }
    __device__ __forceinline__ float first_sum(uint32_t block, const result_at &r) const {
        const float *from = place_of(block, RANKS, 0) + r.row * 8 + r.column;
        float part[RANKS], total = 0;
#pragma unroll
        for (uint32_t i = 0; i < RANKS; i++) { part[i] = from[i * m * 8]; }
#pragma unroll
        for (uint32_t i = 0; i < RANKS; i++) { total += part[i]; }
        return total;
    }

    // The second product: a warp takes one chunk of k, of every so many blocks.
    struct of_mid {
        uint32_t along_k, along_n, blocks;     // blocks: how many
        uint32_t w, apart, x[2];               // rows of weights, of the first block, and from one to the next; and of x, as above
    };
    __device__ __forceinline__ of_mid find_second() const {
        const rp_step_product &p = a.out;
        of_mid own;
        own.along_n = rp_quotient(warp, p.lanes_k), own.along_k = warp - own.along_n * p.lanes_k;
        own.blocks = own.along_n < p.lanes_n ? (p.blocks - own.along_n + p.lanes_n - 1) / p.lanes_n : 0;
        own.w = p.weights + (own.along_n * 8 + lane / 4) * p.pitch + own.along_k * 128 + lane % 4 * 16, own.apart = p.lanes_n * 8 * p.pitch;
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t row = lane / 4 + 8 * i;
            own.x[i] = row < m ? a.mid + row * p.pitch + own.along_k * 128 + lane % 4 * 16 : 0;
            asm volatile("" : "+r"(own.x[i]));
        }
        asm volatile("" : "+r"(own.along_n), "+r"(own.along_k), "+r"(own.blocks), "+r"(own.w), "+r"(own.apart));
        return own;
    }
    // Of what lies at `mid`, to this set's part; the first one's is x and bias besides.
    __device__ __forceinline__ void finish(const of_mid &own) const {
        const rp_step_product &p = a.out;
        const uint32_t fours = columns / 4, row = rp_quotient(threadIdx.x, fours), column = (threadIdx.x - row * fours) * 4;
        uint4 x[2][2] = {};
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
#pragma unroll
            for (uint32_t h = 0; h < 2; h++) {
                if (own.x[h] != 0) { x[i][h] = rp_step_four(memory + own.x[h] + (i * 64 ^ turn_of(lane / 4))); }
            }
        }
        const float back[2] = { 1, 1 };
#pragma unroll 1
        for (uint32_t b = 0; b < own.blocks; b++) {
            float sum[2][4] = {};
#pragma unroll
            for (uint32_t i = 0; i < 2; i++) { multiply32(sum[i], x[i], rp_step_four(memory + own.w + b * own.apart + (i * 64 ^ turn_of(lane / 4)))); }
#pragma unroll
            for (uint32_t e = 0; e < 4; e++) { sum[0][e] += sum[1][e]; }
            put(sum[0], own.along_n + b * p.lanes_n, p.lanes_k, own.along_k, back);
        }
        __syncthreads();                       // sums: written by all, read by all
        if (row < m) {
            const float *from = place_of(column / 8, p.lanes_k, 0) + row * 8 + column % 8;
            float4 y = *reinterpret_cast<const float4 *>(from);
#pragma unroll 1
            for (uint32_t k = 1; k < p.lanes_k; k++) {
                const float4 more = *reinterpret_cast<const float4 *>(from + k * m * 8);
                y.x += more.x, y.y += more.y, y.z += more.z, y.w += more.w;
            }
            if (set == 0) {
                const float4 rest = *reinterpret_cast<const float4 *>(added() + row * columns + column);
                const float4 more = *reinterpret_cast<const float4 *>(bias() + a.in.blocks * 8 + column);
                y.x += more.x + rest.x, y.y += more.y + rest.y, y.z += more.z + rest.z, y.w += more.w + rest.w;
            }
            *reinterpret_cast<float4 *>(reinterpret_cast<float *>(a.sums) + ((uint64_t)set * a.m + row) * a.d + rank * columns + column) = y;
        }
    }
};

#endif

// A kernel of the name that does what `function` does. A group has a multiprocessor to itself.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define RP_STEP_WIDE_KERNEL(name, function)                                                                                      \
    extern "C" __global__ void __cluster_dims__(RP_STEP_RANKS, 1, 1) __maxnreg__(128) name(const __grid_constant__ rp_step_block_args args) { \
        extern __shared__ __align__(128) char step_memory[];                                                                     \
        rp_release();                                                                                                            \
        function(args, step_memory);                                                                                             \
    }
#else
#define RP_STEP_WIDE_KERNEL(name, function) \
    extern "C" __global__ void name(const rp_step_block_args) {}
#endif

#endif
