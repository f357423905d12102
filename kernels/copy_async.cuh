// Copies from memory to shared memory that an invocation need not wait for (PTX ISA: cp.async). Sixteen bytes each take a few cycles of the
// multiprocessor; a bulk copy takes 70 whatever its size, so that rows of a few hundred bytes come sooner this way.
#ifndef RP_COPY_ASYNC_CUH
#define RP_COPY_ASYNC_CUH

#include "common.cuh"

// Copies `bytes`, of 16, and fills the rest with zeros; done after wait<>() and a barrier.
__device__ inline void rp_copy16(void *to, const void *from, uint32_t bytes) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
}
// The same of eight bytes, for what is not aligned to more. These come through the L1 cache.
__device__ inline void rp_copy8(void *to, const void *from) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(shared), "l"(from) : "memory");
}
__device__ inline void rp_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until all but the latest N of this invocation's commits are done.
template <int N> __device__ inline void rp_copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

#endif
