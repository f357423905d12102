// Looks through a tensor for numbers that are none, before they spread through a whole forecast, and for those beyond float16.
#include <string.h>

#include "backend.h"
#include "quote.h"
#include "safetensors.h"

// A float is NaN or infinite when all bits of its exponent are set. The block loop has no early way out, so that compilers
// make vectors of it; a hit is looked up in its block.
#define BLOCK 4096
#define DEFINE_FIND(name, type, exponent)                                                   \
    static uint64_t name(const void *data, uint64_t count) {                                \
        const char *at = data;                                                              \
        for (uint64_t i = 0; i < count; i += BLOCK) {                                       \
            const uint64_t n = count - i < BLOCK ? count - i : BLOCK;                       \
            type hits = 0;                                                                  \
            for (uint64_t j = 0; j < n; j++) {                                              \
                type bits;                                                                  \
                memcpy(&bits, at + (i + j) * sizeof bits, sizeof bits);                     \
                hits |= (type)((bits & (exponent)) == (exponent));                          \
            }                                                                               \
            if (!hits) { continue; }                                                        \
            for (uint64_t j = 0; j < n; j++) {                                              \
                type bits;                                                                  \
                memcpy(&bits, at + (i + j) * sizeof bits, sizeof bits);                     \
                if ((bits & (exponent)) == (exponent)) { return i + j; }                    \
            }                                                                               \
        }                                                                                   \
        return count;                                                                       \
    }
DEFINE_FIND(find_f64, uint64_t, 0x7FF0000000000000u)
DEFINE_FIND(find_f32, uint32_t, 0x7F800000u)
DEFINE_FIND(find_f16, uint16_t, 0x7C00u)
DEFINE_FIND(find_bf16, uint16_t, 0x7F80u)

// The bits of element `index`, moved up so that the sign is bit 63 and all floats look alike but for the exponent's width.
static uint64_t top_bits(const rp_weight *weight, uint64_t index) {
    const uint32_t size = rp_dtype_size(weight->dtype);
    uint64_t bits = 0;
    memcpy(&bits, (const char *)weight->data + index * size, size);
    return bits << (64 - 8 * size);
}

rp_status rp_weight_check_finite(const rp_weight *weight, rp_error *error) {
    uint64_t at = weight->count;
    uint32_t exponent = 0;
    switch (weight->dtype) {
    case RP_F64: at = find_f64(weight->data, weight->count); exponent = 11; break;
    case RP_F32: at = find_f32(weight->data, weight->count); exponent = 8; break;
    case RP_F16: at = find_f16(weight->data, weight->count); exponent = 5; break;
    case RP_BF16: at = find_bf16(weight->data, weight->count); exponent = 8; break;
    default: break;
    }
    if (at == weight->count) { return RP_OK; }
    const uint64_t bits = top_bits(weight, at);
    const char *kind = bits << (1 + exponent) ? "NaN" : bits >> 63 ? "-infinity" : "infinity";
    return rp_error_set(error, RP_BAD_FILE,
                        "tensor %s holds %s at element %llu of %llu; the weights are damaged or their training failed",
                        rp_quote(weight->name).text, kind, (unsigned long long)at, (unsigned long long)weight->count);
}

bool rp_weight_fits_f16(const rp_weight *weight) {
    uint32_t piece[1024], most = 0;   // floats as bits, which compare like numbers without their sign: vector code
    for (uint64_t i = 0; weight->dtype != RP_F16 && i < weight->count; i += 1024) {
        const uint64_t n = weight->count - i < 1024 ? weight->count - i : 1024;
        rp_convert(piece, RP_F32, (const char *)weight->data + i * rp_dtype_size(weight->dtype), weight->dtype, n);
        for (uint64_t j = 0; j < n; j++) {
            const uint32_t bits = piece[j] & 0x7FFFFFFFu;
            most = bits > most ? bits : most;
        }
    }
    return most <= 0x477FE000u;       // 65504
}
