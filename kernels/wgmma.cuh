// The matrix units of compute capability 9.0 and what feeds them: barriers in shared memory, tiles copied by the tensor copy engine,
// products of a warpgroup (PTX ISA: mbarrier, cp.async.bulk.tensor, wgmma). Only in machine code for sm_90a.
#ifndef RP_WGMMA_CUH
#define RP_WGMMA_CUH

#include "cluster.cuh"

// A tensor map as the driver encodes it (core/args.h).
struct alignas(64) rp_tensor_map {
    uint64_t words[16];
};

// The host's pass sees all of this too, so that a program can launch kernels made of it.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
#define RP_HAS_WGMMA 1

// ---- barriers: a phase ends when `count` have arrived and all bytes expected have come ----

__device__ inline void rp_barrier_init(uint64_t *barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(rp_shared_address(barrier)), "r"(count) : "memory");
}
// Makes barriers known to the copy engine; before the barrier of threads that follows.
__device__ inline void rp_barrier_publish() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void rp_barrier_arrive(uint64_t *barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(rp_shared_address(barrier)) : "memory");
}
__device__ inline void rp_barrier_expect(uint64_t *barrier, uint32_t bytes) {     // arrives too
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(rp_shared_address(barrier)), "r"(bytes) : "memory");
}
// Waits for the end of the phase of this parity: the first phase has parity 0, and the one before it counts as ended.
__device__ inline void rp_barrier_wait(uint64_t *barrier, uint32_t parity) {
    asm volatile("{\n.reg .pred done;\nwait_%=:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra wait_%=;\n}"
                 ::"r"(rp_shared_address(barrier)), "r"(parity) : "memory");
}

// ---- the copy engine: a box of a matrix, rows of 64 float16, each piece of 16 bytes turned by its row modulo 8; zeros outside ----

__device__ inline void rp_box_prefetch(const rp_tensor_map *map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }
__device__ inline void rp_box_load(void *to, const rp_tensor_map *map, uint32_t column, uint32_t row, uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(rp_shared_address(to)),
                 "l"(map), "r"(rp_shared_address(barrier)), "r"(column), "r"(row)
                 : "memory");
}
// The same to several groups of the cluster, those of `mask`, in each where `to` and `barrier` lie here.
__device__ inline void rp_box_share(void *to, const rp_tensor_map *map, uint32_t column, uint32_t row, uint64_t *barrier, uint32_t mask) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(
                     rp_shared_address(to)), "l"(map), "r"(rp_shared_address(barrier)), "r"(column), "r"(row), "h"((uint16_t)mask)
                 : "memory");
}
// Four blocks of 8 x 8 float16 to shared memory; lane i of 8 j .. 8 j + 7 gives the address of row i % 8 of block j.
__device__ inline void rp_store_blocks(__half *row, const uint32_t (&from)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(rp_shared_address(row)), "r"(from[0]), "r"(from[1]), "r"(from[2]),
                 "r"(from[3])
                 : "memory");
}

// Gives registers of a warpgroup away, or takes some.
template <int N> __device__ inline void rp_registers_fewer() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> __device__ inline void rp_registers_more() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
// What this invocation stored in shared memory comes before what the units read of it; then a barrier.
__device__ inline void rp_wgmma_publish() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- products of a warpgroup: acc[64, N] (+)= a[64, 16] b[N, 16]^T, both in shared memory as boxes lie there ----

// Rows of 128 bytes, 1024 bytes from one eight of rows to the next, 128-byte swizzle. Sixteen columns further: + 2.
__device__ inline uint64_t rp_box_describe(const void *at) {
    return (uint64_t)((rp_shared_address(at) & 0x3ffff) >> 4) | (uint64_t)1 << 16 | (uint64_t)64 << 32 | (uint64_t)1 << 62;
}
__device__ inline void rp_wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void rp_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until all but the latest N commits are done.
template <int N> __device__ inline void rp_wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }

#define RP_ACC4(j) "+f"(acc[j][0]), "+f"(acc[j][1]), "+f"(acc[j][2]), "+f"(acc[j][3])
#define RP_ACC16(j) RP_ACC4(j), RP_ACC4(j + 1), RP_ACC4(j + 2), RP_ACC4(j + 3)
#define RP_ACC32(j) RP_ACC16(j), RP_ACC16(j + 4)
#define RP_TEXT16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define RP_TEXT32 RP_TEXT16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define RP_TEXT48 RP_TEXT32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define RP_TEXT64 RP_TEXT48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define RP_TEXT96                                                                                                                  \
    RP_TEXT64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, " \
              "%87, %88, %89, %90, %91, %92, %93, %94, %95"
#define RP_TEXT112                                                                                                                 \
    RP_TEXT96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define RP_TEXT128                                                                                                                  \
    RP_TEXT96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, " \
              "%116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
// from_a: a matrix in shared memory, or four registers.
#define RP_WGMMA_TEXT(n, registers, from_a, at_b, at_more, turned)                                                                    \
    "{\n.reg .pred more;\nsetp.ne.b32 more, %" at_more ", 0;\nwgmma.mma_async.sync.aligned.m64n" n "k16.f32.f16.f16 {" registers "}, " \
    from_a ", %" at_b ", more, 1, 1, " turned ";\n}"
#define RP_WGMMA(n, registers, at_a, at_b, at_more, ...)                                                                              \
    asm volatile(RP_WGMMA_TEXT(n, registers, "%" at_a, at_b, at_more, "0, 0") : __VA_ARGS__ : "l"(a), "l"(b), "r"(more))

// more 0: acc is set. Lane l of warp w holds rows 16 w + l / 4 (acc[j][0], [1]) and + 8 (acc[j][2], [3]), columns 8 j + l % 4 * 2 and + 1.
template <int N> __device__ inline void rp_wgmma(float (&acc)[N / 8][4], uint64_t a, uint64_t b, int more) {
    if constexpr (N == 32) {
        RP_WGMMA("32", RP_TEXT16, "16", "17", "18", RP_ACC16(0));
    } else if constexpr (N == 64) {
        RP_WGMMA("64", RP_TEXT32, "32", "33", "34", RP_ACC32(0));
    } else if constexpr (N == 96) {
        RP_WGMMA("96", RP_TEXT48, "48", "49", "50", RP_ACC32(0), RP_ACC16(8));
    } else if constexpr (N == 128) {
        RP_WGMMA("128", RP_TEXT64, "64", "65", "66", RP_ACC32(0), RP_ACC32(8));
    } else if constexpr (N == 192) {
        RP_WGMMA("192", RP_TEXT96, "96", "97", "98", RP_ACC32(0), RP_ACC32(8), RP_ACC32(16));
    } else if constexpr (N == 224) {
        RP_WGMMA("224", RP_TEXT112, "112", "113", "114", RP_ACC32(0), RP_ACC32(8), RP_ACC32(16), RP_ACC16(24));
    } else {
        static_assert(N == 256, "widths written out here");
        RP_WGMMA("256", RP_TEXT128, "128", "129", "130", RP_ACC32(0), RP_ACC32(8), RP_ACC32(16), RP_ACC32(24));
    }
}

// The same with a in registers, as rp_mma takes it (rows 16 w of warp w).
#define RP_WGMMA_HELD_TURNED(n, registers, a0, a1, a2, a3, at_b, at_more, turned, ...)                                               \
    asm volatile(RP_WGMMA_TEXT(n, registers, "{%" a0 ", %" a1 ", %" a2 ", %" a3 "}", at_b, at_more, turned)                   \
                 : __VA_ARGS__                                                                                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(more))
#define RP_WGMMA_HELD(n, registers, a0, a1, a2, a3, at_b, at_more, ...) \
    RP_WGMMA_HELD_TURNED(n, registers, a0, a1, a2, a3, at_b, at_more, "0", __VA_ARGS__)
template <int N> __device__ inline void rp_wgmma_held(float (&acc)[N / 8][4], const uint32_t (&a)[4], uint64_t b, int more) {
    if constexpr (N == 32) {
        RP_WGMMA_HELD("32", RP_TEXT16, "16", "17", "18", "19", "20", "21", RP_ACC16(0));
    } else if constexpr (N == 64) {
        RP_WGMMA_HELD("64", RP_TEXT32, "32", "33", "34", "35", "36", "37", RP_ACC32(0));
    } else if constexpr (N == 96) {
        RP_WGMMA_HELD("96", RP_TEXT48, "48", "49", "50", "51", "52", "53", RP_ACC32(0), RP_ACC16(8));
    } else {
        static_assert(N == 128, "widths written out here");
        RP_WGMMA_HELD("128", RP_TEXT64, "64", "65", "66", "67", "68", "69", RP_ACC32(0), RP_ACC32(8));
    }
}
// And with b [16, 64] as rows of a box lie: sixteen rows further: + 128.
__device__ inline void rp_wgmma_held_turned(float (&acc)[8][4], const uint32_t (&a)[4], uint64_t b, int more) {
    RP_WGMMA_HELD_TURNED("64", RP_TEXT32, "32", "33", "34", "35", "36", "37", "1", RP_ACC32(0));
}

#endif
#endif
