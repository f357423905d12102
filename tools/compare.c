// `reprise compare`: two devices on the same forecast, node by node.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "family.h"
#include "options.h"
#include "session.h"
#include "walk.h"

#define ENOUGH 0.1    // standard deviations: paths further apart than that went another way

typedef struct request {
    const char *device[2], *folder, *tokenizer;
    rp_precision precision;
    sample_sizes sizes;
    uint32_t rows;
} request;

static const char *device_name(const walk *w, uint32_t which) { return w->device[which]->info.spec; }

static void print_first(const walk *w) {
    const walk_node *n = &w->nodes[w->first_failed];
    const uint32_t of = walk_reference(w);
    printf("first out of tolerance: replay %u '%s', node %u '%s' (%s; %s on %s, %s on %s)\n", n->replay, n->plan, n->index, n->label, n->op,
           n->kernel[0], device_name(w, 0), n->kernel[1], device_name(w, 1));
    printf("  output %u, number %llu: %.9g on %s, %.9g on %s, %.3g apart where %.3g is allowed; %llu of its %llu numbers are out\n",
           n->output, (unsigned long long)n->at, n->got, device_name(w, 1 - of), n->ref, device_name(w, of), fabs(n->got - n->ref), n->tol,
           (unsigned long long)n->failed, (unsigned long long)n->compared);
    printf("  its inputs are the same on both, so the fault is the op's own: kernels/%s.cu, shaders/%s.comp\n", n->op, n->op);
}

static int worse_first(const void *a, const void *b) {
    const walk_node *x = *(const walk_node *const *)a, *y = *(const walk_node *const *)b;
    const double p = isnan(x->ratio) ? INFINITY : x->ratio, q = isnan(y->ratio) ? INFINITY : y->ratio;
    return p != q ? (p < q) - (p > q) : (x > y) - (x < y);
}

static void print_table(const walk *w, uint32_t rows) {
    const walk_node **order = take(w->n_nodes + 1, sizeof *order);
    for (size_t i = 0; i < w->n_nodes; i++) { order[i] = &w->nodes[i]; }
    qsort(order, w->n_nodes, sizeof *order, worse_first);
    printf("\nworst nodes, each handed the same inputs on both devices\n%8s  %-12s %5s  %-26s %-14s %9s  %9s\n", "replay", "graph", "node", "label",
           "op", "err/tol", "drift");
    for (size_t i = 0; i < w->n_nodes && i < rows; i++) {
        const walk_node *n = order[i];
        printf("%8u  %-12s %5u  %-26s %-14s %9.3f  %9.1e", n->replay, n->plan, n->index, n->label, n->op, n->ratio, n->drift);
        if (n->moved > 0) { printf("  %.0f integers differ", n->moved); }
        printf("\n");
    }
    printf("drift: how far the node's outputs are apart where each device goes its own way, over the largest of them\n");
    free(order);
}

// The first number that was drawn otherwise: what follows it is another path, not an error.
static void print_split(const walk *w) {
    for (size_t i = 0; i < w->n_nodes; i++) {
        const walk_node *n = &w->nodes[i];
        if (n->moved == 0) { continue; }
        printf("the devices go different ways from replay %u '%s', node %u '%s' on: %.0f integers differ\n", n->replay, n->plan, n->index,
               n->label, n->moved);
        return;
    }
}

// Of n numbers, of each variate `each` in turn.
static double worst_of(const sample *a, const float *x, const float *y, size_t n, size_t each, size_t *far) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double std = a->std[i / each % a->sizes.variates], e = fabs((double)x[i] - (double)y[i]) / (std > 0 ? std : 1);
        if (far != NULL && !(e <= ENOUGH)) { (*far)++; }
        worst = e <= worst ? worst : e;      // NaN stays
    }
    return worst;
}

static void print_forecast(const sample *a, const sample *b) {
    const size_t H = a->sizes.horizon, S = a->sizes.paths;
    size_t far = 0;
    printf("\nforecast, in standard deviations of the series: %s %.2e apart", a->quantiles ? "median" : "mean",
           worst_of(a, a->mean, b->mean, a->sizes.variates * H, H, NULL));
    if (S > 0) {
        const double worst = worst_of(a, a->paths, b->paths, a->n_paths, H * S, &far);
        printf(", paths %.2e", worst);
        if (far > 0) { printf(" (%zu of %zu numbers by more than %g: a draw at a boundary fell on the other side)", far, a->n_paths, ENOUGH); }
    }
    if (a->quantiles > 0) { printf(", quantiles %.2e", worst_of(a, a->paths, b->paths, a->n_paths, H, NULL)); }
    printf("\n");
}

static bool report(const walk *w, const request *r, const sample *a, const sample *b) {
    uint64_t compared = 0, ignored = 0;
    for (size_t i = 0; i < w->n_nodes; i++) { compared += w->nodes[i].compared, ignored += w->nodes[i].ignored; }
    printf("%s, %s, context %u, horizon %u, variates %u, ", r->folder, precision_name(w->forecaster[0]->model->info.precision),
           a->sizes.context, a->sizes.horizon, a->sizes.variates);
    if (a->sizes.paths > 0) { printf("paths %u, seed %llu\n", a->sizes.paths, (unsigned long long)a->sizes.seed); }
    else if (a->quantiles > 0) { printf("quantiles %u\n", a->quantiles); } else { printf("no paths\n"); }
    for (uint32_t d = 0; d < 2; d++) { printf("%-12s %s\n", device_name(w, d), w->device[d]->info.name); }
    printf("%zu nodes of %zu replays, %llu numbers, %llu near a boundary of a draw; %llu nodes out of tolerance\n", w->n_nodes, w->n_plans,
           (unsigned long long)compared, (unsigned long long)ignored, (unsigned long long)w->failed);
    if (w->failed > 0) { print_first(w); }
    print_split(w);
    print_table(w, r->rows);
    print_forecast(a, b);
    return w->failed == 0;
}

// ---- the command ----

static bool split_devices(const name_list *names, request *r) {
    if (names->count != 2) { return false; }
    r->device[0] = names->names[0], r->device[1] = names->names[1];
    return true;
}

static bool open_device(const request *r, uint32_t which, walk *w) {
    rp_status status = walk_open(w, which, r->device[which], r->precision);
    if (status != RP_OK) { session_complain(w->device[which], status); }
    return status == RP_OK;
}

static bool open_model(const request *r, uint32_t which, walk *w, rp_model **model) {
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    config.precision = r->precision, config.tokenizer = r->tokenizer;
    rp_status status = rp_model_load(w->device[which], r->folder, &config, model);
    if (status != RP_OK) { session_complain(w->device[which], status); }
    return status == RP_OK;
}

static bool compare(const request *r) {
    walk w = { 0 };
    rp_model *model[2] = { 0 };
    sample input[2] = { 0 };
    rp_status status = RP_OK;
    bool ok = open_device(r, 0, &w) && open_device(r, 1, &w) && open_model(r, 0, &w, &model[0]) && open_model(r, 1, &w, &model[1]);
    for (uint32_t d = 0; d < 2 && ok; d++) {
        sample_make(model[d], r->sizes, &input[d]);
        status = sample_forecaster(&input[d], model[d], &w.forecaster[d]);
        if (status != RP_OK) { session_complain(w.device[d], status); }
        ok = status == RP_OK;
    }
    if (ok && !walk_run(&w, &input[0], &input[1])) {
        complain("%s", w.error.text);
        ok = false;
    }
    if (ok) { ok = report(&w, r, &input[0], &input[1]); }
    walk_free(&w);
    for (uint32_t d = 0; d < 2; d++) {
        rp_forecaster_destroy(w.forecaster[d]);
        rp_model_destroy(model[d]);
        rp_device_destroy(w.device[d]);
        sample_free(&input[d]);
    }
    return ok;
}

int command_compare(int argc, char **argv) {
    name_list devices = { NULL, 0 };
    const char *precision = "f32", *rest[1] = { NULL };
    bool mean = false;
    request r = { .sizes = { .context = 64, .variates = 1, .paths = 4 }, .rows = 12 };
    const option rows[] = {
        { "devices", OPTION_NAMES, &devices, "A,B", "two of cuda[:N], vulkan[:N] and ref, the definition in float64", NULL, true },
        { "precision", OPTION_CHOICE, &precision, "P", "f32 (default) or mixed, which ref follows", "f32|mixed", false },
        { "tokenizer", OPTION_TEXT, &r.tokenizer, "DIR", "Kronos: the folder of its tokenizer, where it is not inside the model's", NULL, false },
        { "context", OPTION_COUNT, &r.sizes.context, "N", "rows of the made-up series (default 64)", NULL, false },
        { "horizon", OPTION_COUNT, &r.sizes.horizon, "H", "rows to forecast (default: two patches; Kronos: 4 bars)", NULL, false },
        { "variates", OPTION_COUNT, &r.sizes.variates, "V", "Toto: columns (default 1)", NULL, false },
        { "samples", OPTION_COUNT, &r.sizes.paths, "S", "sample paths (default 4)", NULL, false },
        { "seed", OPTION_SEED, &r.sizes.seed, "N", "of the paths (default 0)", NULL, false },
        { "block", OPTION_COUNT, &r.sizes.block, "N", "Toto 2.0: rows predicted in one pass (default: the whole horizon)", NULL, false },
        { "mean", OPTION_FLAG, &mean, NULL, "no sampling: the mean of each step (Toto) or the likeliest tokens (Kronos)", NULL, false },
        { "rows", OPTION_COUNT, &r.rows, "N", "of the table of worst nodes (default 12)", NULL, false },
    };
    const option_set set = {
        "compare", "--devices A,B [options] MODEL",
        "Runs the same forecast on two devices and compares every node of every graph. Each node is handed the\n"
        "same inputs on both, so that its own error shows, and judged by the tolerance of its op, which follows\n"
        "from the roundings that it may make. Exits 1 if a node is out of tolerance.\n",
        "  reprise compare --devices ref,vulkan models/demo-toto\n"
        "  reprise compare --devices cuda,vulkan --samples 16 models/demo-kronos\n",
        rows, sizeof rows / sizeof *rows };
    size_t n_rest = 0;
    int result = options_parse(&set, argc, argv, rest, 1, &n_rest);
    if (result < 0 && n_rest == 0) { result = options_misused("compare", "which model? name its folder"); }
    if (result < 0 && !split_devices(&devices, &r)) { result = options_misused("compare", "--devices takes two, such as ref,vulkan"); }
    if (result < 0) {
        r.folder = rest[0];
        r.precision = strcmp(precision, "mixed") == 0 ? RP_PRECISION_MIXED : RP_PRECISION_F32;
        if (mean) { r.sizes.paths = 0; }
        result = compare(&r) ? EXIT_DONE : EXIT_FAILED;
    }
    name_list_free(&devices);
    return result;
}
