#include "numbers.h"

#include <string.h>

bool rp_number_known(rp_number kind, uint32_t bits) {
    switch (kind) {
    case RP_NUMBER_FLOAT: return bits == 16 || bits == 32 || bits == 64;
    case RP_NUMBER_BFLOAT: return bits == 16;
    case RP_NUMBER_INT:
    case RP_NUMBER_UINT: return bits == 8 || bits == 16 || bits == 32 || bits == 64;
    case RP_NUMBER_BIT: return bits == 1;
    case RP_NUMBER_NONE: break;
    }
    return false;
}

static uint64_t unsigned_at(const char *at, uint32_t bits) {
    uint8_t b8;
    uint16_t b16;
    uint32_t b32;
    uint64_t b64;
    switch (bits) {
    case 8: memcpy(&b8, at, sizeof b8); return b8;
    case 16: memcpy(&b16, at, sizeof b16); return b16;
    case 32: memcpy(&b32, at, sizeof b32); return b32;
    default: memcpy(&b64, at, sizeof b64); return b64;
    }
}

static int64_t signed_at(const char *at, uint32_t bits) {
    const uint64_t x = unsigned_at(at, bits);
    switch (bits) {
    case 8: return (int8_t)x;
    case 16: return (int16_t)x;
    case 32: return (int32_t)x;
    default: return (int64_t)x;
    }
}

static float float_at(const char *at, rp_dtype dtype) {
    double aligned = 0;
    float out;
    memcpy(&aligned, at, rp_dtype_size(dtype));
    rp_convert(&out, RP_F32, &aligned, dtype, 1);
    return out;
}

float rp_number_f32(const rp_numbers *x, uint64_t i) {
    const int64_t bit = x->first_bit + (int64_t)i;
    if (x->kind == RP_NUMBER_BIT) { return (float)((unsigned char)x->data[bit / 8] >> bit % 8 & 1); }
    const char *at = x->data + (int64_t)i * x->stride;
    switch (x->kind) {
    case RP_NUMBER_INT: return (float)signed_at(at, x->bits);
    case RP_NUMBER_UINT: return (float)unsigned_at(at, x->bits);
    case RP_NUMBER_BFLOAT: return float_at(at, RP_BF16);
    default: return float_at(at, x->bits == 64 ? RP_F64 : x->bits == 32 ? RP_F32 : RP_F16);
    }
}

int64_t rp_number_i64(const rp_numbers *x, uint64_t i) { return signed_at(x->data + (int64_t)i * x->stride, x->bits); }

void rp_numbers_f32(const rp_numbers *x, float *out) {
    for (uint64_t i = 0; i < x->count; i++) { out[i] = rp_number_f32(x, i); }
}

const float *rp_numbers_in_place(const rp_numbers *x) {
    const bool whole = x->kind == RP_NUMBER_FLOAT && x->bits == 32 && (x->stride == 4 || x->count == 1);
    return whole && (uintptr_t)x->data % sizeof(float) == 0 ? (const float *)(const void *)x->data : NULL;
}

void *rp_call_alloc(rp_device *device, rp_arena *arena, uint64_t count, size_t size) {
    void *memory = count <= SIZE_MAX / 2 / size ? rp_arena_alloc(arena, (size_t)count * size + 1) : NULL;
    if (memory == NULL) { (void)rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while reading the series of a forecast."); }
    return memory;
}
