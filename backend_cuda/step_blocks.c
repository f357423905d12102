// Blocks of a recording: launches in a row that one kernel does (core/step_block.h), in runs, in which each leaves parts of its x in `sums`,
// and the next one adds them and writes x itself. Two areas of `sums` take turns: when a block writes one, whoever read it is done.
//
// So memory of x is written later than planned, which nobody sees. Who shared it before comes before the block that was to write it. Who shares
// it afterwards comes after all that read x, and the next block's last launch does. Remain those that read x while that block may not be done:
// where there are any, may_follow lets the run end.
#include <stdlib.h>
#include <string.h>

#include "device.h"

static bool same(const rp_binding *a, const rp_binding *b) {
    return a->buffer == b->buffer && a->offset == b->offset && a->bytes == b->bytes;
}

// What a block's last launch writes.
static const rp_binding *x_of(const rp_plan *plan, const rp_cuda_block *own) {
    const rp_launch *last = &plan->launches[own->first + own->block.n - 1];
    return &last->binding[last->n_in];
}

// Whether a block begins with launch `first`: by what launches are, and by what they hand on.
static bool lay(const rp_plan *plan, uint32_t first, rp_cuda_block *out) {
    const rp_launch *launches = &plan->launches[first];
    *out = (rp_cuda_block){ .first = first };
    if (!rp_step_block_lay(launches, plan->n_launches - first, &out->block)) { return false; }
    const rp_launch *last = &launches[out->block.n - 1];
    return same(&launches[1].binding[0], &launches[0].binding[launches[0].n_in]) && same(&last->binding[3], &launches[0].binding[0]) &&
           (out->block.n == 2 || same(&last->binding[0], &launches[1].binding[7]));
}

// Whether `next`, right behind `own`, can be the one that writes its x: nobody else waits for x. Who comes after `next` as well waits for
// that: of what a launch depends on, a plan lists what it does not reach through another.
static bool may_follow(const rp_plan *plan, const rp_cuda_block *own, const rp_cuda_block *next) {
    const struct rp_step_block_args *a = &own->block.args, *b = &next->block.args;
    const bool alike = a->m == b->m && a->d == b->d && own->block.pairs == next->block.pairs;
    if (!alike || !same(x_of(plan, own), &plan->launches[next->first].binding[0])) { return false; }
    for (uint32_t i = next->first + next->block.n; i < plan->n_launches; i++) {
        for (uint32_t j = 0; j < plan->n_deps[i]; j++) {
            if (plan->deps[i][j] == next->first - 1) { return false; }
        }
    }
    return true;
}

// Whether a run that begins with `own` finds `sums` free: the one in front, if any, is done. `seen`: scratch, a byte a launch.
static bool may_begin(const rp_plan *plan, const rp_cuda_block *before, const rp_cuda_block *own, unsigned char *seen) {
    if (before == NULL) { return true; }
    const uint32_t from = before->first + before->block.n - 1, to = own->first + own->block.n;
    memset(seen, 0, plan->n_launches);
    seen[from] = 1;
    for (uint32_t i = from + 1; i < to; i++) {
        for (uint32_t j = 0; j < plan->n_deps[i] && !seen[i]; j++) { seen[i] = seen[plan->deps[i][j]]; }
    }
    return seen[to - 1];       // what any of the block's launches comes after, its last one does
}

// The run that begins with launch `first`: how many blocks it has. A single "mlp in, mlp out" would not pay for the sum behind it.
static uint32_t find_run(const rp_plan *plan, uint32_t first, const rp_cuda_block *before, rp_cuda_block *run, unsigned char *seen) {
    uint32_t n = 0;
    for (uint32_t i = first; i < plan->n_launches && lay(plan, i, &run[n]); i += run[n++].block.n) {
        if (n == 0 ? !may_begin(plan, before, run, seen) : !may_follow(plan, &run[n - 1], &run[n])) { break; }
    }
    if (n == 0 || (n == 1 && run->block.args.hidden > 0)) { return 0; }
    run[0].begins = run[n - 1].ends = true;
    return n;
}

static uint32_t find(const rp_plan *plan, rp_cuda_block *blocks, unsigned char *seen) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_launches;) {
        const uint32_t more = find_run(plan, i, n > 0 ? &blocks[n - 1] : NULL, &blocks[n], seen);
        n += more;
        i = more > 0 ? blocks[n - 1].first + blocks[n - 1].block.n : i + 1;
    }
    return n;
}

// Bytes of an area of sums.
static uint64_t area_of(const rp_cuda_blocks *blocks) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < blocks->n; i++) {
        const rp_step_block *own = &blocks->list[i].block;
        const uint64_t parts = own->args.n_made + (own->pairs ? 1 : 0);       // and x
        const uint64_t wanted = (parts * own->args.m * own->args.d * 4 + 255) / 256 * 256;
        bytes = wanted > bytes ? wanted : bytes;
    }
    return bytes;
}

// Of a product, 0 where it has none.
static uint64_t bias_of(const rp_launch *launch, const rp_args *args) {
    const struct rp_linear_params *p = (const void *)launch->params;
    return p->has_bias ? args->address[2] : 0;
}

static void address(const rp_plan *plan, rp_cuda_block *own, const rp_cuda_block *before, uint64_t sums) {
    const rp_launch *first = &plan->launches[own->first], *last = first + own->block.n - 1;
    const rp_args in = rp_args_of(first), out = rp_args_of(last);
    struct rp_step_block_args *to = &own->block.args;
    to->parts = own->begins ? in.address[0] : before->block.args.sums;
    to->n_parts = own->begins ? 1 : before->block.args.n_made;
    to->x = own->begins ? 0 : in.address[0];
    to->sums = sums;
    to->scale = in.address[4], to->w_in = in.address[1], to->bias_in = bias_of(first, &in), to->y_in = in.address[first->n_in];
    to->w_out = out.address[1], to->bias_out = bias_of(last, &out);
    own->sum = (struct rp_step_sum_args){ .parts = sums, .x = out.address[last->n_in], .n_parts = to->n_made, .count = to->m * to->d, .d = to->d };
    if (own->block.pairs) {
        to->scale_in = in.address[5], to->kept = sums + (uint64_t)to->n_made * to->m * to->d * 4;
        own->sum.scale = out.address[5], own->sum.bias = to->bias_out, own->sum.residual = to->kept;
        if (!own->begins) { to->part_scale = before->sum.scale, to->part_bias = before->sum.bias, to->residual = before->sum.residual; }
    }
    if (to->hidden > 0) { return; }
    const rp_args attend = rp_args_of(first + 1);
    to->angles = attend.address[1], to->prefix = attend.address[2], to->own = attend.address[6];
    to->n_tokens = attend.address[4], to->step = attend.address[5], to->y = attend.address[7];
}

rp_status rp_cuda_blocks_find(rp_device *device, const rp_plan *plan, rp_buffer **sums, rp_cuda_blocks *out) {
    const rp_cuda *cuda = device->impl;
    *out = (rp_cuda_blocks){ 0 };
    if (!cuda->overlaps || plan->n_launches == 0) { return RP_OK; }
    unsigned char *seen = malloc(plan->n_launches);
    out->list = calloc((size_t)plan->n_launches + 1, sizeof *out->list);   // and one to try
    if (seen != NULL && out->list != NULL) { out->n = find(plan, out->list, seen); }
    free(seen);
    if (seen == NULL || out->list == NULL) {
        return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while recording '%s'.", plan->name);
    }
    if (out->n == 0) { return RP_OK; }
    const uint64_t area = area_of(out);
    RP_RETURN(rp_cuda_buffer_create(device, 2 * area, RP_MEMORY_DEVICE, sums));
    for (uint32_t i = 0; i < out->n; i++) {
        address(plan, &out->list[i], i > 0 ? &out->list[i - 1] : NULL, (*sums)->address + i % 2 * area);
    }
    return RP_OK;
}
