// The list of model families.
#include "family.h"

static const rp_family *const families[] = { &rp_family_toto, &rp_family_toto2, &rp_family_kronos };

const rp_family *rp_family_find(const rp_config *config) {
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (families[i]->recognises(config)) { return families[i]; }
    }
    return NULL;
}
