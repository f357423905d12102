// The first line of a pointer is fixed by git-lfs/docs/spec.md.
#include "lfs.h"

#include <string.h>

#include "quote.h"

rp_status rp_refuse_lfs_pointer(const void *data, uint64_t bytes, const char *name, rp_error *error) {
    static const char pointer[] = "version https://git-lfs";
    if (bytes < sizeof pointer - 1 || memcmp(data, pointer, sizeof pointer - 1) != 0) { return RP_OK; }
    return rp_error_set(error, RP_BAD_FILE, "%s is only a Git LFS pointer; fetch the file itself with git lfs pull",
                        rp_quote_path(name).text);
}
