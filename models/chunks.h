// How many paths go side by side: as many as the caller's budget allows. Every family sizes its forecasters through this.
#ifndef RP_CHUNKS_H
#define RP_CHUNKS_H

#include "family.h"

// Bytes of a forecaster: on the device what outlives a graph, and the shared activations; on the host inputs and result.
typedef struct rp_sizes { uint64_t state, activations, in, out; } rp_sizes;

// Sizes with so many paths side by side, without allocating device memory.
typedef rp_status (*rp_measure_fn)(rp_forecaster *forecaster, uint32_t paths, rp_sizes *out);
// False where a tensor would have more elements than kernels count.
typedef bool (*rp_countable_fn)(const rp_forecaster *forecaster, uint32_t paths);

// Chooses the most paths that fit config.memory_bytes, makes the chunks equal, and fills info and *out.
// Errors: OUT_OF_MEMORY, not even one path fits; and those of `measure`.
rp_status rp_chunks_choose(rp_forecaster *forecaster, rp_measure_fn measure, rp_countable_fn countable, rp_sizes *out);

#endif
