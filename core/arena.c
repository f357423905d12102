// A block arena. Blocks grow with need; nothing is freed before the end.
#include "arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 << 10)   // holds a small graph; a large one takes a few dozen
#define ALIGNMENT ((size_t)16)

struct rp_arena_block {
    rp_arena_block *next;
    size_t used, cap;
    _Alignas(16) unsigned char bytes[];
};

void *rp_arena_alloc(rp_arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) { return NULL; }
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    rp_arena_block *block = arena->blocks;
    if (block == NULL || block->cap - block->used < size) {
        size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = calloc(1, sizeof *block + cap);   // calloc: what the arena hands out is zeroed
        if (block == NULL) { return NULL; }
        block->cap = cap;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *out = block->bytes + block->used;
    block->used += size;
    return out;
}

char *rp_arena_format(rp_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : rp_arena_alloc(arena, (size_t)length + 1);
    if (text == NULL) { return NULL; }
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void rp_arena_destroy(rp_arena *arena) {
    for (rp_arena_block *block = arena->blocks; block != NULL;) {
        rp_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
}
