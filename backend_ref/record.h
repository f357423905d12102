#ifndef RP_BACKEND_REF_RECORD_H
#define RP_BACKEND_REF_RECORD_H

#include "ref.h"

struct rp_recording {
    const rp_plan *plan;   // borrowed
};

#endif
