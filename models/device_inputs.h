// Series that are on the device already: the launches that bring them from the caller's memory into a forecaster's inputs. Made
// anew for each forecast, since a recording holds addresses and the caller's change.
#ifndef RP_DEVICE_INPUTS_H
#define RP_DEVICE_INPUTS_H

#include "family.h"

typedef struct rp_device_inputs {
    rp_device *device;
    rp_launch *launches;           // [cap]
    uint32_t n, cap;
} rp_device_inputs;                // starts zeroed

// One number of a tensor, and those after it.
typedef struct rp_device_place { const rp_tensor *tensor; uint64_t first; } rp_device_place;

rp_status rp_device_inputs_create(rp_device_inputs *inputs, rp_device *device, uint32_t cap);
void rp_device_inputs_destroy(rp_device_inputs *inputs);       // zeroed is fine
void rp_device_inputs_begin(rp_device_inputs *inputs);

// One pad_rows: `p` says rows, count, pad, cap, y_stride, whole and known; x and mask (NULL or empty: none) the rest. Places of
// p.rows x p.y_stride numbers; y_mask is not looked at where p.known is set. x and mask must live until rp_device_inputs_enqueue.
void rp_device_inputs_add(rp_device_inputs *inputs, const char *label, const rp_device_rows *x, const rp_device_rows *mask,
                          struct rp_pad_rows_params p, rp_device_place y, rp_device_place y_mask, rp_device_place bad);
rp_status rp_device_inputs_enqueue(rp_device_inputs *inputs);

// bad [n_series and more] U32, host-visible: what pad_rows set where it found a number that no series may have. Known only when the
// forecast has ended. Errors: INVALID_ARGUMENT, which names the first such series.
rp_status rp_device_inputs_check(const rp_device_inputs *inputs, const rp_tensor *bad, uint32_t n_series);

#endif
