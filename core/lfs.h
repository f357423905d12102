// A repository cloned without Git LFS holds short texts in place of its large files. They deserve their own sentence.
#ifndef RP_LFS_H
#define RP_LFS_H

#include "status.h"

// Fails where the bytes are such a text, and says how to get the file itself. Errors: BAD_FILE
rp_status rp_refuse_lfs_pointer(const void *data, uint64_t bytes, const char *name, rp_error *error);

#endif
