// kernel pad_rows_f32
// pad_rows: rows of a caller's tensor, strided as it likes, into padded rows and their mask; a NaN is a missing value.
#version 460
#define PARAMS rp_pad_rows_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [x_count], bit for bit
    InWords mask = InWords(address[1]);                  // [mask_words]
    OutWords y = OutWords(address[2]);                   // [rows, y_stride]
    OutFloats y_mask = OutFloats(address[3]);            // [rows, y_stride]
    OutWords bad = OutWords(address[4]);                 // [1]

    uint index = point_index();
    if (index >= p.rows * p.cap) { return; }
    uint t = index % p.cap, row = index / p.cap, value = 0;
    bool real = false;
    if (t >= p.pad && t - p.pad < p.count) {
        uint i = t - p.pad, at = p.mask_start + row * p.mask_row_stride + i * p.mask_stride;
        value = x.v[p.x_start + row * p.x_row_stride + i * p.x_stride];
        uint size = value & 0x7fffffffu;
        real = true;
        if (p.mask_words != 0) { real = (mask.v[at / 4] >> at % 4 * 8 & 255u) != 0; }
        real = real && (p.known != 0 || size <= 0x7f800000u);       // beyond infinity: a NaN
        if (real && size > RP_PAD_LARGEST) { bad.v[0] = 1; }        // whoever writes, writes the same
        if (!real && size >= 0x7f800000u) { value = 0; }
        if (p.count - i <= p.whole && !real) {
            if (size > RP_PAD_LARGEST) { value = 0; }
            real = true;
        }
    }
    uint to = row * p.y_stride + t;
    y.v[to] = value;
    if (p.known == 0) { y_mask.v[to] = real ? 1.0 : 0.0; }
}
