// The reference backend: every op in float64 by its plain definition in core/ops/. It is what the others are checked
// against, and the skeleton to copy for a new backend. It is not tuned.
#ifndef RP_BACKEND_REF_H
#define RP_BACKEND_REF_H

#include "backend.h"

rp_status rp_ref_buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out);
void rp_ref_buffer_destroy(rp_buffer *buffer);
rp_status rp_ref_write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count);
rp_status rp_ref_read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count);

rp_status rp_ref_run(rp_device *device, const rp_plan *plan);
rp_status rp_ref_record(rp_device *device, const rp_plan *plan, rp_recording **out);
void rp_ref_recording_destroy(rp_recording *recording);
rp_status rp_ref_replay(rp_device *device, rp_recording *const *recordings, uint32_t n);
rp_status rp_ref_wait(rp_device *device);

#endif
