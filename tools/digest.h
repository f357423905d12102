// Numbers that tell whether bytes are the same as last time. Not against forgery.
#ifndef TOOLS_DIGEST_H
#define TOOLS_DIGEST_H

#include "common.h"

#define DIGEST_START UINT64_C(14695981039346656037)

// FNV-1a in 64 bits; chain calls with what the last one returned.
uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t n);

// Of a model's folder: sizes and times of change of its files (config, weights, index), in `model` and `tokenizer` too. Reading
// the weights would take longer than many a forecast.
uint64_t digest_model(const char *folder);

#endif
