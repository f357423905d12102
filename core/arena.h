// A block arena: allocations live until the arena is destroyed. Not thread-safe.
#ifndef RP_ARENA_H
#define RP_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct rp_arena_block rp_arena_block;
typedef struct rp_arena { rp_arena_block *blocks; } rp_arena;   // starts zeroed

void *rp_arena_alloc(rp_arena *arena, size_t size);             // zeroed, aligned to 16; NULL when memory ran out
char *rp_arena_format(rp_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rp_arena_destroy(rp_arena *arena);                         // zeroed is fine

#endif
