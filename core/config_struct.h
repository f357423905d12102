// Public structs that start with their size and grow at the end: reading a caller's, which may be older or newer than ours.
#ifndef RP_CONFIG_STRUCT_H
#define RP_CONFIG_STRUCT_H

#include <stdbool.h>
#include <stddef.h>

#define RP_STRUCT_MESSAGE                                                                                       \
    "%s: struct_size is not set (use its _INIT macro), or a field that this version of the library does not know is not zero."

// Copies what both sides know of the caller's struct into ours (own_size bytes, already holding defaults in what the caller's
// is too short for). False: no size, or non-zero bytes past what we know.
bool rp_struct_in(void *own, size_t own_size, const void *theirs);

// Copies what both sides know out to the caller and leaves its struct_size; zeroes the rest. False: NULL or no size.
bool rp_struct_out(void *theirs, const void *own, size_t own_size);

#endif
