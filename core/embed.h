// What the build embeds: SPIR-V modules and CUDA fat binaries, as tables that end with a NULL name.
#ifndef RP_EMBED_H
#define RP_EMBED_H

typedef struct rp_blob {
    const char *name;             // SPIR-V: the kernel, "linear_f32"; fat binary: the op's stem, "linear"
    const unsigned char *data, *end;   // aligned to 16
} rp_blob;

extern const rp_blob rp_spirv_blobs[];
extern const rp_blob rp_fatbin_blobs[];

#endif
