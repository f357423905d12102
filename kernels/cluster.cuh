// Groups of a cluster that send numbers to one another's shared memory. Only sm_90 and later can; kernels for others call none of these.
#ifndef RP_CLUSTER_CUH
#define RP_CLUSTER_CUH

#include "common.cuh"

__device__ inline uint32_t rp_shared_address(const void *at) { return (uint32_t)__cvta_generic_to_shared(at); }
// The barrier on which a group waits for tiles: made by one invocation, which later says how many bytes come.
__device__ inline void rp_cluster_begin(uint64_t *ready) {
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;\n\tfence.mbarrier_init.release.cluster;" ::"r"(rp_shared_address(ready)) : "memory");
    }
    asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
}
__device__ inline void rp_cluster_wait_begun() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }
// Waits until all invocations of the cluster are here. What they wrote in memory may not be seen yet; barriers that were published are.
__device__ inline void rp_cluster_meet() {
    asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
    rp_cluster_wait_begun();
}
// Arrives at the barrier of group `rank` that lies at `barrier` here. (With .release.cluster it would wait for all stores to be in memory.)
__device__ inline void rp_cluster_arrive_at(uint64_t *barrier, uint32_t rank) {
    asm volatile("{\n\t.reg .b32 there;\n\tmapa.shared::cluster.u32 there, %0, %1;\n\tmbarrier.arrive.shared::cluster.b64 _, [there];\n\t}"
                 ::"r"(rp_shared_address(barrier)), "r"(rank) : "memory");
}
__device__ inline void rp_cluster_expect(uint64_t *ready, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(rp_shared_address(ready)), "r"(bytes) : "memory");
}
__device__ inline void rp_cluster_wait_ready(uint64_t *ready) {
    asm volatile("{\n\t.reg .pred done;\n"
                 "again_%=:\n\tmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], 0;\n\t@!done bra again_%=;\n\t}"
                 ::"r"(rp_shared_address(ready)) : "memory");
}
// Writes numbers where group `rank` keeps what lies at `to` here, and counts them on that group's barrier: each write is one count
// there, one after the other, so they are few and wide.
__device__ inline void rp_cluster_send(const void *to, uint32_t rank, uint64_t *ready, const uint2 &x) {
    asm volatile("{\n\t.reg .b32 there, barrier;\n\tmapa.shared::cluster.u32 there, %0, %2;\n\tmapa.shared::cluster.u32 barrier, %1, %2;\n\t"
                 "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [there], {%3, %4}, [barrier];\n\t}"
                 ::"r"(rp_shared_address(to)), "r"(rp_shared_address(ready)), "r"(rank), "r"(x.x), "r"(x.y) : "memory");
}
__device__ inline void rp_cluster_send(const void *to, uint32_t rank, uint64_t *ready, const uint4 &x) {
    asm volatile("{\n\t.reg .b32 there, barrier;\n\tmapa.shared::cluster.u32 there, %0, %2;\n\tmapa.shared::cluster.u32 barrier, %1, %2;\n\t"
                 "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [there], {%3, %4, %5, %6}, [barrier];\n\t}"
                 ::"r"(rp_shared_address(to)), "r"(rp_shared_address(ready)), "r"(rank), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w) : "memory");
}
// The same of float32.
__device__ inline void rp_cluster_send2(const float *to, uint32_t rank, uint64_t *ready, float a, float b) {
    rp_cluster_send(to, rank, ready, make_uint2(__float_as_uint(a), __float_as_uint(b)));
}
__device__ inline void rp_cluster_send4(const float *to, uint32_t rank, uint64_t *ready, const float (&x)[4]) {
    rp_cluster_send(to, rank, ready, make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3])));
}

#endif
