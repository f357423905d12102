// From the tensors of published files to one device buffer: a family lists the tensors it wants on the device and which tensors
// of which file each is made of; names, shapes and finiteness are checked before anything is taken.
#ifndef RP_LOADER_H
#define RP_LOADER_H

#include "backend.h"
#include "safetensors.h"

// A tensor on the device.
typedef struct rp_loader_target {
    rp_tensor **slot;
    const char *name;
    rp_shape shape;                // F32; or F16, whose range every number must keep to
    bool scratch;                  // needed only while loading
    bool product;                  // a matrix that products read, and nothing else once it is loaded: rp_loader_pairs takes it
} rp_loader_target;

// A tensor of a file, and the target that it becomes a part of.
typedef struct rp_loader_part {
    rp_tensor **slot;
    uint64_t at;                   // its first element in the target
    rp_weights *file;
    const char *name, *twin;       // twin: another such tensor, whose rows go with this one's in turns of RP_LINEAR_GATE; or NULL
    uint32_t dims[2], n_dims;      // as the file must have them
    uint32_t column, columns;      // takes these columns only; columns 0: all
    uint32_t row, rows;            // takes these rows only; rows 0: all
    double scale;                  // times this; 1: as it is
    const double *row_scales;      // and the first `n_row_scales` rows times these, cycled; the loader's arena holds them
    uint32_t n_row_scales, row_scale_cycle;
    bool gate;                     // rows (b, a) become a, b, a, b, .. in turns of RP_LINEAR_GATE
    uint32_t to_rows, to_columns;  // that they take in the target, zeros past the file's (of a gate: past each half); 0: as many as the file's
    const rp_weight *weight, *twin_weight;   // found in the file
} rp_loader_part;

typedef struct rp_loader {
    rp_device *device;
    rp_arena *keep;                // of the model: tensors and their names
    rp_arena arena;                // this list; destroyed by rp_loader_end
    rp_loader_target *targets, no_target;
    rp_loader_part *parts, nowhere;
    uint32_t n_targets, cap_targets, n_parts, cap_parts;
    rp_buffer *scratch;
    uint64_t bytes, numbers;       // on the device; in the files
    rp_status status;              // first failure while listing; later calls do nothing
} rp_loader;

rp_status rp_loader_begin(rp_loader *l, rp_device *device, rp_arena *keep);
// The result may be changed until the next call; it is never NULL.
rp_loader_target *rp_loader_target_add(rp_loader *l, rp_tensor **slot, bool scratch, const char *name, rp_shape shape);
// A part of `rows` x `columns` numbers, or of `rows` numbers where columns is 0. The result may be changed; it is never NULL.
rp_loader_part *rp_loader_part_add(rp_loader *l, rp_tensor **slot, uint64_t at, rp_weights *file, uint32_t rows, uint32_t columns,
                                   const char *name);
// A target that is one tensor of a file.
void rp_loader_whole(rp_loader *l, rp_tensor **slot, bool scratch, rp_weights *file, uint32_t rows, uint32_t columns, const char *name);

// Finds and checks every part, makes the buffers, sets the slots and uploads. *weights is the caller's to destroy, also after a
// failure. Errors: those of files and memory, and UNSUPPORTED where a number leaves float16's range.
rp_status rp_loader_run(rp_loader *l, rp_buffer **weights);
// Float32 matrices of products to pairs, where the device multiplies those (models/pairs.h); behind everything else that reads them.
rp_status rp_loader_pairs(rp_loader *l);
// A tensor of the file that no part uses, NULL: none. `spare` says which may be there without being used.
const char *rp_loader_unused(const rp_loader *l, rp_weights *file, bool (*spare)(const char *name));
void rp_loader_end(rp_loader *l);  // zeroed is fine

#endif
