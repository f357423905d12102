#include "config_struct.h"

#include <string.h>

bool rp_struct_in(void *own, size_t own_size, const void *theirs) {
    size_t size;
    if (theirs == NULL) { return false; }
    memcpy(&size, theirs, sizeof size);
    if (size < sizeof size || size > 65536) { return false; }   // no struct of ours is near that: an unset size
    for (size_t i = own_size; i < size; i++) {
        if (((const unsigned char *)theirs)[i] != 0) { return false; }
    }
    memcpy(own, theirs, size < own_size ? size : own_size);
    memcpy(own, &own_size, sizeof own_size);
    return true;
}

bool rp_struct_out(void *theirs, const void *own, size_t own_size) {
    size_t size;
    if (theirs == NULL) { return false; }
    memcpy(&size, theirs, sizeof size);
    if (size < sizeof size || size > 65536) { return false; }
    const size_t both = size < own_size ? size : own_size;
    memcpy((char *)theirs + sizeof size, (const char *)own + sizeof size, both - sizeof size);
    memset((char *)theirs + both, 0, size - both);
    return true;
}
