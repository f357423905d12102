// The CUDA driver as this backend sees it: the few types it needs and one table of functions, found at run time. Declared
// here and not through cuda.h, so that the host code is built, and tested on a fake table, without a CUDA toolkit.
// Layouts and numbers are those of the driver's stable binary interface (CUDA driver API reference, cuda.h).
#ifndef RP_CUDA_DRIVER_H
#define RP_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed.h"
#include "status.h"

typedef int rp_cu_result;                // 0: success; others in driver.c
typedef int rp_cu_device;                // ordinal handle
typedef uint64_t rp_cu_pointer;          // device address
typedef struct rp_cu_context_object *rp_cu_context;
typedef struct rp_cu_stream_object *rp_cu_stream;
typedef struct rp_cu_event_object *rp_cu_event;
typedef struct rp_cu_module_object *rp_cu_module;
typedef struct rp_cu_function_object *rp_cu_function;
typedef struct rp_cu_graph_object *rp_cu_graph;
typedef struct rp_cu_node_object *rp_cu_node;
typedef struct rp_cu_exec_object *rp_cu_exec;

typedef struct rp_cu_kernel_node {       // CUDA_KERNEL_NODE_PARAMS_v1, what the unsuffixed cuGraphAddKernelNode takes
    rp_cu_function function;
    unsigned grid[3], block[3];
    unsigned shared_bytes;
    void **params;
    void **extra;
} rp_cu_kernel_node;

typedef struct rp_cu_edge {              // CUgraphEdgeData
    unsigned char from_port, to_port, type, reserved[5];
} rp_cu_edge;

#define RP_CU_SUCCESS 0
#define RP_CU_INVALID_VALUE 1
#define RP_CU_OUT_OF_MEMORY 2
#define RP_CU_NO_DEVICE 100
#define RP_CU_ATTRIBUTE_PROCESSORS 16    // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
#define RP_CU_ATTRIBUTE_MAJOR 75         // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
#define RP_CU_ATTRIBUTE_MINOR 76
#define RP_CU_FUNCTION_DYNAMIC_SHARED 8  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
#define RP_CU_FUNCTION_CARVEOUT 9        // CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, in percent
#define RP_CU_MAP_BYTES 128               // CUtensorMap, aligned to 64
#define RP_CU_MAP_FLOAT16 6              // CU_TENSOR_MAP_DATA_TYPE_FLOAT16
#define RP_CU_MAP_SWIZZLE_128B 3         // CU_TENSOR_MAP_SWIZZLE_128B
#define RP_CU_MAP_PROMOTE_256B 3         // CU_TENSOR_MAP_L2_PROMOTION_L2_256B

#define RP_CU_PORT_PROGRAMMATIC 1        // CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC
#define RP_CU_EDGE_PROGRAMMATIC 1        // CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC
#define RP_CU_STREAM_NON_BLOCKING 1u
#define RP_CU_EVENT_DISABLE_TIMING 2u
#define RP_CU_HOST_PORTABLE 1u
#define RP_CU_POINTER_KIND 2             // CU_POINTER_ATTRIBUTE_MEMORY_TYPE: a 32-bit CUmemorytype
#define RP_CU_POINTER_DEVICE 9           // CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: an int
#define RP_CU_KIND_DEVICE 2u             // CU_MEMORYTYPE_DEVICE
#define RP_CU_HOST_DEVICEMAP 2u

// X(member, symbol, parameters). The symbol's own suffix (_v2) fixes the binary interface, whatever the driver's version.
#define RP_CU_LIST(X)                                                                                                    \
    X(init, "cuInit", (unsigned flags))                                                                                  \
    X(driver_version, "cuDriverGetVersion", (int *version))                                                              \
    X(error_name, "cuGetErrorName", (rp_cu_result result, const char **text))                                            \
    X(error_string, "cuGetErrorString", (rp_cu_result result, const char **text))                                        \
    X(device_count, "cuDeviceGetCount", (int *count))                                                                    \
    X(device_get, "cuDeviceGet", (rp_cu_device * out, int index))                                                        \
    X(device_name, "cuDeviceGetName", (char *name, int cap, rp_cu_device device))                                        \
    X(device_memory, "cuDeviceTotalMem_v2", (size_t * bytes, rp_cu_device device))                                       \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, rp_cu_device device))                        \
    X(context_retain, "cuDevicePrimaryCtxRetain", (rp_cu_context * out, rp_cu_device device))                            \
    X(context_release, "cuDevicePrimaryCtxRelease_v2", (rp_cu_device device))                                            \
    X(context_push, "cuCtxPushCurrent_v2", (rp_cu_context context))                                                      \
    X(context_pop, "cuCtxPopCurrent_v2", (rp_cu_context * out))                                                          \
    X(stream_create, "cuStreamCreate", (rp_cu_stream * out, unsigned flags))                                             \
    X(stream_destroy, "cuStreamDestroy_v2", (rp_cu_stream stream))                                                       \
    X(stream_wait, "cuStreamSynchronize", (rp_cu_stream stream))                                                         \
    X(event_create, "cuEventCreate", (rp_cu_event * out, unsigned flags))                                                \
    X(event_destroy, "cuEventDestroy_v2", (rp_cu_event event))                                                           \
    X(event_record, "cuEventRecord", (rp_cu_event event, rp_cu_stream stream))                                           \
    X(event_wait, "cuEventSynchronize", (rp_cu_event event))                                                             \
    X(stream_wait_event, "cuStreamWaitEvent", (rp_cu_stream stream, rp_cu_event event, unsigned flags))                  \
    X(pointer_attribute, "cuPointerGetAttribute", (void *value, int attribute, rp_cu_pointer address))                   \
    X(memory_info, "cuMemGetInfo_v2", (size_t * free_bytes, size_t *total_bytes))                                        \
    X(memory_alloc, "cuMemAlloc_v2", (rp_cu_pointer * out, size_t bytes))                                                \
    X(memory_free, "cuMemFree_v2", (rp_cu_pointer address))                                                              \
    X(host_alloc, "cuMemHostAlloc", (void **out, size_t bytes, unsigned flags))                                          \
    X(host_free, "cuMemFreeHost", (void *memory))                                                                        \
    X(host_address, "cuMemHostGetDevicePointer_v2", (rp_cu_pointer * out, void *memory, unsigned flags))                 \
    X(copy_to_device, "cuMemcpyHtoDAsync_v2", (rp_cu_pointer to, const void *from, size_t bytes, rp_cu_stream stream))   \
    X(copy_to_host, "cuMemcpyDtoHAsync_v2", (void *to, rp_cu_pointer from, size_t bytes, rp_cu_stream stream))           \
    X(module_load, "cuModuleLoadData", (rp_cu_module * out, const void *image))                                          \
    X(module_unload, "cuModuleUnload", (rp_cu_module module))                                                            \
    X(module_function, "cuModuleGetFunction", (rp_cu_function * out, rp_cu_module module, const char *name))             \
    X(function_set, "cuFuncSetAttribute", (rp_cu_function function, int attribute, int value))                           \
    X(launch, "cuLaunchKernel",                                                                                          \
      (rp_cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,   \
       unsigned block_z, unsigned shared_bytes, rp_cu_stream stream, void **params, void **extra))                       \
    X(graph_create, "cuGraphCreate", (rp_cu_graph * out, unsigned flags))                                                \
    X(graph_destroy, "cuGraphDestroy", (rp_cu_graph graph))                                                              \
    X(graph_add_kernel, "cuGraphAddKernelNode",                                                                          \
      (rp_cu_node * out, rp_cu_graph graph, const rp_cu_node *deps, size_t n_deps, const rp_cu_kernel_node *node))       \
    X(graph_add_child, "cuGraphAddChildGraphNode",                                                                       \
      (rp_cu_node * out, rp_cu_graph graph, const rp_cu_node *deps, size_t n_deps, rp_cu_graph child))                   \
    X(graph_instantiate, "cuGraphInstantiateWithFlags", (rp_cu_exec * out, rp_cu_graph graph, unsigned long long flags)) \
    X(exec_destroy, "cuGraphExecDestroy", (rp_cu_exec exec))                                                             \
    X(exec_upload, "cuGraphUpload", (rp_cu_exec exec, rp_cu_stream stream))                                              \
    X(exec_launch, "cuGraphLaunch", (rp_cu_exec exec, rp_cu_stream stream))

// Functions that an older driver may lack: NULL then.
#define RP_CU_OPTIONAL(X)                                                                                                \
    X(graph_add_edges, "cuGraphAddDependencies_v2",                                                                      \
      (rp_cu_graph graph, const rp_cu_node *from, const rp_cu_node *to, const rp_cu_edge *edges, size_t n)) \
    X(tensor_map, "cuTensorMapEncodeTiled",                                                                              \
      (void *map, int type, uint32_t rank, void *address, const uint64_t *lengths, const uint64_t *strides,              \
       const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill))

typedef struct rp_cuda_driver {
#define X(member, symbol, parameters) rp_cu_result(*member) parameters;
    RP_CU_LIST(X)
    RP_CU_OPTIONAL(X)
#undef X
    const rp_blob *blobs;                // modules that `module_load` takes; ends with a NULL name
} rp_cuda_driver;

// Opens the driver's library and fills the table. On failure *library is NULL, or was closed again, and the error says what
// was missing and what to do. The library stays open until rp_library_close.
rp_status rp_cuda_driver_load(rp_error *error, void **library, rp_cuda_driver *out);

// Says in `error` that `result` came back while `doing` ("allocating memory"), and which status that is: a device that can
// no longer be used is DEVICE_LOST.
rp_status rp_cuda_driver_error(rp_error *error, const rp_cuda_driver *driver, rp_cu_result result, const char *doing);

#endif
