// What the blocks of a decode step share (core/step_block.h): each group sums up and normalises rows of x; products of few rows
// whose weights came to shared memory before the wait. For compute capability 9.0 and later.
#ifndef RP_STEP_BLOCK_CUH
#define RP_STEP_BLOCK_CUH

#include "cluster.cuh"
#include "copy_async.cuh"
#include "matrix.cuh"
#include "norm.cuh"
#include "step_block.h"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

// Barriers on which a group waits, each for one arrival of so many bytes: what the second product multiplies, or q, k and v of attention; paths'
// parts; attention's result.
enum rp_step_barrier { RP_STEP_MID, RP_STEP_PARTS, RP_STEP_ATTENDED, RP_STEP_BARRIERS };

__device__ inline uint4 rp_step_four(const void *from) { return *reinterpret_cast<const uint4 *>(from); }
// Past the L1 cache, which other launches on this multiprocessor may have filled.
__device__ inline float4 rp_step_global(const float *from) { return __ldcg(reinterpret_cast<const float4 *>(from)); }

// Of so many things dealt to so many, one's share: first come those that have one more.
struct rp_step_share {
    uint32_t n, first;

    __device__ rp_step_share(uint32_t things, uint32_t all, uint32_t which) {
        const uint32_t least = things / all, more = things % all;
        n = least + (which < more), first = which * least + min(which, more);
    }
};

// Warps of a group that do something together while others do something else: so many from `first` on.
struct rp_step_crew {
    uint32_t first, n;

    __device__ __forceinline__ bool has(uint32_t warp) const { return warp - first < n; }
};

// x is the units' operand of eight, two blocks of weights are that of sixteen. ONE: of one row in all. SIZE: invocations of a group.
template <bool ONE, uint32_t SIZE = RP_STEP_GROUP> struct rp_step_group {
    static constexpr uint32_t WARPS = SIZE / 32, PLACE = 64, TURNS = RP_STEP_TURNS, RANKS = RP_STEP_RANKS;
    const rp_step_block_args &a;
    char *const memory;
    // set: of heads, or of hidden numbers; row0, m: rows of the cluster; columns: of x, a group's own.
    const uint32_t rank, set, row0, m, warp, lane, columns;

    __device__ rp_step_group(const rp_step_block_args &args, char *shared)
        : a(args), memory(shared), rank(blockIdx.x % RANKS), set(blockIdx.x / RANKS % args.n_sums),
          row0(ONE ? 0 : blockIdx.x / RANKS / args.n_sums * args.rows_own), m(ONE ? 1 : min(args.rows_own, args.m - row0)),
          warp(threadIdx.x / 32), lane(threadIdx.x % 32), columns(args.d / RANKS) {}

    __device__ uint64_t *ready(uint32_t barrier) const { return reinterpret_cast<uint64_t *>(memory) + barrier; }
    __device__ float *squares() const { return reinterpret_cast<float *>(memory + 64); }                    // of one row: [warps]
    __device__ float *added() const { return reinterpret_cast<float *>(memory + a.added); }
    __device__ float *bias() const { return reinterpret_cast<float *>(memory + a.bias); }
    __device__ float *sums() const { return reinterpret_cast<float *>(memory + a.sums_at); }

    __device__ void expect(uint32_t barrier, uint32_t bytes) const { rp_cluster_expect(ready(barrier), bytes); }
    // What is sent, or copied, counts on this group's barrier, and is there with its count.
    __device__ __forceinline__ void wait(uint32_t barrier) const {
        asm volatile("{\n\t.reg .pred done;\n"
                     "again_%=:\n\tmbarrier.try_wait.parity.shared::cta.b64 done, [%0], 0;\n\t@!done bra again_%=;\n\t}"
                     ::"r"(rp_shared_address(ready(barrier))) : "memory");
    }

    // Barriers, made by one invocation for all; other groups may send once rp_cluster_wait_begun is back.
    __device__ __forceinline__ void begin(uint32_t mid, uint32_t attended) const {
        if (threadIdx.x == 0) {
#pragma unroll
            for (uint32_t i = 0; i < RP_STEP_BARRIERS; i++) {
                asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(rp_shared_address(ready(i))) : "memory");
            }
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
            expect(RP_STEP_MID, mid), expect(RP_STEP_ATTENDED, attended);
        }
        asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
        __syncthreads();                       // barriers: made by one, used by all
    }

    // Asks for blocks of weights: row_of(i) says which row of w [n, k] is the i-th; `bytes` of each from `skip` on. There after rp_copy_wait<0>
    // and a barrier. TURNED: halves of each 128 bytes of odd rows change places, where rows lie without pads. crew: who asks.
    template <bool TURNED = false, class RowOf>
    __device__ __forceinline__ void fetch(const rp_step_product &p, uint64_t w, uint64_t row_bytes, uint32_t skip, uint32_t bytes, uint32_t rows,
                                          const RowOf &row_of, const rp_step_crew &crew = { 0, WARPS }) const {
        if (!crew.has(warp)) { return; }
        const uint32_t mine = warp - crew.first;
        // A warp takes a row, or, of rows of at most half a warp's pieces, two.
        const uint32_t pieces = bytes / 16, two = pieces <= 16 ? 1 : 0, first = (lane & (31 >> two)) * 16;
        const char *from = reinterpret_cast<const char *>(w) + skip;
        char *to = memory + p.weights;
#pragma unroll 1
        for (uint32_t row = (mine << two) + (two != 0 ? lane / 16 : 0); row < rows; row += crew.n << two) {
            const char *row_from = from + row_of(row) * row_bytes + first;
            char *row_to = to + row * p.pitch + (first ^ (TURNED ? row % 2 * RP_STEP_TURN : 0));
#pragma unroll 1
            for (uint32_t at = first; at < bytes; at += 512, row_from += 512, row_to += 512) { rp_copy16(row_to, row_from, 16); }
        }
        for (uint32_t i = mine * 32 + lane; i < rows; i += crew.n * 32) {             // weights that are not are to be numbers
            clear(to + i * p.pitch, bytes, p, TURNED ? i % 2 * RP_STEP_TURN : 0);
        }
        rp_copy_commit();
    }
    // The second product's: those of the group's columns of x.
    template <bool TURNED = false>
    __device__ __forceinline__ void fetch_out(uint32_t row_bytes, uint32_t skip, uint32_t bytes, const rp_step_crew &crew = { 0, WARPS }) const {
        fetch<TURNED>(a.out, a.w_out, row_bytes, skip, bytes, columns, [&](uint32_t i) { return rank * columns + i; }, crew);
    }
    // Zeros from so many bytes of a row on to the end of its last chunk.
    __device__ static __forceinline__ void clear(char *row, uint32_t bytes, const rp_step_product &p, uint32_t turn = 0) {
        for (uint32_t at = bytes; at < p.n_chunks * RP_STEP_CHUNK * 2; at += 16) { *reinterpret_cast<uint4 *>(row + (at ^ turn)) = make_uint4(0, 0, 0, 0); }
    }
    // The same of what the second product multiplies.
    template <bool TURNED = false> __device__ __forceinline__ void clear_mid(uint32_t bytes) const {
        for (uint32_t row = threadIdx.x; row < m; row += SIZE) {
            clear(memory + a.mid + row * a.out.pitch, bytes, a.out, TURNED ? row % 2 * RP_STEP_TURN : 0);
        }
    }
    // Biases of the first product's columns, column_of(i), and of the second's, which one cluster adds.
    template <class ColumnOf> __device__ __forceinline__ void fetch_bias(uint32_t n, const ColumnOf &column_of) const {
        const float *in = reinterpret_cast<const float *>(a.bias_in), *out = reinterpret_cast<const float *>(a.bias_out);
        for (uint32_t i = threadIdx.x; i < n; i += SIZE) { bias()[i] = in != nullptr ? in[column_of(i)] : 0.0f; }
        for (uint32_t i = threadIdx.x; i < columns; i += SIZE) {
            bias()[a.in.blocks * 8 + i] = out != nullptr ? out[rank * columns + i] : 0.0f;
        }
    }

    // ---- rows of x: summed up, normalised, float16, in every group ----

    // One row: four columns an invocation. Several: a warp a row, four columns a lane, and another four 128 further.
    static constexpr uint32_t FOURS = ONE ? 1 : 2, MOST_PARTS = ONE ? RP_STEP_CLUSTERS : RP_STEP_SETS;
    struct rows_of_x {                         // worked out before the wait
        uint32_t apart;                        // bytes from one part to the next
        const char *from;                      // this invocation's first four columns, of the first part
        char *to;                              // and of the row as float16
        float *added[FOURS], *keep[FOURS];     // where x itself goes; NULL: nowhere
        uint32_t n_parts[FOURS];               // 0 where there is no such column, or row
        float4 factor[FOURS];
    };
    __device__ __forceinline__ rows_of_x find_rows() const {
        rows_of_x x;
        const uint32_t row = ONE ? 0 : warp, first = (ONE ? threadIdx.x : lane) * 4, at = (row0 + row) * a.d + first;
        x.apart = a.m * a.d * 4, x.from = reinterpret_cast<const char *>(a.parts) + (uint64_t)at * 4;
        x.to = memory + a.rows + row * a.in.pitch + first * 2;
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) {
            const uint32_t column = first + i * 128;
            const bool live = column < a.d && row < m;
            const bool own = live && set == 0 && column >= rank * columns && column < (rank + 1) * columns;
            x.added[i] = own ? added() + row * columns + column - rank * columns : nullptr;
            x.keep[i] = own && a.x != 0 ? reinterpret_cast<float *>(a.x) + at + i * 128 : nullptr;
            x.n_parts[i] = live ? a.n_parts : 0;
            x.factor[i] = live ? *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(a.scale) + column) : make_float4(0, 0, 0, 0);
            asm volatile("" : "+l"(x.added[i]), "+l"(x.keep[i]), "+r"(x.n_parts[i]));
        }
        asm volatile("" : "+r"(x.apart), "+l"(x.from), "+l"(x.to));
        return x;
    }
    __device__ static __forceinline__ uint2 normalised(const float4 &x, const float4 &factor, float root) {
        return make_uint2(rp_pair(x.x * root * factor.x, x.y * root * factor.y), rp_pair(x.z * root * factor.z, x.w * root * factor.w));
    }
    __device__ __forceinline__ float4 added_up(const rows_of_x &own, uint32_t i) const {
        float4 part[MOST_PARTS], x;
#pragma unroll
        for (uint32_t p = 0; p < MOST_PARTS; p++) {
            part[p] = p < own.n_parts[i] ? rp_step_global(reinterpret_cast<const float *>(own.from + p * own.apart + i * 512)) : make_float4(0, 0, 0, 0);
        }
        x = part[0];
#pragma unroll
        for (uint32_t p = 1; p < MOST_PARTS; p++) { x.x += part[p].x, x.y += part[p].y, x.z += part[p].z, x.w += part[p].w; }
        return x;
    }
    __device__ static __forceinline__ float square_of(const float4 &x) {
        return __fmaf_rn(x.w, x.w, __fmaf_rn(x.z, x.z, __fmaf_rn(x.y, x.y, x.x * x.x)));
    }
    __device__ __forceinline__ void take_rows(const rows_of_x &own) const {
        float4 x[FOURS];
        float total = 0;
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) { x[i] = added_up(own, i), total += square_of(x[i]); }
        total = rp_halve32(total);
        if constexpr (ONE) {
            if (lane == 0) { squares()[warp] = total; }
            __syncthreads();                   // squares: written by all warps, read by all
            static_assert(WARPS == 8, "two fours");
            const float4 low = reinterpret_cast<const float4 *>(squares())[0], high = reinterpret_cast<const float4 *>(squares())[1];
            total = ((low.x + low.y) + (low.z + low.w)) + ((high.x + high.y) + (high.z + high.w));
        }
        const float root = rp_inverse_root_of(__fmaf_rn(total, a.inverse_d, a.eps)).high;
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) {
            if (own.n_parts[i] > 0) { *reinterpret_cast<uint2 *>(own.to + i * 256) = normalised(x[i], own.factor[i], root); }
            if (own.added[i] != nullptr) { *reinterpret_cast<float4 *>(own.added[i]) = x[i]; }
        }
        __syncthreads();                       // rows: written by all, read by all
#pragma unroll
        for (uint32_t i = 0; i < FOURS; i++) {
            if (own.keep[i] != nullptr) { *reinterpret_cast<float4 *>(own.keep[i]) = x[i]; }
        }
    }

    // ---- products ----

    // Which part of a product is this warp's, worked out before the wait.
    struct part {
        uint32_t chunks, turns;                // 0: none
        uint32_t x;                            // where this lane's x of the first chunk lies, of row lane / 4, or of the last
        uint32_t low[TURNS], high[TURNS];      // and its weights, of a turn's two blocks; of a turn or a block that is not there, another's
        uint32_t sums, apart;                  // where sums of the first turn go; bytes to the next one's
        bool odd;                              // the last turn has one block
    };
    __device__ __forceinline__ part part_of(const rp_step_product &p, uint32_t x_at, uint32_t blocks) const {
        part own;
        const uint32_t along_n = warp / p.lanes_k, along_k = warp - along_n * p.lanes_k, chunk = along_k * p.each, all = (blocks + 1) / 2;
        const uint32_t first = chunk * RP_STEP_CHUNK * 2 + lane % 4 * 16;
        own.turns = along_n < min(p.lanes_n, all) ? (all - along_n + p.lanes_n - 1) / p.lanes_n : 0;
        own.chunks = own.turns > 0 && chunk < p.n_chunks ? min(p.each, p.n_chunks - chunk) : 0;
        own.odd = blocks % 2 != 0 && own.turns > 0 && along_n + (own.turns - 1) * p.lanes_n == all - 1;
        own.x = x_at + first + min(lane / 4, m - 1) * p.pitch;
#pragma unroll
        for (uint32_t t = 0; t < TURNS; t++) {
            const uint32_t block = 2 * (along_n + (t < own.turns ? t : 0) * p.lanes_n);
            own.low[t] = p.weights + first + (block * 8 + lane / 4) * p.pitch;
            own.high[t] = own.low[t] + (block + 1 < blocks ? 8 * p.pitch : 0);
            asm volatile("" : "+r"(own.low[t]), "+r"(own.high[t]));
        }
        own.sums = a.sums_at + ((along_n * 2 * p.lanes_k + along_k) * PLACE + lane % 4 * 16 + lane / 4) * 4;
        own.apart = p.lanes_n * 2 * p.lanes_k * PLACE * 4;
        asm volatile("" : "+r"(own.chunks), "+r"(own.x), "+r"(own.sums), "+r"(own.apart), "+r"(own.turns));
        return own;
    }

    // Sums of blocks over this warp's chunks: [blocks, lanes_k, PLACE], a place of eight rows by eight columns.
    __device__ __forceinline__ void multiply(const rp_step_product &p, const part &own) const {
        if (own.chunks == 0) { return; }
        float acc[TURNS][4] = {};
        uint32_t on = 0;
#pragma unroll 1
        for (uint32_t chunk = 0; chunk < own.chunks; chunk++, on += RP_STEP_CHUNK * 2) {
            uint4 x[2], low[2][TURNS], high[2][TURNS];
#pragma unroll
            for (uint32_t j = 0; j < 2; j++) {
                x[j] = rp_step_four(memory + own.x + on + j * 64);
#pragma unroll
                for (uint32_t t = 0; t < TURNS; t++) {
                    low[j][t] = rp_step_four(memory + own.low[t] + on + j * 64), high[j][t] = rp_step_four(memory + own.high[t] + on + j * 64);
                }
            }
#pragma unroll
            for (uint32_t e = 0; e < 4; e++) {
#pragma unroll
                for (uint32_t t = 0; t < TURNS; t++) {
                    const uint4 &l = low[e / 2][t], &h = high[e / 2][t], &other = x[e / 2];
                    const uint32_t sixteen[4] = { e % 2 ? l.z : l.x, e % 2 ? h.z : h.x, e % 2 ? l.w : l.y, e % 2 ? h.w : h.y };
                    rp_mma(acc[t], sixteen, e % 2 ? other.z : other.x, e % 2 ? other.w : other.y);
                }
            }
        }
        char *to = memory + own.sums;
#pragma unroll
        for (uint32_t t = 0; t < TURNS; t++, to += own.apart) {
            float *sum = reinterpret_cast<float *>(to);
            if (t >= own.turns) { break; }
            sum[0] = acc[t][0], sum[8] = acc[t][1];
            if (!own.odd || t + 1 < own.turns) {
                sum += p.lanes_k * PLACE;
                sum[0] = acc[t][2], sum[8] = acc[t][3];
            }
        }
    }
    // A sum over warps, ascending, from the first one's place on.
    __device__ __forceinline__ float sum(const rp_step_product &p, const float *from) const {
        float part[RP_STEP_LANES], total = 0;
#pragma unroll
        for (uint32_t i = 0; i < RP_STEP_LANES; i++) { part[i] = i < p.lanes_k ? from[i * PLACE] : 0.0f; }
#pragma unroll
        for (uint32_t i = 0; i < RP_STEP_LANES; i++) { total += part[i]; }
        return total;
    }

    // Number i of a product's results, or, where gated, of the pairs that make one: eight columns of a row side by side.
    struct result_at {
        uint32_t block, row, column;
        bool live;
    };
    __device__ __forceinline__ result_at result_of(uint32_t i, uint32_t blocks) const {
        const uint32_t eight = i / 8, block = ONE ? eight : rp_quotient(eight, m);
        result_at r = { block, eight - block * m, i % 8, block < blocks };
        asm volatile("" : "+r"(r.block), "+r"(r.row));
        return r;
    }
    __device__ __forceinline__ const float *sums_of(const rp_step_product &p, uint32_t block, const result_at &r) const {
        return sums() + block * p.lanes_k * PLACE + r.row * 8 + r.column;
    }

    // Eight neighbours' numbers as float16, in each of eight lanes.
    __device__ static __forceinline__ uint4 gather(float x) {
        const uint32_t half = __half_as_ushort(rp_half(x)), two = half | __shfl_down_sync(0xffffffffu, half, 1, 8) << 16;
        return make_uint4(__shfl_sync(0xffffffffu, two, 0, 8), __shfl_sync(0xffffffffu, two, 2, 8), __shfl_sync(0xffffffffu, two, 4, 8),
                          __shfl_sync(0xffffffffu, two, 6, 8));
    }

    // The second product, of what lies at `mid`, to this set's part; the first one's is x and bias besides.
    __device__ __forceinline__ void finish(const part &own, result_at r) const {
        const uint32_t blocks = columns / 8;
        float *to = reinterpret_cast<float *>(a.sums) + ((uint64_t)set * a.m + row0) * a.d + rank * columns;
        multiply(a.out, own);
        __syncthreads();                       // sums: written by all, read by all
#pragma unroll 1
        for (uint32_t i = threadIdx.x; r.live;) {
            const uint32_t column = r.block * 8 + r.column;
            float total = sum(a.out, sums_of(a.out, r.block, r));
            if (set == 0) { total += bias()[a.in.blocks * 8 + column] + added()[r.row * columns + column]; }
            to[r.row * a.d + column] = total;
            i += SIZE, r = result_of(i, blocks);
        }
    }
};

#endif

// A kernel of the name that does what `function` of one row, or several, does.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define RP_STEP_KERNEL(name, function, one)                                                                                      \
    extern "C" __global__ void __cluster_dims__(RP_STEP_RANKS, 1, 1) __maxnreg__(128) name(const __grid_constant__ rp_step_block_args args) { \
        extern __shared__ __align__(128) char step_memory[];                                                                     \
        rp_release();                                                                                                            \
        function<one>(args, step_memory);                                                                                        \
    }
#else
#define RP_STEP_KERNEL(name, function, one) \
    extern "C" __global__ void name(const rp_step_block_args) {}
#endif

#endif
