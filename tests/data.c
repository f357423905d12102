// The numbers of cases: memory, random inputs, outliers.
#include "case.h"

#include "op_math.h"

uint64_t test_seed(void) {
    static uint64_t seed;
    if (seed == 0) {
        const char *asked = getenv("RP_TEST_SEED");
        seed = asked != NULL ? strtoull(asked, NULL, 0) : 20240607;
        if (seed == 0) { seed = 1; }
        printf("# RP_TEST_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

tolerance_case test_judged(const test_case *c) {
    tolerance_case judged = { .op = c->op };
    memcpy(judged.params, c->params, sizeof judged.params);
    memcpy(judged.tensor, c->tensor, sizeof judged.tensor);
    tolerance_begin(&judged);
    return judged;
}

bool test_case_make(test_case *c, rp_op op, uint32_t index, uint32_t variation) {
    static bool (*const make[RP_OP_COUNT])(test_case *, uint32_t) = {
#define RP_OP(name, ENUM, n_in, n_out, tolerance) [RP_OP_##ENUM] = test_case_##name,
#include "ops.def"
#undef RP_OP
    };
    *c = (test_case){ .op = op, .variation = variation };
    rp_words w = rp_philox((uint32_t)test_seed(), (uint32_t)(test_seed() >> 32), op, index, variation, 0);
    c->seed = (uint64_t)w.w0 << 32 | w.w1;
    return make[op](c, index);
}

void test_case_free(test_case *c) { rp_arena_destroy(&c->arena); }

void test_start(test_case *c, const char *name, const void *params, size_t bytes) {
    assert_true(bytes <= sizeof c->params);
    c->name = name;
    memcpy(c->params, params, bytes);
}

static void *tensor(test_case *c, uint32_t binding, rp_dtype dtype, uint64_t count) {
    void *data = rp_arena_alloc(&c->arena, (size_t)(count + 1) * rp_dtype_size(dtype));
    assert_non_null(data);
    c->tensor[binding] = (test_tensor){ dtype, count, data };
    return data;
}

float *test_f32(test_case *c, uint32_t binding, uint64_t count) { return tensor(c, binding, RP_F32, count); }
double *test_f64(test_case *c, uint32_t binding, uint64_t count) { return tensor(c, binding, RP_F64, count); }
uint32_t *test_u32(test_case *c, uint32_t binding, uint64_t count) { return tensor(c, binding, RP_U32, count); }
int32_t *test_i32(test_case *c, uint32_t binding, uint64_t count) { return tensor(c, binding, RP_I32, count); }

void test_step(test_case *c, uint32_t binding, struct rp_step step) {
    memcpy(test_u32(c, binding, RP_STEP_WORDS), &step, sizeof step);
}

static uint32_t word(test_case *c) {
    const uint64_t at = c->seed++;
    return rp_philox(0x7e57, 0, (uint32_t)at, (uint32_t)(at >> 32), 0, 0).w0;
}

double test_random(test_case *c) { return (double)rp_uniform(word(c)); }
uint32_t test_below(test_case *c, uint32_t n) { return (uint32_t)((uint64_t)word(c) * n >> 32); }

float *test_uniform(test_case *c, uint32_t binding, uint64_t count, float low, float high) {
    float *x = test_f32(c, binding, count);
    for (uint64_t i = 0; i < count; i++) { x[i] = low + (high - low) * (float)test_random(c); }
    return x;
}

void test_uniform_f16(test_case *c, uint32_t binding, uint64_t count, float low, float high) {
    uint16_t *x = tensor(c, binding, RP_F16, count);
    for (uint64_t i = 0; i < count; i++) {
        const float value = low + (high - low) * (float)test_random(c);
        rp_convert(&x[i], RP_F16, &value, RP_F32, 1);
    }
}

void test_pairs(test_case *c, uint32_t binding, uint32_t scale_binding, uint32_t rows, uint32_t k) {
    const float *w = c->tensor[binding].data;
    uint16_t *pairs = tensor(c, binding, RP_F16, (uint64_t)rows * 2 * k);
    float *scale = test_f32(c, scale_binding, rows);
    for (uint32_t row = 0; row < rows; row++, w += k, pairs += 2 * (size_t)k) {
        float most = 0x1p-112f;
        for (uint32_t i = 0; i < k; i++) { most = fmaxf(most, fabsf(w[i])); }
        const int exponent = ilogbf(most);
        scale[row] = ldexpf(1, exponent);
        for (uint32_t i = 0; i < k; i++) {
            uint16_t *hi = pairs + i / RP_LINEAR_PAIR_CHUNK * 2 * RP_LINEAR_PAIR_CHUNK + RP_PAIR_AT(i % RP_LINEAR_PAIR_CHUNK);
            const float scaled = ldexpf(w[i], 14 - exponent);
            float rounded;
            rp_convert(hi, RP_F16, &scaled, RP_F32, 1);
            rp_convert(&rounded, RP_F32, hi, RP_F16, 1);
            const float rest = scaled - rounded;
            rp_convert(hi + RP_LINEAR_PAIR_CHUNK, RP_F16, &rest, RP_F32, 1);
        }
    }
}

void test_spice(test_case *c, uint32_t binding) {
    static const float spices[] = { 1e6f, -1e6f, 1e-30f, -1e-30f, 0.0f, -0.0f };
    const test_tensor *t = &c->tensor[binding];
    for (uint64_t i = 0; i < t->count / 16 + 1 && i < t->count; i++) {
        ((float *)t->data)[test_below(c, (uint32_t)t->count)] = spices[i % TEST_COUNT(spices)];
    }
}

void test_output(test_case *c, uint32_t binding, uint64_t count) {
    float *x = test_f32(c, binding, count);
    for (uint64_t i = 0; i < count; i++) { x[i] = -12345.5f - (float)(i % 7); }
}

void test_output_f16(test_case *c, uint32_t binding, uint64_t count) {
    uint16_t *x = tensor(c, binding, RP_F16, count);
    for (uint64_t i = 0; i < count; i++) { x[i] = (uint16_t)(0xF000 + i % 7); }
}

void test_output_f64(test_case *c, uint32_t binding, uint64_t count) {
    double *x = test_f64(c, binding, count);
    for (uint64_t i = 0; i < count; i++) { x[i] = -12345.5 - (double)(i % 7); }
}

void test_alias(test_case *c, uint32_t output_binding, uint32_t input_binding) {
    c->tensor[output_binding] = c->tensor[input_binding];
    c->alias[output_binding] = (int)input_binding + 1;
}

void test_alias_f16(test_case *c, uint32_t output_binding, uint32_t input_binding) {
    test_alias(c, output_binding, input_binding);
    c->tensor[output_binding].dtype = RP_F16;
    c->tensor[output_binding].count *= 2;
}

void test_make_absolute(test_case *c, uint32_t binding) { tolerance_make_absolute(&c->tensor[binding]); }
