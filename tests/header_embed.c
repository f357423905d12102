// reprise_dlpack.h and reprise_arrow.h alone, or beside the headers that publish their types: FOREIGN_FIRST, FOREIGN_LAST;
// FOREIGN_OLD: as they were before DLPack 1.0.
#ifdef FOREIGN_FIRST
#include "foreign.h"
#endif
#include "reprise_arrow.h"
#include "reprise_dlpack.h"
#ifdef FOREIGN_LAST
#include "foreign.h"
#endif

#ifdef FOREIGN_FIRST
typedef DLTensor tensor;            // theirs, without a cast
#else
typedef rp_dl_tensor tensor;
#endif
#if defined(FOREIGN_FIRST) && !defined(FOREIGN_OLD)
typedef DLManagedTensorVersioned versioned;
#else
typedef rp_dl_managed_tensor_versioned versioned;
#endif

static const tensor *tensor_of(const rp_dl_series *s) { return s->values; }
static const char *format_of(const struct ArrowSchema *s) { return s->format; }

int main(void) {
    tensor t;
    rp_dl_series series;
    struct ArrowSchema schema;
    versioned managed;
    const tensor *inside;
    t.ndim = 2, series.values = &t, schema.format = "f";
    managed.version.major = 1;
    return rp_version() == 0 || rp_dl_from_versioned(&managed, &inside) != RP_OK || inside != &managed.dl_tensor ||
           tensor_of(&series)->ndim != 2 || format_of(&schema)[0] != 'f';
}
