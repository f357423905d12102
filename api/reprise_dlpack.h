// reprise_dlpack.h: forecasts from and to tensors of other libraries (NumPy, PyTorch, CuPy, JAX, ..), by the DLPack conventions,
// on the host and on CUDA devices, without copies. reprise.h says all else.
//
// In:   a tensor is a DLTensor, borrowed during the call: of a DLManagedTensor pass &m->dl_tensor, of a DLManagedTensorVersioned what
//       rp_dl_from_versioned gives, and keep m. Nothing is taken over, so no deleter is called.
// Out:  a DLManagedTensor, the caller's: hand it on, or call its deleter, once. rp_dl_to_versioned makes a versioned one of it.
// Types: include dlpack.h first and the types below are its own; else they are declared here, with the same layout. Either way
//       both headers may stand in one file.
#ifndef REPRISE_DLPACK_H
#define REPRISE_DLPACK_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- tensors: DLPack ----

#ifdef DLPACK_DLPACK_H_
typedef DLDevice rp_dl_device;                         // where a tensor is
typedef DLDataType rp_dl_data_type;                    // what its numbers are
typedef DLTensor rp_dl_tensor;                         // borrowed memory, its shape and strides
typedef struct DLManagedTensor rp_dl_managed_tensor;   // a tensor and the deleter that ends it
#else
typedef struct rp_dl_device {
    int32_t device_type;      // RP_DL_CPU, ..
    int32_t device_id;        // N of "cuda:N"; on the host 0
} rp_dl_device;

typedef struct rp_dl_data_type {
    uint8_t code;             // RP_DL_FLOAT, ..
    uint8_t bits;
    uint16_t lanes;           // 1
} rp_dl_data_type;

typedef struct rp_dl_tensor {
    void *data;
    rp_dl_device device;
    int32_t ndim;
    rp_dl_data_type dtype;
    int64_t *shape;           // [ndim]
    int64_t *strides;         // [ndim] in elements, may be negative; NULL: row-major without gaps
    uint64_t byte_offset;     // of the first element from data
} rp_dl_tensor;

typedef struct rp_dl_managed_tensor {
    rp_dl_tensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct rp_dl_managed_tensor *self);
} rp_dl_managed_tensor;
#endif

// The same since DLPack 1.0; a dlpack.h from before knows none.
#if defined(DLPACK_MAJOR_VERSION) && DLPACK_MAJOR_VERSION >= 1
typedef struct DLManagedTensorVersioned rp_dl_managed_tensor_versioned;   // a tensor, its deleter, and the version that they follow
#else
typedef struct rp_dl_version {
    uint32_t major;           // another one: another layout behind the deleter
    uint32_t minor;
} rp_dl_version;

typedef struct rp_dl_managed_tensor_versioned {
    rp_dl_version version;
    void *manager_ctx;
    void (*deleter)(struct rp_dl_managed_tensor_versioned *self);
    uint64_t flags;           // 1: read only, 2: a copy
    rp_dl_tensor dl_tensor;
} rp_dl_managed_tensor_versioned;
#endif

// Device types (kDLCPU, ..) and codes of data types (kDLInt, ..) that this library knows.
#define RP_DL_CPU 1
#define RP_DL_CUDA 2
#define RP_DL_CUDA_HOST 3
#define RP_DL_INT 0
#define RP_DL_UINT 1
#define RP_DL_FLOAT 2
#define RP_DL_BFLOAT 4
#define RP_DL_BOOL 6

// The language's own word for what is checked below.
#ifdef __cplusplus
#define RP_DL_ASSERT static_assert
#else
#define RP_DL_ASSERT _Static_assert
#endif
RP_DL_ASSERT(sizeof(rp_dl_device) == 8 && sizeof(rp_dl_data_type) == 4, "not the layout of DLPack");
#if UINTPTR_MAX == UINT64_MAX
RP_DL_ASSERT(sizeof(rp_dl_tensor) == 48 && offsetof(rp_dl_tensor, device) == 8 && offsetof(rp_dl_tensor, ndim) == 16 &&
             offsetof(rp_dl_tensor, dtype) == 20 && offsetof(rp_dl_tensor, shape) == 24 && offsetof(rp_dl_tensor, strides) == 32 &&
             offsetof(rp_dl_tensor, byte_offset) == 40, "not the layout of DLPack");
RP_DL_ASSERT(sizeof(rp_dl_managed_tensor) == 64 && offsetof(rp_dl_managed_tensor, deleter) == 56, "not the layout of DLPack");
RP_DL_ASSERT(sizeof(rp_dl_managed_tensor_versioned) == 80 && offsetof(rp_dl_managed_tensor_versioned, manager_ctx) == 8 &&
             offsetof(rp_dl_managed_tensor_versioned, deleter) == 16 && offsetof(rp_dl_managed_tensor_versioned, flags) == 24 &&
             offsetof(rp_dl_managed_tensor_versioned, dl_tensor) == 32, "not the layout of DLPack");
#endif

// The tensor of a versioned one, borrowed from it: the calls below take it.
//   out      lives as long as `tensor`; NULL on failure
// Errors:    INVALID_ARGUMENT, UNSUPPORTED (its major version is not 1, so that only its deleter may be used)
RP_API RP_CHECKED rp_status rp_dl_from_versioned(const rp_dl_managed_tensor_versioned *tensor, const rp_dl_tensor **out);

// A result as a versioned tensor (1.0, flags 0), which consumers that know DLPack 1.0 ask for ("dltensor_versioned"): the same memory.
//   tensor   taken over on success: its deleter is called by that of *out
//   out      the caller's; NULL on failure
// Errors:    INVALID_ARGUMENT, OUT_OF_MEMORY
// Threads:   both from any, at any time
RP_API RP_CHECKED rp_status rp_dl_to_versioned(rp_dl_managed_tensor *tensor, rp_dl_managed_tensor_versioned **out);

// One series of a forecast. Tensors and group_ids are borrowed during the call.
//
// On the host (kDLCPU, kDLCUDAHost): numbers of any float type of 16, 32 or 64 bits, bfloat16, or integers up to 64 bits, with any
// strides. float32 rows without gaps are read where they are; all else is converted on its way.
// On a CUDA device (kDLCUDA): float32 with any strides, at most 2^31 numbers from the first to the last, on the very device of the
// forecaster, which was created with device_inputs = 1. The numbers never visit the host. What they are is known only at the end:
// an infinity fails the forecast then.
// A NaN among the values is a missing value, as where the mask is 0.
typedef struct rp_dl_series {
    size_t struct_size;
    const rp_dl_tensor *values;   // [V, T]; where V is 1 also [T]
    const rp_dl_tensor *mask;     // of the values' shape and on their device: bool, uint8 or int8, 0 = missing; NULL = none
    const rp_dl_tensor *future;   // [exogenous, H], or [H] where one is: known future of the last variates; NULL where none is
    const int32_t *group_ids;     // [V], as in rp_series
    uint32_t id;                  // as in rp_series
} rp_dl_series;
#define RP_DL_SERIES_INIT RP_INIT(rp_dl_series)

#define RP_DL_SAMPLES 1u          // float32 [B, V, H, S]; not in mean mode, nor of Toto 2.0
#define RP_DL_MEAN 2u             // float32 [B, V, H]
#define RP_DL_QUANTILES 4u        // float32 [n_quantiles, B, V, H]; not in mean mode; Toto 2.0 gives them without paths

// What to make of a forecast, as tensors in host memory that the forecast writes straight into.
typedef struct rp_dl_result {
    size_t struct_size;
    uint32_t wanted;              // RP_DL_*, together; 0: nothing on the host, see rp_forecaster_lend_samples
    rp_dl_managed_tensor *samples, *mean, *quantiles;   // out: the caller's; NULL where not wanted, and after a failure
} rp_dl_result;
#define RP_DL_RESULT_INIT RP_INIT(rp_dl_result)

// Streams, numbered as in DLPack's Python protocol.
#define RP_DL_STREAM_NONE (-1)    // everything is ready, and nothing is to be waited for
#define RP_DL_STREAM_DEFAULT 1    // the legacy default stream, which is also meant by 0
#define RP_DL_STREAM_PER_THREAD 2 // the default stream of the calling thread

// rp_forecast with tensors.
//   series   [n_series], n_series <= max_batch; those of one call may lie on different devices
//   stream   RP_DL_STREAM_*, or a cudaStream_t as a number: the forecast starts when all that is queued on it is done. So name
//            the stream that makes the tensors, and that last used samples that were lent. Looked at on CUDA devices only:
//            elsewhere the memory of kDLCUDAHost tensors must be ready
//   result   what to make; the tensors are set only on success
// Returns when all is done: the results are ready on every stream, and the series' memory may be used again.
// Errors:    as rp_forecast, and INVALID_ARGUMENT for a tensor that is not what it should be (the sentence names it),
//            UNSUPPORTED for CUDA tensors where the device takes none, OUT_OF_MEMORY
RP_API RP_CHECKED rp_status rp_forecast_dlpack(rp_forecaster *forecaster, const rp_dl_series *series, uint32_t n_series, int64_t stream,
                                               const rp_forecast_config *config, rp_dl_result *result);

// One series of price bars; where they may lie, with which types and strides: as for rp_dl_series, and so with device_inputs = 1 on
// a CUDA device. There, too, volumes that are missing are 0 and amounts volume times mean price, to the bit, and a number that no
// bar may have fails the forecast at its end. No bar is missing, so a NaN is such a number. Times lie on the host.
typedef struct rp_dl_bars {
    size_t struct_size;
    const rp_dl_tensor *bars;         // [T, 6], [T, 5] or [T, 4]: open, high, low, close, volume, amount
    const rp_dl_tensor *times;        // int64 [T], as in rp_bars; kDLCPU or kDLCUDAHost
    const rp_dl_tensor *future_times; // int64 [H]; NULL = continued at the last spacing
    uint32_t id;                      // as in rp_bars
} rp_dl_bars;
#define RP_DL_BARS_INIT RP_INIT(rp_dl_bars)

// rp_forecast_bars with tensors; all else as rp_forecast_dlpack.
RP_API RP_CHECKED rp_status rp_forecast_bars_dlpack(rp_forecaster *forecaster, const rp_dl_bars *bars, uint32_t n_series, int64_t stream,
                                                    const rp_forecast_config *config, rp_dl_result *result);

// Lends the samples of the forecaster's last forecast, whichever call made it, where they are: float32 [B, V, H, S] on its CUDA
// device (mean mode: [B, V, H, 1]), not without gaps. A forecast that wanted no array on the host has copied none there.
//   out      the caller's; NULL on failure. While it is not deleted the forecaster makes no other forecast. The tensor may outlive
//            forecaster and model: it then keeps the forecaster's memory. When the device is destroyed its memory goes, but not the
//            descriptor, whose deleter may still be called
// Reading must be done by the next forecast, or be queued on the legacy default stream, on one that blocks with it, or on the stream
// that rp_forecast_dlpack is given.
// Errors:    INVALID_ARGUMENT (no forecast has ended well yet, or they are lent already), UNSUPPORTED (not a CUDA device, or a model that
//            samples no paths), OUT_OF_MEMORY
// Threads:   deleters may be called on any thread at any time, and wait for nobody: where another thread's call on the device is
//            under way, the next call on it frees the memory
RP_API RP_CHECKED rp_status rp_forecaster_lend_samples(rp_forecaster *forecaster, rp_dl_managed_tensor **out);

#ifdef __cplusplus
}
#endif
#endif
