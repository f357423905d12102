// Times of single launches: each is recorded many times over, one after the other, and the recording is replayed, so that the
// host has no part in it and the floor is the device's own time from one launch to the next.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { MOST_LAUNCHES = 512, TRIES = 3 };
#define ENOUGH_SECONDS 0.005   // of work in one recording

// ---- launches ----

// The least of a few tries: what delays a try is not the device's.
static rp_status time_replays(rp_device *device, rp_recording *recording, uint32_t n, double *seconds) {
    rp_recording *const twice[2] = { recording, recording };
    *seconds = 1e30;
    for (int i = 0; i < TRIES && (i == 0 || *seconds < 1); i++) {
        const double start = seconds_now();
        RP_RETURN(device->backend->replay(device, twice, n));
        RP_RETURN(device->backend->wait(device));
        const double took = seconds_now() - start;
        if (took < *seconds) { *seconds = took; }
    }
    return RP_OK;
}

// A plan of `total` launches, those given in turn, each after the one before.
static rp_status time_chain(rp_device *device, const rp_launch *const *launches, uint32_t n, uint32_t total, double *seconds_of_all, double *once) {
    rp_plan plan = { .name = "bench", .n_launches = total };
    plan.launches = take(total, sizeof *plan.launches);
    plan.deps = take(total, sizeof *plan.deps);
    plan.n_deps = take(total, sizeof *plan.n_deps);
    uint32_t *before = take(total, sizeof *before);
    for (uint32_t i = 0; i < total; i++) {
        plan.launches[i] = *launches[i % n];
        if (i > 0) { before[i] = i - 1, plan.deps[i] = &before[i], plan.n_deps[i] = 1; }
    }
    rp_recording *recording = NULL;
    double one = 0, two = 0;
    rp_status status = device->backend->record(device, &plan, &recording);
    if (status == RP_OK) { status = time_replays(device, recording, 1, &one); }
    // A second replay in one go adds its launches and nothing else.
    if (status == RP_OK && one < ENOUGH_SECONDS * 5) { status = time_replays(device, recording, 2, &two); }
    *once = one;
    *seconds_of_all = two > one ? two - one : one;
    if (recording != NULL) { device->backend->recording_destroy(recording); }
    free(plan.launches), free(plan.deps), free(plan.n_deps), free(before);
    return status;
}

rp_status bench_time_launches(rp_device *device, const rp_launch *const *launches, uint32_t n, double *seconds_of_one) {
    double all, once;
    RP_RETURN(time_chain(device, launches, n, n, &all, &once));
    *seconds_of_one = all / n;
    const double rounds = ENOUGH_SECONDS / (once > 1e-9 ? once : 1e-9);
    const uint32_t most = MOST_LAUNCHES / n, wanted = rounds < most ? (uint32_t)rounds : most;
    if (wanted < 2) { return RP_OK; }
    RP_RETURN(time_chain(device, launches, n, n * wanted, &all, &once));
    *seconds_of_one = all / (n * wanted);
    return RP_OK;
}

// ---- the step block ----

static const rp_launch *find_advance(const rp_plan *const *plans, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < plans[i]->n_launches; j++) {
            if (plans[i]->launches[j].op == RP_OP_ADVANCE) { return &plans[i]->launches[j]; }
        }
    }
    return NULL;
}

// Where a forecast has the middle of this graph's replays, if they are its last ones: what slides, and most of what steps.
static struct rp_step block_for(struct rp_step end, const bench_graph *g) {
    const uint32_t replays = g->replays / (end.chunk ? end.chunk : 1), back = replays > 0 ? (replays - 1) / 2 : 0;
    struct rp_step step = end;
    step.step = end.step > back + 1 ? end.step - 1 - back : 0;
    step.chunk = step.path0 = 0;
    return step;
}

static rp_status write_block(rp_device *device, const rp_launch *advance, const struct rp_step *step) {
    const rp_binding *at = &advance->binding[0];
    return device->backend->write(at->buffer, at->offset, RP_U32, step, RP_U32, RP_STEP_WORDS);
}

// ---- a graph ----

// Whether two launches do the same work. The epsilon of a norm, which in Toto 2.0 is each layer's own, does not count.
static bool alike(const rp_launch *a, const rp_launch *b) {
    uint32_t params[2][RP_PARAM_BYTES / 4];
    memcpy(params[0], a->params, sizeof params[0]), memcpy(params[1], b->params, sizeof params[1]);
    for (uint32_t i = 0; i < 2; i++) {
        if (a->op == RP_OP_RMSNORM) { params[i][offsetof(struct rp_rmsnorm_params, eps) / 4] = 0; }
        if (a->op == RP_OP_LINEAR) { params[i][offsetof(struct rp_linear_params, eps) / 4] = 0; }
    }
    return strcmp(a->kernel, b->kernel) == 0 && memcmp(params[0], params[1], sizeof params[0]) == 0 && memcmp(a->grid, b->grid, sizeof a->grid) == 0;
}

static int by_share(const void *a, const void *b) {
    const bench_op *x = a, *y = b;
    const double p = x->us * x->count, q = y->us * y->count;
    return (p < q) - (p > q);
}

// A graph that is being taken apart.
typedef struct subject {
    rp_device *device;
    const rp_plan *plan;
    rp_recording *recording;
    const rp_launch *advance;      // whose binding is the step block; NULL: there is none
    struct rp_step step;
} subject;

// One replay from the same positions each time, and the positions again: it leaves numbers of the size that a forecast has, where
// launches repeated on their own results would not.
static rp_status refresh(const subject *s, double *seconds) {
    if (s->advance != NULL) { RP_RETURN(write_block(s->device, s->advance, &s->step)); }
    RP_RETURN(s->device->backend->wait(s->device));
    const double start = seconds_now();
    RP_RETURN(s->device->backend->replay(s->device, &s->recording, 1));
    RP_RETURN(s->device->backend->wait(s->device));
    *seconds = seconds_now() - start;
    return s->advance != NULL ? write_block(s->device, s->advance, &s->step) : RP_OK;
}

static rp_status measure_replay(const subject *s, bench_graph *g) {
    double best = 1e30, seconds;
    for (int i = 0; i < TRIES && (i == 0 || best < 1); i++) {
        RP_RETURN(refresh(s, &seconds));
        if (seconds < best) { best = seconds; }
    }
    g->replay_us = best * 1e6;
    return RP_OK;
}

// Launches that are alike go through one recording in turn, so that each finds its weights where a step would find them.
// `advance` is left out: it would move the positions.
static rp_status measure_ops(const subject *s, bench_graph *g) {
    rp_status status = RP_OK;
    const rp_plan *plan = s->plan;
    const rp_launch **group = take(plan->n_launches, sizeof *group);
    char *seen = take(plan->n_launches, 1);
    g->ops = take(plan->n_launches, sizeof *g->ops);
    for (uint32_t i = 0; i < plan->n_launches && status == RP_OK; i++) {
        const rp_launch *launch = &plan->launches[i];
        bench_op op = { .cost = plan->costs[i] };
        double seconds = 0;
        if (seen[i] || launch->op == RP_OP_ADVANCE) { continue; }
        for (uint32_t j = i; j < plan->n_launches; j++) {
            if (alike(&plan->launches[j], launch)) { seen[j] = 1, group[op.count++] = &plan->launches[j]; }
        }
        status = refresh(s, &seconds);
        if (status == RP_OK) { status = bench_time_launches(s->device, group, op.count < MOST_LAUNCHES ? op.count : MOST_LAUNCHES, &seconds); }
        snprintf(op.label, sizeof op.label, "%s", launch->label);
        snprintf(op.kernel, sizeof op.kernel, "%s", launch->kernel);
        op.us = seconds * 1e6;
        g->ops_us += op.us * op.count;
        g->ops[g->n_ops++] = op;
    }
    qsort(g->ops, g->n_ops, sizeof *g->ops, by_share);
    free(group), free(seen);
    return status;
}

static rp_status measure(subject *s, bench_graph *g) {
    RP_RETURN(s->device->backend->record(s->device, s->plan, &s->recording));
    rp_status status = measure_replay(s, g);
    if (status == RP_OK) { status = measure_ops(s, g); }
    s->device->backend->recording_destroy(s->recording);
    return status;
}

rp_status bench_ops_measure(rp_forecaster *forecaster, bench_result *out) {
    rp_device *device = forecaster->model->device;
    const rp_plan *plans[BENCH_MAX_PLANS];
    struct rp_step end = { 0 };
    const uint32_t n = forecaster->model->family->plans(forecaster, plans, BENCH_MAX_PLANS);
    const rp_launch *advance = find_advance(plans, n);
    if (advance != NULL) {
        const rp_binding *at = &advance->binding[0];
        RP_RETURN(device->backend->read(at->buffer, at->offset, RP_U32, &end, RP_U32, RP_STEP_WORDS));
    }
    for (uint32_t i = 0; i < n; i++) {
        bench_graph *g = &out->graphs[i];
        subject s = { .device = device, .plan = plans[i], .advance = advance, .step = block_for(end, g) };
        if (g->replays > 0) { RP_RETURN(measure(&s, g)); }
    }
    return RP_OK;
}
