// Float32 matrices that products read, in pairs of float16 (op pair_rows) on devices that multiply those: made once, in place, when a model
// is loaded.
#ifndef RP_PAIRS_H
#define RP_PAIRS_H

#include "backend.h"

// Bytes for the scales of such a matrix's rows, which stand right behind it; 0: it stays as it is.
uint64_t rp_pairs_room(const rp_device *device, rp_shape shape);

// Makes pairs of those of the n matrices that have room; their slots get new tensors, which `keep` holds. To be called when nothing reads
// them as float32 any more, and they were placed with room. Errors: OUT_OF_MEMORY, those of running a graph.
rp_status rp_pairs_make(rp_device *device, rp_arena *keep, rp_tensor **const *slots, uint32_t n);

#endif
