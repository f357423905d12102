// What of a Toto 2.0 forecaster outlives a graph: where it lies, and its tables.
#include <math.h>
#include <stdlib.h>

#include "product.h"
#include "region.h"
#include "toto2.h"

#define XPOS_BASE 256.0        // exponents count in 1/256, spec section 2
#define ROPE_BASE 10000.0

uint32_t toto2_most_tokens(const toto2_forecaster *f) {
    return (f->block < f->future && f->block > f->patches ? f->block : f->patches) + f->block - 1;
}

static void lay_inputs(toto2_forecaster *f, rp_region *r, toto2_inputs *in) {
    const uint32_t B = f->base.config.max_batch, V = f->base.config.variates;
    in->step = rp_region_lay(r, "step block", RP_SHAPE(RP_U32, RP_STEP_WORDS));
    in->n_patches = rp_region_lay(r, "patches of each series", RP_SHAPE(RP_U32, B));
    in->settings = rp_region_lay(r, "guards", RP_SHAPE(RP_U32, 2));
    in->group_ids = rp_region_lay(r, "group ids", RP_SHAPE(RP_I32, B, V));
    in->series = rp_region_lay(r, "series", RP_SHAPE(RP_F32, 2, B, V, f->patches + f->future, ((toto2_model *)f->base.model)->config.patch));
    in->bad = f->base.config.device_inputs ? rp_region_lay(r, "unusable series", RP_SHAPE(RP_U32, B)) : NULL;
}

rp_status toto2_lay_state(toto2_forecaster *f, rp_sizes *out) {
    toto2_model *m = (toto2_model *)f->base.model;
    const toto2_config *c = &m->config;
    const uint32_t B = f->base.config.max_batch, V = f->base.config.variates, A = f->patches + f->future, d = toto2_head_width(c);
    rp_region r = { &f->arena, f->storage.state, 0, false };
    f->inputs_of_parts = f->left = NULL;
    lay_inputs(f, &r, &f->in);
    f->storage.in_words = r.used / 4;
    f->rope = rp_region_lay(&r, "rotary angles", RP_SHAPE(RP_F32, A, d / 4, 2));
    f->zero = A / 2 + 1;
    f->powers = rp_region_lay(&r, "xpos powers", RP_SHAPE(RP_F32, 2 * f->zero + 1, d / 4));
    f->stats = rp_region_lay(&r, "running statistics", RP_SHAPE(RP_F64, B, V, RP_BLOCK_STATE));
    f->hidden = rp_region_lay(&r, "hidden patches", RP_SHAPE(RP_U32, B, V, f->patches));
    f->k = rp_arena_alloc(&f->arena, c->layers * sizeof(rp_tensor *));
    f->v = rp_arena_alloc(&f->arena, c->layers * sizeof(rp_tensor *));
    r.failed = r.failed || !f->k || !f->v;
    const bool later = f->block < f->future;      // calls that read what the first kept; in a single pass all layers share one place
    const rp_dtype kept = toto2_keys_dtype(m);
    rp_tensor *k = NULL, *v = NULL;
    for (uint32_t i = 0; i < c->layers && !r.failed; i++) {
        if (toto2_layer_is_variate(c, i)) { continue; }
        if (later || k == NULL) {
            k = rp_region_lay(&r, "keys", RP_SHAPE(kept, B, V, A, c->kv_heads, d));
            v = rp_region_lay(&r, "values", RP_SHAPE(kept, B, V, A, c->kv_heads, d));
        }
        f->k[i] = k, f->v[i] = v;
    }
    if (f->side < B * V) {
        f->inputs_of_parts = rp_region_lay(&r, "token inputs", RP_SHAPE(rp_is_mixed(m->embed.first.w) ? RP_F16 : RP_F32, B, V, toto2_most_tokens(f), 2, c->patch));
        f->left = rp_region_lay(&r, "tokens that predict", RP_SHAPE(RP_F32, B, V, f->block, c->width));
    }
    f->result = rp_region_lay(&r, "result", RP_SHAPE(RP_F32, B, V, RP_BLOCK_QUANTILES, f->future * c->patch));
    rp_region staged = { &f->arena, f->storage.host_in, 0, false };
    lay_inputs(f, &staged, &f->staged);
    out->state = r.used, out->in = staged.used, out->out = f->result ? rp_tensor_bytes(f->result) : 0;
    f->storage.out_words = out->out / 4;
    return r.failed || staged.failed ? rp_fail(m->base.device, RP_OUT_OF_MEMORY, "Host memory ran out while sizing a forecaster.") : RP_OK;
}

// ---- tables: float64, rounded once to what the device keeps ----

rp_status toto2_write_tables(toto2_forecaster *f) {
    toto2_model *m = (toto2_model *)f->base.model;
    rp_device *device = m->base.device;
    const uint32_t pairs = f->rope->shape[1], positions = f->rope->shape[0], exponents = f->powers->shape[0], w = 2 * pairs;
    double *table = malloc(((size_t)positions * 2 + exponents) * pairs * sizeof *table), *power = table + (size_t)positions * pairs * 2;
    if (table == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while making the rotary tables."); }
    for (uint32_t i = 0; i < pairs; i++) {
        const double theta = pow(ROPE_BASE, -2.0 * i / w), base = (2 * i + 0.4 * w) / (1.4 * w);
        for (uint32_t t = 0; t < positions; t++) {
            table[((size_t)t * pairs + i) * 2] = cos(t * theta);
            table[((size_t)t * pairs + i) * 2 + 1] = sin(t * theta);
        }
        for (uint32_t e = 0; e < exponents; e++) {
            power[(size_t)e * pairs + i] = m->config.xpos ? pow(base, ((double)e - f->zero) / XPOS_BASE) : 1;
        }
    }
    rp_status status = device->backend->write(f->storage.state, f->rope->offset, RP_F32, table, RP_F64, (uint64_t)positions * pairs * 2);
    if (status == RP_OK) { status = device->backend->write(f->storage.state, f->powers->offset, RP_F32, power, RP_F64, (uint64_t)exponents * pairs); }
    free(table);
    return status;
}
