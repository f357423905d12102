// reprise.h: forecasts with time-series foundation models, on NVIDIA GPUs (CUDA) and on any GPU or CPU (Vulkan).
//
// Ownership: `create` and `load` give it, `destroy` takes it (and accepts NULL), `get` lends, `copy` fills the caller's memory.
// Errors:    every call that can fail returns rp_status; the sentence that belongs to the last failure is kept in the
//            device and copied out by rp_device_copy_error. INVALID_ARGUMENT also stands for a NULL handle.
// Threads:   every call may be made from any thread. Nothing is shared between devices. Calls on one device, its models and
//            forecasters run one after the other, whole: two threads with a forecaster each get the numbers that they would get
//            alone, and wait for each other. `destroy` is the last call on its object, and what it was made from outlives it.
//            The sentence of the last failure is the device's, whichever thread's call it was.
// Configs:   each starts with its size (the _INIT macro sets it) and only ever grows at the end; 0 means the default.
//            Non-zero bytes that this library does not know are an error, never ignored.
// Letters:   B series, V variates, T context in time steps, H horizon, S sample paths.
#ifndef REPRISE_H
#define REPRISE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- library ----

#define RP_VERSION_MAJOR 0
#define RP_VERSION_MINOR 1
#define RP_VERSION_PATCH 0

#ifndef RP_API
// Marks what leaves the library.
#define RP_API __attribute__((visibility("default")))
#endif

#define RP_STATUS_LIST(X)                                                                 \
    X(OK, "success")                                                                      \
    X(INVALID_ARGUMENT, "an argument is out of its range or contradicts another")         \
    X(NOT_FOUND, "a file, folder, device or column does not exist")                       \
    X(BAD_FILE, "a file is damaged or is not what its name promises")                     \
    X(UNSUPPORTED, "valid, but this library or device cannot do it")                      \
    X(UNAVAILABLE, "a backend, driver or device is not present")                          \
    X(OUT_OF_MEMORY, "host or device memory ran out, or the budget given is too small")   \
    X(CANCELLED, "the progress callback asked to stop")                                   \
    X(DEVICE_LOST, "the device failed; destroy what is on it and it, then create it anew") \
    X(INTERNAL, "a promise inside the library was broken: please report it")

// What every call that can fail returns. Its rows above are in the order of their numbers; new ones are added at the end.
typedef enum rp_status {
#define X(name, text) RP_##name,
    RP_STATUS_LIST(X)
#undef X
    RP_STATUS_COUNT           // how many there are
} rp_status;

#if defined(__GNUC__)
// The compiler warns of a result that nobody looks at.
#define RP_CHECKED __attribute__((warn_unused_result))
#else
#define RP_CHECKED
#endif

// What the _INIT macros below stand for: every byte zero, but for the size.
#ifdef __cplusplus
extern "C++" {
template <class type> inline type rp_init() {
    type zeroed = type();
    zeroed.struct_size = sizeof(type);
    return zeroed;
}
}
#define RP_INIT(type) rp_init<type>()
#else
#define RP_INIT(type) { .struct_size = sizeof(type) }
#endif

typedef struct rp_device rp_device;             // a GPU, a CPU or the reference, opened; keeps the sentence of the last failure
typedef struct rp_device_list rp_device_list;   // what could be opened, as it was when the list was made
typedef struct rp_model rp_model;               // a checkpoint's weights on a device
typedef struct rp_forecaster rp_forecaster;     // caches and recordings for forecasts up to fixed sizes

// The version of the library that runs, which may be newer than the header: major << 16 | minor << 8 | patch.
RP_API uint32_t rp_version(void);

// "INVALID_ARGUMENT" and so on; "?" for a number that is no status. Static storage.
RP_API const char *rp_status_name(rp_status status);

// One line that explains the status in general. Static storage.
RP_API const char *rp_status_text(rp_status status);

// ---- devices ----

// What a device is made of.
typedef enum rp_device_kind {
    RP_DEVICE_REFERENCE,      // plain loops in float64 on the CPU
    RP_DEVICE_CPU,            // a Vulkan driver that runs on the CPU, such as llvmpipe
    RP_DEVICE_GPU             // CUDA or Vulkan
} rp_device_kind;

// One device, or one backend that is absent.
typedef struct rp_device_info {
    size_t struct_size;
    char spec[32];            // what rp_device_create takes: "cuda:0", "vulkan:1", "ref"; a backend without devices: "cuda"
    char backend[16];         // "cuda", "vulkan", "ref"
    char name[128];           // what the driver calls it
    char detail[512];         // driver and features; where available is 0, the sentence that says why
    uint32_t available;       // 1: can be created
    rp_device_kind kind;      // what it is made of
    uint64_t memory_bytes;    // device memory in all; 0: the host's
    uint32_t mixed;           // 1: has matrix units that precision `mixed` uses
    uint64_t memory_free_bytes; // of memory_bytes, when asked of an open device; 0: not known, as in lists
    uint64_t allocation_bytes;  // the largest single allocation; 0: no such limit
    char uses[160];           // features of it that are used, separated by commas
    char lacks[256];          // features that would be used and are not there, and what takes their place; "" = none
} rp_device_info;
#define RP_DEVICE_INFO_INIT RP_INIT(rp_device_info)

// Lists every device of every backend in the order that "auto" tries them, and each absent backend once with its reason.
//   out      owned by the caller; NULL on failure
// Errors:    OUT_OF_MEMORY
// Threads:   safe
RP_API RP_CHECKED rp_status rp_device_list_create(rp_device_list **out);
// How many entries it has, absent backends included; NULL has none.
RP_API uint32_t rp_device_list_count(const rp_device_list *list);
// Fills *info, whose struct_size the caller has set. Errors: INVALID_ARGUMENT (index too large).
RP_API RP_CHECKED rp_status rp_device_list_copy(const rp_device_list *list, uint32_t index, rp_device_info *info);
// Frees the list; NULL is fine.
RP_API void rp_device_list_destroy(rp_device_list *list);

// How a device is opened.
typedef struct rp_device_config {
    size_t struct_size;
    uint32_t direct;          // 1: run recordings node by node without replaying them (slow; for finding faults: an error then
                              // names the operation, where otherwise it names the recordings that were under way)
    uint32_t validate;        // 1: Vulkan validation layers with synchronization validation, where installed
} rp_device_config;
#define RP_DEVICE_CONFIG_INIT RP_INIT(rp_device_config)

// Opens a device.
//   spec     "auto" (CUDA, then a Vulkan GPU, then a Vulkan CPU, then ref), "cuda", "cuda:N", "vulkan", "vulkan:N", "ref";
//            NULL = "auto"
//   config   read during the call only; NULL = defaults
//   out      owned by the caller. Also after a failure (unless memory ran out) it is a device, good only for
//            rp_device_copy_error and rp_device_destroy.
// Errors:    INVALID_ARGUMENT, UNAVAILABLE, NOT_FOUND, OUT_OF_MEMORY
// Threads:   safe
RP_API RP_CHECKED rp_status rp_device_create(const char *spec, const rp_device_config *config, rp_device **out);

// Destroys a device. Its models and forecasters must be gone. That is also the way back from DEVICE_LOST: destroy forecasters,
// models and device, in this order, and create them again, in the same process. One case excepted: from a process in which a kernel
// has faulted, whoever launched it, CUDA takes no more work; rp_device_create then answers DEVICE_LOST and says so for that GPU, and
// works for the other backends.
RP_API void rp_device_destroy(rp_device *device);

// Fills *info, whose struct_size the caller has set; free memory is asked for anew. Errors: INVALID_ARGUMENT, UNAVAILABLE (it was
// never opened), DEVICE_LOST.
RP_API RP_CHECKED rp_status rp_device_copy_info(rp_device *device, rp_device_info *info);

// Copies the sentence of the last failure, always terminated, cut to `cap` bytes; "" before any failure. Returns its full
// length without the terminator.
RP_API size_t rp_device_copy_error(rp_device *device, char *buf, size_t cap);

// ---- models ----

// A promise about arithmetic, not a hint.
typedef enum rp_precision {
    RP_PRECISION_AUTO,        // mixed where the device has matrix units that it uses, else f32
    RP_PRECISION_F32,         // every product and sum in IEEE float32 or better
    RP_PRECISION_MIXED        // 16-bit operands on matrix units, float32 sums
} rp_precision;

// How a model is loaded.
typedef struct rp_model_config {
    size_t struct_size;
    rp_precision precision;   // asked for, AUTO by default
    const char *tokenizer;    // Kronos: the folder of its tokenizer; NULL = the folder `tokenizer` inside the model's
} rp_model_config;
#define RP_MODEL_CONFIG_INIT RP_INIT(rp_model_config)

// What a model is.
typedef struct rp_model_info {
    size_t struct_size;
    char family[16];          // "toto", "toto2", "kronos"
    rp_precision precision;   // F32 or MIXED, never AUTO
    uint64_t parameters;      // numbers in the files
    uint64_t file_bytes;      // on disk
    uint64_t device_bytes;    // weights on the device
    uint32_t patch;           // time steps of one patch; Kronos: 1
    uint32_t width, layers, heads, mlp_width, components; // of the transformer; components of the output distribution
    uint32_t has_labels;      // 1: a fine-tuned file with variate labels
    uint32_t window;          // Kronos: bars that it sees at once, context and forecast together; 0: no such limit
    uint32_t quantiles;       // Toto 2.0: levels that a forecast gives, 9 from 0.1 to 0.9, and no paths; 0: it samples paths
} rp_model_info;
#define RP_MODEL_INFO_INIT RP_INIT(rp_model_info)

// Loads a published checkpoint: a folder with config.json and model.safetensors (or its sharded form).
//   device   borrowed, must outlive *out
//   path     the folder. Kronos is two: a folder that holds them as `model` and `tokenizer`, or the model's own where
//            config->tokenizer names the other
//   config   read during the call only; NULL = defaults
//   out      owned by the caller; NULL on failure
// Errors:    NOT_FOUND, BAD_FILE (the tensor or key is named), UNSUPPORTED, OUT_OF_MEMORY, DEVICE_LOST
// Threads:   safe; other calls on this device wait
RP_API RP_CHECKED rp_status rp_model_load(rp_device *device, const char *path, const rp_model_config *config, rp_model **out);
// Destroys a model; its forecasters must be gone. NULL is fine.
RP_API void rp_model_destroy(rp_model *model);

// Fills *info, whose struct_size the caller has set.
RP_API RP_CHECKED rp_status rp_model_copy_info(const rp_model *model, rp_model_info *info);

// Moves the weights from the device to host memory, which frees info.device_bytes on the device, and back. Not a bit of them
// changes. While they are away the model can only be restored, described and destroyed. Either call does nothing where the
// weights are already there. A model's forecasters must be destroyed before it is offloaded: their recordings hold addresses.
// Errors:    INVALID_ARGUMENT (it has forecasters), OUT_OF_MEMORY (the sentence says how much is needed and what the device
//            already holds; the weights stay where they are), DEVICE_LOST
RP_API RP_CHECKED rp_status rp_model_offload(rp_model *model);
// The way back from rp_model_offload.
RP_API RP_CHECKED rp_status rp_model_restore(rp_model *model);

// ---- forecasters ----

// The largest forecast that a forecaster is made for.
typedef struct rp_forecaster_config {
    size_t struct_size;
    uint32_t max_context;     // T: time steps of the longest context; required
    uint32_t max_horizon;     // H: required
    uint32_t variates;        // V of every series, exogenous ones included; 0 = 1. Kronos: 0 or 6
    uint32_t max_batch;       // B: series forecast together; 0 = 1
    uint32_t max_paths;       // S of one forecast; 0 = 1. Toto 2.0 samples none, so any will do
    uint64_t memory_bytes;    // device bytes that the forecaster may take; paths are split into chunks to fit, which
                              // changes no number; 0 = no limit
    uint32_t window;          // Kronos: bars seen at once, context and forecast together (the original's max_context);
                              // 0 = the model's own. max_horizon may not exceed it
    uint32_t device_inputs;   // 1: series may come as CUDA tensors (reprise_dlpack.h), for one launch more in each forecast;
                              // CUDA only
    uint32_t block;           // Toto 2.0: time steps predicted in one pass before their medians are appended, a multiple of the
                              // model's patch; 0 = a single pass over the whole horizon
} rp_forecaster_config;
#define RP_FORECASTER_CONFIG_INIT RP_INIT(rp_forecaster_config)

// What a forecaster takes.
typedef struct rp_forecaster_info {
    size_t struct_size;
    uint64_t device_bytes;    // taken (or to be taken) beyond the model's weights
    uint32_t chunk_paths;     // paths decoded together
    uint32_t chunks;          // for max_paths
} rp_forecaster_info;
#define RP_FORECASTER_INFO_INIT RP_INIT(rp_forecaster_info)

// Says what rp_forecaster_create would take, without allocating device memory.
// Errors:    INVALID_ARGUMENT, OUT_OF_MEMORY (not even one path fits the budget; the sentence says what would)
RP_API RP_CHECKED rp_status rp_forecaster_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info);

// Allocates the caches and records the prompt and the decode step, once.
//   model    borrowed, must outlive *out
//   config   read during the call only
//   out      owned by the caller; NULL on failure
// Errors:    INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE_LOST
RP_API RP_CHECKED rp_status rp_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out);
// Destroys a forecaster; NULL is fine.
RP_API void rp_forecaster_destroy(rp_forecaster *forecaster);
// Fills *info, whose struct_size the caller has set.
RP_API RP_CHECKED rp_status rp_forecaster_copy_info(const rp_forecaster *forecaster, rp_forecaster_info *info);

// One series of a forecast. All pointers are borrowed during the call.
typedef struct rp_series {
    size_t struct_size;
    const float *values;      // [V, T]; finite where the mask is 1
    const uint8_t *mask;      // [V, T], 1 = a real value, 0 = missing (counts as 0); NULL = all real
    const int32_t *group_ids; // [V]; variates see each other only inside equal numbers; NULL = all in one group
    const float *future;      // [exogenous, H]: known future of the last `exogenous` variates; NULL where there are none
    uint32_t context;         // T of this series, 1 to max_context
    uint32_t id;              // names the series in the random stream: the same id and seed give the same paths in any batch
} rp_series;
#define RP_SERIES_INIT RP_INIT(rp_series)

// Called between replays, on the calling thread, while other threads' calls on the device wait. It may not use the forecaster that
// calls it. Return non-zero to stop: the forecast ends with RP_CANCELLED within a replay, on a GPU within four.
typedef int (*rp_progress_fn)(void *user, uint32_t done, uint32_t total);

// What is asked for; one config serves every series of a call.
typedef struct rp_forecast_config {
    size_t struct_size;
    uint32_t horizon;         // H: 1 to max_horizon
    uint32_t paths;           // S: 1 to max_paths sample paths; 0 = mean mode: one path without chance. Toto appends its
                              // distribution's mean at each step, Kronos draws greedily. Toto 2.0: 0, it gives quantiles
    uint32_t exogenous;       // the last so many variates have known futures
    uint64_t seed;            // of the random stream: the same seed gives the same paths
    const float *quantile_levels; // [n_quantiles], each in [0, 1], Toto 2.0: in [0.1, 0.9]; borrowed
    uint32_t n_quantiles;     // 0 = none
    rp_progress_fn progress;  // NULL = none; with it the host waits between replays to report them
    void *progress_user;      // handed to it
    float temperature;        // Kronos, as the two below: logits are divided by it; 0 = 1
    float top_p;              // draw among the likeliest tokens that together exceed it; 0 = 1, all
    uint32_t top_k;           // draw among so many, and forget top_p; 1: greedy; 0 = all
    uint32_t scaler_fallback_min_obs; // Toto 2.0, as the one below: patches with fewer values so far are scaled by the statistics
                              // of the first so many; 0 = by those so far
    float quantile_real_cap_k; // quantiles stay within so many standard deviations of the context's extremes; 0 = no cap
} rp_forecast_config;
#define RP_FORECAST_CONFIG_INIT RP_INIT(rp_forecast_config)

// What a forecast fills in: the caller's arrays, each optional (NULL = not wanted). Where none is wanted nothing is copied to the
// host; on CUDA reprise_dlpack.h then lends the samples where they are.
typedef struct rp_forecast_result {
    size_t struct_size;
    float *samples;           // [B, V, H, S]; in mean mode not available
    float *mean;              // [B, V, H]: mean over the paths, or in mean mode the forecast; Toto 2.0: the median
    float *quantiles;         // [n_quantiles, B, V, H] over the paths, linear between order statistics; not in mean mode.
                              // Toto 2.0: its own nine, linear in level between them
} rp_forecast_result;
#define RP_FORECAST_RESULT_INIT RP_INIT(rp_forecast_result)

// Forecasts n_series series of possibly different context lengths in one go.
//   series   [n_series], n_series <= max_batch
//   result   its arrays are owned by the caller and written only on success
// Errors:    INVALID_ARGUMENT (more than the forecaster was created for, a value that is not finite, ...), CANCELLED,
//            DEVICE_LOST. After CANCELLED and INVALID_ARGUMENT the forecaster can be used again.
RP_API RP_CHECKED rp_status rp_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series,
                                        const rp_forecast_config *config, rp_forecast_result *result);

// ---- bars: Kronos ----

// One series of price bars. A bar is open, high, low, close, volume, amount: V = 6 variates, in this order, of a forecast's result.
typedef struct rp_bars {
    size_t struct_size;
    const float *open, *high, *low, *close; // [T] each; required
    const float *volume;      // [T]; NULL = 0, and so is the amount
    const float *amount;      // [T], money traded; NULL = volume x the mean of the four prices
    const int64_t *times;     // [T], ascending: seconds since 1970-01-01 00:00 as the exchange's own clock shows them
    const int64_t *future_times; // [H]; NULL = continued at the last spacing
    const uint8_t *stamps;    // [T + H, 5]: minute, hour, weekday (Monday 0), day of month, month. Instead of times; or NULL
    uint32_t context;         // T of this series, 1 to max_context; 2 at least where future times are to be continued
    uint32_t id;              // names the series in the random stream: the same id and seed give the same paths in any batch
} rp_bars;
#define RP_BARS_INIT RP_INIT(rp_bars)

// rp_forecast for a model of bars: every number of the bars must be finite and below 1e17. Results have V = 6.
//   bars     [n_series], n_series <= max_batch
//   result   its arrays are owned by the caller and written only on success
// Errors:    as rp_forecast, and INVALID_ARGUMENT for times that do not ascend or stamps out of range
RP_API RP_CHECKED rp_status rp_forecast_bars(rp_forecaster *forecaster, const rp_bars *bars, uint32_t n_series,
                                             const rp_forecast_config *config, rp_forecast_result *result);

#ifdef __cplusplus
}
#endif
#endif
