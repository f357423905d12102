// FNV-1a over bytes and over what the file system knows of files; see digest.h.
#define _POSIX_C_SOURCE 200809L
#include "digest.h"

#include <stdio.h>
#include <sys/stat.h>

uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t n) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n; i++) { digest = (digest ^ at[i]) * UINT64_C(1099511628211); }
    return digest;
}

uint64_t digest_model(const char *folder) {
    static const char *const names[] = { "config.json", "model.safetensors", "model.safetensors.index.json" };
    static const char *const parts[] = { "", "model/", "tokenizer/" };
    uint64_t digest = DIGEST_START;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            char path[4096];
            struct stat s;
            snprintf(path, sizeof path, "%s/%s%s", folder, parts[p], names[n]);
            if (stat(path, &s) != 0) { continue; }
            const int64_t facts[] = { (int64_t)p, (int64_t)n, (int64_t)s.st_size, (int64_t)s.st_mtim.tv_sec,
                                      (int64_t)s.st_mtim.tv_nsec };
            digest = digest_bytes(digest, facts, sizeof facts);
        }
    }
    return digest;
}
