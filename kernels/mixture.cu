// mixture: raw head outputs -> parameters of a mixture of Student-t distributions; spec toto.md section 4.
// mixture_f32: one invocation for each row. mixture_f32_few, mixture_f32_rows: a group for RP_MIXTURE_FEW or RP_MIXTURE_ROWS rows of at
// most 32 components, dealt out to all invocations alike. Same sums.
#include "exp.cuh"

#define EPSILON 1.1920929e-7f   // 2^-23, float32's own

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) mixture_f32(const rp_kernel_args<rp_mixture_params> args) {
    rp_begin();
    const rp_mixture_params p = args.p;
    const uint64_t row = rp_point();
    const uint32_t k = p.components;
    if (row >= p.rows) { return; }
    const float *raw = rp_at<const float>(args, 0) + row * p.parts * k;   // [parts, k]
    float *dist = rp_at<float>(args, 1) + row * 4 * k;                    // [4, k]: df, loc, scale, probs
    for (uint32_t i = 0; i < k; i++) {
        dist[i] = 2.0f + fmaxf(rp_softplus(raw[i]), EPSILON);
        dist[k + i] = raw[k + i];
        dist[2 * k + i] = fmaxf(rp_softplus(raw[2 * k + i]), EPSILON);
    }
    float *probs = dist + 3 * k;
    if (p.parts < 4) {
        for (uint32_t i = 0; i < k; i++) { probs[i] = 1.0f / (float)k; }   // one component, so 1
        return;
    }
    const float *weights = raw + 3 * k;
    float top = -RP_INFINITY, sum = 0;
    for (uint32_t i = 0; i < k; i++) { top = fmaxf(top, weights[i]); }
    for (uint32_t i = 0; i < k; i++) {
        probs[i] = rp_exp(weights[i] - top);
        sum += probs[i];
    }
    for (uint32_t i = 0; i < k; i++) { probs[i] /= sum; }
}

#define GROUP RP_GROUP_MIXTURE
#define PITCH 33               // of a row in shared memory: invocations that take a row each read different banks

// ROWS: of a group.
template <uint32_t ROWS> __device__ static inline void rp_mixture_rows(const rp_kernel_args<rp_mixture_params> &args) {
    constexpr int EACH = ROWS * 32 / GROUP;    // components that an invocation holds at most
    constexpr int SHARE = GROUP / ROWS;        // invocations that look for a row's largest weight
    rp_begin();
    __shared__ float weight[ROWS * PITCH], top[ROWS];
    __shared__ double inverse[ROWS];           // of the sums: a product with it, rounded once more, is the quotient's float32
    const rp_mixture_params p = args.p;
    const uint32_t k = p.components, first = rp_group() * ROWS;
    if (first >= p.rows) { return; }
    const uint32_t rows = min(ROWS, p.rows - first), count = rows * k;
    const float *raw = rp_at<const float>(args, 0) + (uint64_t)first * p.parts * k;   // [rows, parts, k]
    float *dist = rp_at<float>(args, 1) + (uint64_t)first * 4 * k;                    // [rows, 4, k]: df, loc, scale, probs

    // This invocation's components: number threadIdx.x, then every GROUP-th. All loads together.
    float df[EACH], loc[EACH], scale[EACH], own[EACH];
    uint32_t row[EACH], at = threadIdx.x / k, i = threadIdx.x - at * k;
    const uint32_t over = GROUP / k, rest = GROUP - over * k;
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        row[c] = at;
        if (threadIdx.x + c * GROUP >= count) { break; }
        const float *from = raw + at * p.parts * k + i;
        df[c] = from[0], loc[c] = from[k], scale[c] = from[2 * k], own[c] = p.parts == 4 ? from[3 * k] : 0.0f;
        at += over, i += rest;
        if (i >= k) { at++, i -= k; }
    }
    const auto place = [&](int c) { return threadIdx.x + c * GROUP - row[c] * k; };   // of the component in its row
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        if (threadIdx.x + c * GROUP < count) { weight[row[c] * PITCH + place(c)] = own[c]; }
    }
    __syncthreads();   // weight: written by all, read by SHARE invocations a row
    float most = -RP_INFINITY;
    for (uint32_t j = threadIdx.x % SHARE; j < k; j += SHARE) { most = fmaxf(most, weight[threadIdx.x / SHARE * PITCH + j]); }
#pragma unroll
    for (int distance = SHARE / 2; distance > 0; distance /= 2) { most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance)); }
    if (threadIdx.x % SHARE == 0) { top[threadIdx.x / SHARE] = most; }
    __syncthreads();   // top: written by row, read by all; weight: read by all
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        if (threadIdx.x + c * GROUP >= count) { break; }
        own[c] = rp_exp_or_nan(own[c] - top[row[c]]);
        weight[row[c] * PITCH + place(c)] = own[c];
    }
    __syncthreads();   // weight: written by all, read by one invocation a row
    if (threadIdx.x < ROWS) {
        float all = 0;
        for (uint32_t j = 0; j < k; j++) { all += weight[threadIdx.x * PITCH + j]; }   // ascending
        inverse[threadIdx.x] = 1.0 / all;
    }
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        if (threadIdx.x + c * GROUP >= count) { break; }
        float *to = dist + row[c] * 4 * k + place(c);
        to[0] = 2.0f + fmaxf(rp_softplus_flat(df[c]), EPSILON);
        to[k] = loc[c];
        to[2 * k] = fmaxf(rp_softplus_flat(scale[c]), EPSILON);
    }
    __syncthreads();   // inverse: written by row, read by all
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        if (threadIdx.x + c * GROUP >= count) { break; }
        const float share = (float)(own[c] * inverse[row[c]]);
        dist[row[c] * 4 * k + 3 * k + place(c)] = p.parts == 4 ? share : 1.0f / (float)k;   // three parts: one component
    }
}

extern "C" __global__ void __launch_bounds__(GROUP) mixture_f32_few(const rp_kernel_args<rp_mixture_params> args) {
    rp_mixture_rows<RP_MIXTURE_FEW>(args);
}
extern "C" __global__ void __launch_bounds__(GROUP) mixture_f32_rows(const rp_kernel_args<rp_mixture_params> args) {
    rp_mixture_rows<RP_MIXTURE_ROWS>(args);
}
